//! Questions to the log: attempts by filter, one request's records, usage by group.
//!
//! There is no index. Attempts are found by walking the log from an end, or from a time by binary search on
//! `logged_at`, which never descends; an intent is joined with what closed it on the way.

use std::collections::{BTreeMap, VecDeque};

use domain::{MoneySum, OutcomeClass, RequestId, UnixMicros, UsageQuality};

use crate::encode::{decode, header};
use crate::record::{AttemptKey, Intent, Record, Refusal, Seq, Settlement, WriteOff};
use crate::storage::{Reads, Row, StorageError};
use crate::verify::each_row;

/// Rows read at a time.
const CHUNK: u64 = 1_024;
/// How long after a request was made its last record is looked for, once all its attempts are closed.
const REQUEST_SPAN_MICROS: i64 = 3_600_000_000;

/// What closed an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It ended.
    Settled(Box<Settlement>),
    /// It was given up.
    WrittenOff(Box<WriteOff>),
}

/// One attempt, or one refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Place of its intent or refusal.
    pub seq: Seq,
    /// Which attempt; call 0, attempt 0 for a refusal.
    pub id: AttemptKey,
    /// When the request was admitted or refused.
    pub at: UnixMicros,
    /// What happened.
    pub what: What,
}

/// What happened to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An attempt was made.
    Tried {
        /// Its intent.
        intent: Box<Intent>,
        /// Its end; `None` while it is open.
        closed: Option<Closed>,
    },
    /// It was refused before any attempt.
    Refused(Box<Refusal>),
}

impl Attempt {
    /// How it ended: `unsettled` while nobody closed it.
    pub fn outcome(&self) -> OutcomeClass {
        match &self.what {
            What::Refused(_) => OutcomeClass::Refused,
            What::Tried { closed: None, .. } => OutcomeClass::Unsettled,
            What::Tried { closed: Some(Closed::WrittenOff(_)), .. } => OutcomeClass::WrittenOff,
            What::Tried { closed: Some(Closed::Settled(it)), .. } => it.outcome,
        }
    }

    /// Its intent, where one was made.
    pub fn intent(&self) -> Option<&Intent> {
        match &self.what {
            What::Tried { intent, .. } => Some(intent),
            What::Refused(_) => None,
        }
    }

    /// Its settlement, where there is one.
    pub fn settlement(&self) -> Option<&Settlement> {
        match &self.what {
            What::Tried { closed: Some(Closed::Settled(it)), .. } => Some(it),
            What::Tried { .. } | What::Refused(_) => None,
        }
    }

    /// The application.
    pub fn app(&self) -> Option<&str> {
        match &self.what {
            What::Tried { intent, .. } => Some(intent.app.as_str()),
            What::Refused(it) => it.app.as_ref().map(domain::AppName::as_str),
        }
    }

    /// The team.
    pub fn team(&self) -> Option<&str> {
        match &self.what {
            What::Tried { intent, .. } => intent.team.as_ref(),
            What::Refused(it) => it.team.as_ref(),
        }
        .map(domain::TeamName::as_str)
    }

    /// The key's public part.
    pub fn key(&self) -> Option<&str> {
        match &self.what {
            What::Tried { intent, .. } => intent.key.as_ref(),
            What::Refused(it) => it.key.as_ref(),
        }
        .map(domain::KeyPublicId::as_str)
    }

    /// The name that the client asked for.
    pub fn capability(&self) -> Option<&str> {
        match &self.what {
            What::Tried { intent, .. } => Some(intent.capability.as_str()),
            What::Refused(it) => it.model.as_deref(),
        }
    }
}

/// Which end to begin at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The latest intent first.
    #[default]
    Newest,
    /// The earliest intent first.
    Oldest,
}

/// Which attempts; an absent field matches all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Admitted at or after.
    pub since: Option<UnixMicros>,
    /// Admitted before.
    pub until: Option<UnixMicros>,
    /// The application.
    pub app: Option<String>,
    /// The team.
    pub team: Option<String>,
    /// The key's public part.
    pub key: Option<String>,
    /// The name asked for.
    pub capability: Option<String>,
    /// The offer, `provider/model`.
    pub offer: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The provider's model id.
    pub model: Option<String>,
    /// How it ended.
    pub outcome: Option<OutcomeClass>,
    /// How far its usage can be trusted.
    pub quality: Option<UsageQuality>,
    /// Only what nobody closed.
    pub unsettled: bool,
    /// Leave refused requests out.
    pub attempts_only: bool,
}

