//! Prices over time: which sheet is in force at a moment.

use domain::UnixMicros;

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
}

impl PriceTimeline {
    /// One price for all time: a contract's or a config's own.
    pub fn fixed(sheet: PriceSheet) -> Self {
        Self::new(vec![Change { mode: sheet.mode, from: sheet.effective_from, sheet: Some(sheet) }])
    }

    /// From changes in any order. Of two changes at one moment the later in the list wins.
    pub fn new(mut changes: Vec<Change>) -> Self {
        changes.sort_by_key(|change| (change.mode, change.from));
        Self { changes }
    }

    /// The sheet in force at `time`. A price applies at the completion of a request (DESIGN.md section 12).
    /// `None` when the model isn't offered in that mode then, or nobody knows a price.
    pub fn at(&self, time: UnixMicros, mode: Mode) -> Option<&PriceSheet> {
        let change =
            self.changes.iter().rev().find(|change| {
                change.mode == mode && change.from.is_none_or(|from| from <= time)
            })?;
        change.sheet.as_ref()
    }

    /// The newest sheet of a mode.
    pub fn latest(&self, mode: Mode) -> Option<&PriceSheet> {
        self.changes.iter().rev().find(|change| change.mode == mode)?.sheet.as_ref()
    }

    /// Every change, by mode, then time.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Every sheet.
    pub fn sheets(&self) -> impl Iterator<Item = &PriceSheet> {
        self.changes.iter().filter_map(|change| change.sheet.as_ref())
    }

    /// Adds a change.
    pub fn push(&mut self, change: Change) {
        self.changes.push(change);
        self.changes.sort_by_key(|change| (change.mode, change.from));
    }
}
