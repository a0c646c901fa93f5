//! Finding a request's records without an index and without reading everything.

use domain::{OutcomeClass, RequestId, UnixMicros};
use ledger::query::{self, Attempt, Closed, What};
use ledger::storage::{Reads, StorageError};
use ledger::{AttemptKey, Candidate, Kind, Record, Seq};
use store::LedgerReader;

use super::Account;

/// Most records that are read backward for the names of former offers.
const NAMES_ROWS_MAX: u64 = 50_000;
/// Records read at a time.
const CHUNK: usize = 256;
/// How long after its id was made a request's first record is looked for: its body may come slowly.
const ARRIVAL_MICROS: i64 = 600_000_000;
/// How long after a failed attempt the next one is looked for.
const NEXT_ATTEMPT_MICROS: i64 = 60_000_000;

/// Finds a request's records from the time in its id on, and stops as soon as no further one can come. The flag says
/// whether that point was reached within `rows` records.
pub(super) fn find(
    reader: &LedgerReader,
    id: RequestId,
    rows: usize,
    held: &dyn Fn(AttemptKey) -> bool,
) -> Result<(Vec<Attempt>, bool), StorageError> {
    let mut search = Search { id, attempts: Vec::new(), ended_at: None, restarted: false };
    let mut next = query::first_at(reader, id.made_at())?;
    let mut left = rows;
    while left > 0 {
        let chunk = reader.read(next, CHUNK.min(left))?;
        let Some(last) = chunk.last() else { return Ok((search.attempts, true)) };
        next = last.seq + 1;
        left -= chunk.len();
        for row in &chunk {
            let Ok(header) = ledger::encode::header(&row.body) else { continue };
            if header.attempt.is_some_and(|it| it.request == id) {
                if let Ok((_, record)) = ledger::decode(&row.body) {
                    search.take(row.seq, record);
                }
            } else {
                search.restarted |= header.kind == Kind::Start;
            }
            if search.is_over(header.logged_at, held) {
                return Ok((search.attempts, true));
            }
        }
    }
    Ok((search.attempts, false))
}

struct Search {
    id: RequestId,
    attempts: Vec<Attempt>,
    /// When its last attempt ended.
    ended_at: Option<UnixMicros>,
    /// Whether the process was started anew while an attempt was open.
    restarted: bool,
}

impl Search {
    fn take(&mut self, seq: Seq, record: Record) {
        let at = record.at();
        let (id, end) = match record {
            Record::Intent(intent) => {
                self.restarted = false;
                let (id, at) = (intent.id, intent.admitted_at);
                let what = What::Tried { intent, closed: None };
                self.attempts.push(Attempt { seq, id, at, what });
                return;
            }
            Record::Refusal(refusal) => {
                let id = AttemptKey { request: self.id, call: 0, attempt: 0 };
                self.attempts.push(Attempt { seq, id, at, what: What::Refused(refusal) });
                return;
            }
            Record::Settlement(it) => (it.id, Closed::Settled(it)),
            Record::WriteOff(it) => (it.id, Closed::WrittenOff(it)),
            _ => return,
        };
        let attempt = self.attempts.iter_mut().find(|it| it.id == id);
        if let Some(Attempt { what: What::Tried { closed, .. }, .. }) = attempt {
            *closed = Some(end);
            self.ended_at = Some(at);
        }
    }

    fn is_over(&self, logged_at: UnixMicros, held: &dyn Fn(AttemptKey) -> bool) -> bool {
        let Some(last) = self.attempts.last() else {
            return logged_at > self.id.made_at().plus_micros(ARRIVAL_MICROS);
        };
        let mut open =
            self.attempts.iter().filter(|it| it.outcome() == OutcomeClass::Unsettled).peekable();
        if open.peek().is_some() {
            // What an earlier process left open and nobody closed since is held in memory.
            return self.restarted && open.all(|it| held(it.id));
        }
        // Only after a failure is there another attempt; one failed call fails its siblings.
        let mut newest = self.attempts.iter().filter(|it| it.id.attempt == last.id.attempt);
        let may_go_on = newest
            .any(|it| matches!(it.outcome(), OutcomeClass::Failed | OutcomeClass::WrittenOff));
        let ended = self.ended_at.unwrap_or(last.at);
        !may_go_on || logged_at > ended.plus_micros(NEXT_ATTEMPT_MICROS)
    }
}

/// The candidates by name. The ledger keeps short codes; what they stand for is looked up among the offers that were
/// tried, those that are `configured`, and, if that is not enough, those of the configuration of that time.
pub(super) fn name_candidates(
    configured: Vec<String>,
    reader: &LedgerReader,
    account: &Account,
) -> Result<Vec<(String, u8)>, StorageError> {
    let Some(first) = account.attempts().next() else { return Ok(Vec::new()) };
    let candidates: &[Candidate] = match &first.what {
        What::Tried { intent, .. } => &intent.candidates,
        What::Refused(refusal) => &refusal.candidates,
    };
    let mut names: Vec<String> = Vec::new();
    for attempt in account.attempts() {
        names.extend(attempt.intent().map(|it| it.offer.to_string()));
        names.extend(attempt.capability().map(str::to_owned));
    }
    names.extend(configured);
    let named = |names: &[String], code: u32| {
        names.iter().find(|name| ledger::offer_code(name) == code).cloned()
    };
    if candidates.iter().any(|it| named(&names, it.offer).is_none()) {
        names.extend(former_offers(reader, first.seq)?);
    }
    let name = |code: u32| named(&names, code).unwrap_or_else(|| format!("offer {code:08x}"));
    Ok(candidates.iter().map(|it| (name(it.offer), it.reason)).collect())
}

/// The offers of the configuration that was in force at a record.
fn former_offers(reader: &LedgerReader, at: Seq) -> Result<Vec<String>, StorageError> {
    let first = at.saturating_sub(NAMES_ROWS_MAX);
    let mut end = at;
    while end > first {
        let from = end.saturating_sub(CHUNK as u64).max(first);
        let limit = usize::try_from(end - from).unwrap_or(CHUNK);
        for row in reader.read(from, limit)?.iter().rev().filter(|row| row.seq < end) {
            let config = ledger::encode::header(&row.body).is_ok_and(|it| it.kind == Kind::Config);
            if config && let Ok((_, Record::Config(change))) = ledger::decode(&row.body) {
                return Ok(change.offers.iter().map(ToString::to_string).collect());
            }
        }
        end = from;
    }
    Ok(Vec::new())
}