impl Filter {
    /// Whether an attempt is asked for.
    pub fn matches(&self, attempt: &Attempt) -> bool {
        let intent = attempt.intent();
        let same = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        let offer = intent.map(|it| it.offer.to_string());
        self.since.is_none_or(|since| attempt.at >= since)
            && self.until.is_none_or(|until| attempt.at < until)
            && same(&self.app, attempt.app())
            && same(&self.team, attempt.team())
            && same(&self.key, attempt.key())
            && same(&self.capability, attempt.capability())
            && same(&self.offer, offer.as_deref())
            && same(&self.provider, intent.map(|it| it.offer.provider().as_str()))
            && same(&self.model, intent.map(|it| it.offer.model().as_str()))
            && self.outcome.is_none_or(|outcome| attempt.outcome() == outcome)
            && self.quality.is_none_or(|it| attempt.settlement().map(|s| s.quality) == Some(it))
            && (!self.unsettled || attempt.outcome() == OutcomeClass::Unsettled)
            && (!self.attempts_only || intent.is_some())
    }
}

/// The first record logged at or after a time, by binary search.
pub fn first_at(reads: &impl Reads, time: UnixMicros) -> Result<Seq, StorageError> {
    let Some((first, last)) = reads.bounds()? else { return Ok(1) };
    let (mut low, mut high) = (first, last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        // Places emptied by a repair are skipped: the next row decides.
        let row = reads.read(middle, 1)?.pop();
        let logged = row.as_ref().and_then(|row| header(&row.body).ok()).map(|it| it.logged_at);
        match (row, logged) {
            (Some(row), Some(at)) if at < time => low = row.seq.max(middle) + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Calls `visit` for each attempt that matches, in order, until it returns false. Damaged records are passed over.
pub fn attempts(
    reads: &impl Reads,
    filter: &Filter,
    order: Order,
    visit: &mut dyn FnMut(Attempt) -> bool,
) -> Result<(), StorageError> {
    let mut matching =
        |attempt: Attempt| if filter.matches(&attempt) { visit(attempt) } else { true };
    match order {
        Order::Oldest => oldest_first(reads, filter, &mut matching),
        Order::Newest => newest_first(reads, filter, &mut matching),
    }
}

fn close(record: Record) -> Option<(AttemptKey, Closed)> {
    match record {
        Record::Settlement(it) => Some((it.id, Closed::Settled(it))),
        Record::WriteOff(it) => Some((it.id, Closed::WrittenOff(it))),
        _ => None,
    }
}

fn begin(seq: Seq, record: &Record) -> Option<Attempt> {
    match record {
        Record::Intent(it) => {
            let what = What::Tried { intent: it.clone(), closed: None };
            Some(Attempt { seq, id: it.id, at: it.admitted_at, what })
        }
        Record::Refusal(it) => {
            let id = AttemptKey { request: it.request, call: 0, attempt: 0 };
            Some(Attempt { seq, id, at: it.at, what: What::Refused(it.clone()) })
        }
        _ => None,
    }
}

/// Attempts wait in line until they and all before them are closed.
fn oldest_first(
    reads: &impl Reads,
    filter: &Filter,
    visit: &mut dyn FnMut(Attempt) -> bool,
) -> Result<(), StorageError> {
    let from = filter.since.map_or(Ok(1), |since| first_at(reads, since))?;
    let mut line: VecDeque<Attempt> = VecDeque::new();
    // An attempt's place in line is its number in order of arrival minus those that left.
    let mut place: BTreeMap<AttemptKey, usize> = BTreeMap::new();
    let (mut arrived, mut left, mut go_on) = (0, 0, true);
    each_row(reads, from, &mut |row| {
        let Ok((header, record)) = decode(&row.body) else { return true };
        if let Some(attempt) = begin(row.seq, &record) {
            // Past the end of the span nothing new joins; those in line may still be closed.
            if filter.until.is_none_or(|until| header.logged_at < until) || attempt.at < far(filter)
            {
                place.insert(attempt.id, arrived);
                arrived += 1;
                line.push_back(attempt);
            }
        } else if let Some((id, end)) = close(record)
            && let Some(at) = place.get(&id).and_then(|it| it.checked_sub(left))
            && let Some(Attempt { what: What::Tried { closed, .. }, .. }) = line.get_mut(at)
        {
            *closed = Some(end);
        }
        while let Some(front) = line.pop_front_if(|it| is_closed(it)) {
            place.remove(&front.id);
            left += 1;
            go_on = go_on && visit(front);
        }
        go_on
    })?;
    for attempt in line {
        go_on = go_on && visit(attempt);
    }
    Ok(())
}

fn far(filter: &Filter) -> UnixMicros {
    filter.until.unwrap_or(UnixMicros::from_micros(i64::MAX))
}

fn is_closed(attempt: &Attempt) -> bool {
    !matches!(attempt.what, What::Tried { closed: None, .. })
}

/// Walking backward an attempt's end comes before its beginning.
fn newest_first(
    reads: &impl Reads,
    filter: &Filter,
    visit: &mut dyn FnMut(Attempt) -> bool,
) -> Result<(), StorageError> {
    let Some((first, mut last)) = reads.bounds()? else { return Ok(()) };
    let stop_at = filter.since.map_or(Ok(first), |since| first_at(reads, since))?;
    let mut ends: BTreeMap<AttemptKey, Closed> = BTreeMap::new();
    loop {
        let from = last.saturating_sub(CHUNK - 1).max(stop_at);
        if from > last {
            return Ok(());
        }
        let rows = reads.read(from, usize::try_from(last - from + 1).unwrap_or(1))?;
        for row in rows.into_iter().rev().filter(|row| row.seq <= last) {
            let Ok((_, record)) = decode(&row.body) else { continue };
            if let Some(mut attempt) = begin(row.seq, &record) {
                if let What::Tried { closed, .. } = &mut attempt.what {
                    *closed = ends.remove(&attempt.id);
                }
                if !visit(attempt) {
                    return Ok(());
                }
            } else if let Some((id, end)) = close(record) {
                ends.insert(id, end);
            }
        }
        if from <= stop_at {
            return Ok(());
        }
        last = from - 1;
    }
}

/// Every record of one request, in order: intents, settlements, write-offs or its refusal.
pub fn request(reads: &impl Reads, id: RequestId) -> Result<Vec<(Seq, Record)>, StorageError> {
    let mut found = Vec::new();
    let (mut open, mut closed) = (0_u32, 0_u32);
    let until = id.made_at().plus_micros(REQUEST_SPAN_MICROS);
    // `logged_at` is at least the record's own time, so the request can't stand before this place.
    let from = first_at(reads, id.made_at())?;
    each_row(reads, from, &mut |row: Row| {
        let Ok(header) = header(&row.body) else { return true };
        if header.attempt.is_some_and(|attempt| attempt.request == id)
            && let Ok((_, record)) = decode(&row.body)
        {
            match &record {
                Record::Intent(_) => open += 1,
                _ => closed += 1,
            }
            found.push((row.seq, record));
        }
        found.is_empty() || open > closed || header.logged_at < until
    })?;
    Ok(found)
}

/// What usage is grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Application.
    App,
    /// Team.
    Team,
    /// Key.
    Key,
    /// The provider's model id.
    Model,
    /// Provider.
    Provider,
    /// The name asked for.
    Capability,
    /// Calendar day of admission, in the caller's zone.
    Day,
}

impl GroupBy {
    /// The word on the command line.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "app" => Self::App,
            "team" => Self::Team,
            "key" => Self::Key,
            "model" => Self::Model,
            "provider" => Self::Provider,
            "capability" => Self::Capability,
            "day" => Self::Day,
            _ => return None,
        })
    }
}

