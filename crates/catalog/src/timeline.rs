//! Prices over time: which sheet is in force at a moment.

use std::sync::Arc;

use domain::{Features, Money, MoneyError, UnixMicros, WorstCase};

use crate::hours::{HourRule, Hours};
use crate::{Mode, PriceSheet};

/// One change of a timeline: from `from` on the model costs `sheet`, or isn't offered in that mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The mode it is about.
    pub mode: Mode,
    /// When; `None` = from the beginning.
    pub from: Option<UnixMicros>,
    /// The sheet in force from then on; `None` = not offered.
    pub sheet: Option<PriceSheet>,
}

/// All prices of one model at one host, in all modes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceTimeline {
    /// By mode, then time.
    changes: Vec<Change>,
    /// Sheets that replace a standard one at some hours: index of the change, when, what then.
    hourly: Vec<(usize, Arc<Hours>, PriceSheet)>,
}

impl PriceTimeline {
    /// One price for all time: a contract's or a config's own.
    pub fn fixed(sheet: PriceSheet) -> Self {
        Self::new(vec![Change { mode: sheet.mode, from: sheet.effective_from, sheet: Some(sheet) }])
    }

    /// From changes in any order. Of two changes at one moment the later in the list wins.
    pub fn new(mut changes: Vec<Change>) -> Self {
        changes.sort_by_key(|change| (change.mode, change.from));
        Self { changes, hourly: Vec::new() }
    }

    /// With prices that depend on the hour, which vendors have for interactive requests only.
    pub(crate) fn with_hours(mut self, key: &str, rules: &[HourRule]) -> Self {
        for rule in rules {
            for (index, change) in self.changes.iter().enumerate() {
                if let (Mode::Standard, Some(sheet)) = (change.mode, &change.sheet) {
                    self.hourly.push((index, Arc::clone(&rule.hours), rule.apply(key, sheet)));
                }
            }
        }
        self
    }

    /// The sheet in force at `time`. A price applies at the completion of a request (DESIGN.md section 12).
    /// `None` when the model isn't offered in that mode then, or nobody knows a price.
    pub fn at(&self, time: UnixMicros, mode: Mode) -> Option<&PriceSheet> {
        let index = self.index_at(time, mode)?;
        self.hourly_of(index).find(|(hours, _)| hours.contains(time)).map_or_else(
            || self.changes.get(index).and_then(|change| change.sheet.as_ref()),
            |(_, sheet)| Some(sheet),
        )
    }

    /// Every sheet that can be in force at some moment of `[from, until]`: a request that is admitted at `from` and
    /// done by `until` is billed by one of them.
    pub fn between(
        &self,
        from: UnixMicros,
        until: UnixMicros,
        mode: Mode,
    ) -> impl Iterator<Item = &PriceSheet> {
        let first = self.index_at(from, mode);
        let indices = (0..self.changes.len()).filter(move |index| {
            Some(*index) == first
                || self.changes.get(*index).is_some_and(|change| {
                    change.mode == mode
                        && change.from.is_some_and(|start| start > from && start <= until)
                })
        });
        indices.flat_map(move |index| {
            let plain = self.changes.get(index).and_then(|change| change.sheet.as_ref());
            let touched = self
                .hourly_of(index)
                .filter(move |(hours, _)| hours.may_touch(from, until))
                .map(|(_, sheet)| sheet);
            plain.into_iter().chain(touched)
        })
    }

    /// The most that a request within `bound`, using only these `features`, can cost by any sheet that can be in
    /// force in `[from, until]`: what a reservation is made from. `None` when nothing bounds its output, or when
    /// there is no price.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond what one ledger row holds.
    pub fn worst_case(
        &self,
        (from, until): (UnixMicros, UnixMicros),
        mode: Mode,
        bound: &WorstCase,
        features: Features,
    ) -> Result<Option<Money>, MoneyError> {
        self.worst_case_of_many((from, until), mode, bound, bound.input, features)
    }

    /// The same for many requests; see [`PriceSheet::worst_case_of_many`].
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond what one ledger row holds.
    pub fn worst_case_of_many(
        &self,
        (from, until): (UnixMicros, UnixMicros),
        mode: Mode,
        bound: &WorstCase,
        longest: u64,
        features: Features,
    ) -> Result<Option<Money>, MoneyError> {
        let mut most = None;
        for sheet in self.between(from, until, mode) {
            let cost = sheet.worst_case_of_many(bound, longest, features)?;
            if cost.is_none() {
                return Ok(None);
            }
            most = most.max(cost);
        }
        Ok(most)
    }

    fn index_at(&self, time: UnixMicros, mode: Mode) -> Option<usize> {
        self.changes
            .iter()
            .rposition(|change| change.mode == mode && change.from.is_none_or(|from| from <= time))
    }

    fn hourly_of(&self, index: usize) -> impl Iterator<Item = (&Hours, &PriceSheet)> {
        self.hourly
            .iter()
            .filter(move |(of, _, _)| *of == index)
            .map(|(_, hours, sheet)| (&**hours, sheet))
    }

    /// The newest sheet of a mode, without regard to the hour.
    pub fn latest(&self, mode: Mode) -> Option<&PriceSheet> {
        self.changes.iter().rev().find(|change| change.mode == mode)?.sheet.as_ref()
    }

    /// Every change, by mode, then time.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Every sheet, those of some hours too.
    pub fn sheets(&self) -> impl Iterator<Item = &PriceSheet> {
        let plain = self.changes.iter().filter_map(|change| change.sheet.as_ref());
        plain.chain(self.hourly.iter().map(|(_, _, sheet)| sheet))
    }

    /// The sheet of that version, to read an old ledger row.
    pub fn by_version(&self, version: crate::PriceVersion) -> Option<&PriceSheet> {
        self.sheets().find(|sheet| sheet.version == version)
    }

    /// Adds a change. Prices by the hour are those of the vendor's own table: they end with the change.
    pub fn push(&mut self, change: Change) {
        let index =
            self.changes.partition_point(|it| (it.mode, it.from) <= (change.mode, change.from));
        self.changes.insert(index, change);
        for (of, _, _) in &mut self.hourly {
            *of += usize::from(*of >= index);
        }
    }
}