/// Sums of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRow {
    /// The group's name; `-` where an attempt has none.
    pub group: String,
    /// Requests: distinct request ids.
    pub requests: u64,
    /// Attempts.
    pub attempts: u64,
    /// Refused requests.
    pub refused: u64,
    /// Attempts that ended neither well nor by the client's leaving.
    pub errors: u64,
    /// Attempts that nobody closed.
    pub unsettled: u64,
    /// Fresh input tokens.
    pub input: u64,
    /// Tokens read from prompt caches.
    pub cache_read: u64,
    /// Tokens written to prompt caches, both lifetimes.
    pub cache_write: u64,
    /// Visible output tokens.
    pub output: u64,
    /// Reasoning tokens.
    pub reasoning: u64,
    /// Audio and image tokens.
    pub media: u64,
    /// Sum of known costs.
    pub cost: MoneySum,
    /// Of it, from counted or bounded usage.
    pub cost_estimated: MoneySum,
    /// Settled attempts without a known price.
    pub unpriced: u64,
}

impl UsageRow {
    /// Share of the cost that is estimated, in 1/10,000.
    pub fn estimated_share(&self) -> u64 {
        let (part, whole) = (self.cost_estimated.pico(), self.cost.pico());
        if whole <= 0 { 0 } else { u64::try_from(part.max(0) * 10_000 / whole).unwrap_or(0) }
    }

    fn add(&mut self, attempt: &Attempt) {
        let outcome = attempt.outcome();
        match outcome {
            OutcomeClass::Refused => self.refused += 1,
            OutcomeClass::Unsettled => self.unsettled += 1,
            OutcomeClass::Ok | OutcomeClass::ClientGone => {}
            OutcomeClass::Failed
            | OutcomeClass::Interrupted
            | OutcomeClass::WrittenOff
            | OutcomeClass::Internal => self.errors += 1,
        }
        self.attempts += u64::from(attempt.intent().is_some());
        let Some(settled) = attempt.settlement() else { return };
        let usage = &settled.usage;
        self.input += usage.input;
        self.cache_read += usage.cache_read;
        self.cache_write += usage.cache_write.saturating_add(usage.cache_write_long);
        self.output += usage.output;
        self.reasoning += usage.reasoning;
        self.media +=
            usage.audio_input.saturating_add(usage.audio_output).saturating_add(usage.image_input);
        match settled.cost {
            None => self.unpriced += 1,
            Some(cost) => {
                self.cost += cost.into();
                if settled.quality != UsageQuality::Reported {
                    self.cost_estimated += cost.into();
                }
            }
        }
    }
}

/// Sums by group, sorted by name; the last element is the total, named `total`. `day` turns an admission time
/// into the name of its day in whatever zone the caller wants.
pub fn usage(
    reads: &impl Reads,
    filter: &Filter,
    by: GroupBy,
    day: &dyn Fn(UnixMicros) -> String,
) -> Result<Vec<UsageRow>, StorageError> {
    let mut groups: BTreeMap<String, UsageRow> = BTreeMap::new();
    let mut total = UsageRow { group: "total".to_owned(), ..UsageRow::default() };
    attempts(reads, filter, Order::Oldest, &mut |attempt| {
        let name = group_of(&attempt, by, day).unwrap_or_else(|| "-".to_owned());
        let row = groups.entry(name).or_default();
        // A request's first attempt (or its refusal) stands for the request.
        let first = attempt.id.call == 0 && attempt.id.attempt == 0;
        for row in [row, &mut total] {
            row.requests += u64::from(first);
            row.add(&attempt);
        }
        true
    })?;
    let named = groups.into_iter().map(|(group, row)| UsageRow { group, ..row });
    Ok(named.chain([total]).collect())
}

fn group_of(attempt: &Attempt, by: GroupBy, day: &dyn Fn(UnixMicros) -> String) -> Option<String> {
    let intent = attempt.intent();
    match by {
        GroupBy::App => attempt.app().map(str::to_owned),
        GroupBy::Team => attempt.team().map(str::to_owned),
        GroupBy::Key => attempt.key().map(str::to_owned),
        GroupBy::Capability => attempt.capability().map(str::to_owned),
        GroupBy::Model => intent.map(|it| it.offer.model().to_string()),
        GroupBy::Provider => intent.map(|it| it.offer.provider().to_string()),
        GroupBy::Day => Some(day(attempt.at)),
    }
}
