//! `outrigger ledger verify`: reads the whole log and names everything that contradicts the invariants.
//!
//! What a log alone can tell of I1 to I6: no settlement without an intent and one settlement per attempt (I2,
//! I3); no hard limit passed at any prefix (I4); reserved = settled + released, no stale reservation (I5); chain,
//! numbering, signatures (I6); that the stored snapshot is the sum of the rows (I3). That every answered request
//! has a row (I1) and that nothing was sent without one (I2) needs the other side's journal: the tests have it.

use domain::{MoneySum, UnixMicros};

use crate::chain::{
    CheckSignature, GENESIS, Hash, SignedHead, checkpoint_message, expected_hash, stored_hash,
};
use crate::encode::decode;
use crate::record::{Checkpoint, Damaged, Record, Seq, Settlement};
use crate::replay::{Fault, Open, Replay, decode_snapshot, encode_snapshot};
use crate::storage::{META_CHECKPOINT, META_HEAD, META_SNAPSHOT, Reads, Row, StorageError};

/// Rows read at a time.
const CHUNK: usize = 2_048;
/// Most faults that are listed; all are counted.
const FAULTS_MAX: usize = 1_000;
/// How long past its deadline a reservation may be open.
const GRACE_MICROS: i64 = 60_000_000;

/// Follows the chain from row to row.
#[derive(Debug)]
pub struct Walk {
    next: Seq,
    /// Hashes that the next row may continue from; empty: taken at its word.
    previous: Vec<Hash>,
    repaired: Vec<Damaged>,
}

/// What a row is.
#[derive(Debug)]
pub enum Step {
    /// As it was written.
    Intact(Box<Record>),
    /// Not as it was written: why.
    Damaged(String),
}

impl Walk {
    /// From the row after `seq`, whose chain hash is known. `repaired` are the places that repairs emptied.
    pub fn after(seq: Seq, hash: Hash, repaired: Vec<Damaged>) -> Self {
        Self { next: seq + 1, previous: vec![hash], repaired }
    }

    /// Takes the next row; reports missing ones before it.
    pub fn step(&mut self, row: &Row, fault: &mut dyn FnMut(Fault)) -> Step {
        self.skip_to(row.seq, fault);
        let stored = stored_hash(&row.body);
        let expected: Vec<Hash> =
            self.previous.iter().map(|previous| expected_hash(previous, &row.body)).collect();
        let linked = stored.is_some_and(|it| expected.is_empty() || expected.contains(&it));
        self.next = row.seq + 1;
        self.previous = expected;
        self.previous.extend(stored);
        if linked {
            self.previous = stored.into_iter().collect();
        }
        match decode(&row.body) {
            Ok((_, record)) if linked => Step::Intact(Box::new(record)),
            Ok(_) => Step::Damaged("its chain hash does not fit".to_owned()),
            Err(error) if linked => Step::Damaged(error.to_string()),
            Err(error) => Step::Damaged(format!("its chain hash does not fit, and the {error}")),
        }
    }

    fn skip_to(&mut self, seq: Seq, fault: &mut dyn FnMut(Fault)) {
        while self.next < seq {
            if let Some(damaged) = self.repaired.iter().find(|it| it.seq == self.next) {
                self.previous = damaged.chain.into_iter().collect();
                self.next += 1;
            } else {
                let repaired = self.repaired.iter().map(|it| it.seq);
                let to =
                    repaired.filter(|it| *it > self.next && *it < seq).min().unwrap_or(seq) - 1;
                fault(Fault::Missing { from: self.next, to });
                self.previous.clear();
                self.next = to + 1;
            }
        }
    }
}

/// Where a log begins: at its first record, or behind a checkpoint.
#[derive(Debug)]
pub struct Beginning {
    /// The state before the first row.
    pub replay: Replay,
    /// The chain hash before the first row.
    pub hash: Hash,
    /// The checkpoint that explains what is not there any more.
    pub checkpoint: Option<Checkpoint>,
}

/// Finds the beginning; `Err` of the inner result is a fault.
pub fn beginning(
    reads: &impl Reads,
    check: CheckSignature<'_>,
    track_closed: bool,
) -> Result<Result<Beginning, Fault>, StorageError> {
    let first = reads.bounds()?.map_or(1, |(first, _)| first);
    let fresh = || Beginning { replay: Replay::new(track_closed), hash: GENESIS, checkpoint: None };
    let Some(checkpoint) = newest_checkpoint(reads)? else {
        return Ok(Ok(fresh()));
    };
    if checkpoint.through + 1 < first {
        return Ok(Err(Fault::Missing { from: checkpoint.through + 1, to: first - 1 }));
    }
    if !check(&checkpoint.public_key, &checkpoint_message(&checkpoint), &checkpoint.signature) {
        return Ok(Err(Fault::Signature("the prune checkpoint".to_owned())));
    }
    let Ok(replay) = Replay::decode(&checkpoint.state) else {
        return Ok(Err(Fault::Signature("the prune checkpoint's balances".to_owned())));
    };
    let replay = if track_closed { replay.tracking() } else { replay };
    Ok(Ok(Beginning { replay, hash: checkpoint.chain, checkpoint: Some(checkpoint) }))
}

fn newest_checkpoint(reads: &impl Reads) -> Result<Option<Checkpoint>, StorageError> {
    let seq = reads.meta(META_CHECKPOINT)?.and_then(|it| <[u8; 8]>::try_from(it).ok());
    let Some(seq) = seq.map(u64::from_le_bytes) else { return Ok(None) };
    let Some(row) = reads.row(seq)? else { return Ok(None) };
    Ok(match decode(&row.body) {
        Ok((_, Record::Checkpoint(checkpoint))) => Some(*checkpoint),
        _ => None,
    })
}

/// The places that repairs emptied, from the repair records at or after `from`.
pub(crate) fn repaired(reads: &impl Reads, from: Seq) -> Result<Vec<Damaged>, StorageError> {
    let mut all = Vec::new();
    // Repairs are rare: only a log that says it has some is read for them.
    if reads.meta(crate::storage::META_REPAIRED)?.is_none() {
        return Ok(all);
    }
    each_row(reads, from, &mut |row| {
        if let Ok((_, Record::Repair(repair))) = decode(&row.body) {
            all.extend(repair.damaged);
        }
        true
    })?;
    Ok(all)
}

/// Reads rows from a place on until the end or until told to stop.
pub(crate) fn each_row(
    reads: &impl Reads,
    mut from: Seq,
    visit: &mut dyn FnMut(Row) -> bool,
) -> Result<(), StorageError> {
    loop {
        let rows = reads.read(from, CHUNK)?;
        let Some(last) = rows.last() else { return Ok(()) };
        from = last.seq + 1;
        let short = rows.len() < CHUNK;
        for row in rows {
            if !visit(row) {
                return Ok(());
            }
        }
        if short {
            return Ok(());
        }
    }
}

/// The state at the log's end, from the snapshot and the tail behind it, which is checked. `Err` of the inner
/// result names the first thing that does not fit.
pub fn restore(
    reads: &impl Reads,
    check: CheckSignature<'_>,
) -> Result<Result<Replay, Fault>, StorageError> {
    let (mut replay, hash) = match snapshot(reads)? {
        Some(found) => found,
        None => match beginning(reads, check, false)? {
            Ok(beginning) => (beginning.replay, beginning.hash),
            Err(fault) => return Ok(Err(fault)),
        },
    };
    let mut first: Option<Fault> = None;
    let mut walk = Walk::after(replay.seq, hash, repaired(reads, replay.seq + 1)?);
    let mut last_at = UnixMicros::default();
    each_row(reads, replay.seq + 1, &mut |row| {
        let mut note = |fault: Fault| {
            first.get_or_insert(fault);
        };
        match walk.step(&row, &mut note) {
            Step::Damaged(what) => note(Fault::Damaged { seq: row.seq, what }),
            Step::Intact(record) => {
                last_at = last_at.max(record.at());
                // What the records say is `verify`'s business: a start needs the sums, and their bytes intact.
                replay.apply(row.seq, *record, &mut |_| {});
            }
        }
        first.is_none()
    })?;
    if let Some(fault) = first.or(cut_tail(reads, replay.seq)?) {
        return Ok(Err(fault));
    }
    replay.forget(last_at);
    Ok(Ok(replay))
}

fn cut_tail(reads: &impl Reads, last: Seq) -> Result<Option<Fault>, StorageError> {
    let Some(bytes) = reads.meta(META_HEAD)? else { return Ok(None) };
    let Ok(head) = SignedHead::decode(&bytes) else {
        return Ok(Some(Fault::Signature("the log's head".to_owned())));
    };
    Ok((head.seq > last).then_some(Fault::CutTail { last, signed: head.seq }))
}

/// The stored snapshot and the chain hash at its place, if it fits the log.
fn snapshot(reads: &impl Reads) -> Result<Option<(Replay, Hash)>, StorageError> {
    let Some(bytes) = reads.meta(META_SNAPSHOT)? else { return Ok(None) };
    let hash_at = |seq| reads.row(seq).ok().flatten().and_then(|row| stored_hash(&row.body));
    let Some(replay) = decode_snapshot(&bytes, hash_at) else { return Ok(None) };
    let hash = hash_at(replay.seq);
    Ok(hash.map(|hash| (replay, hash)))
}

/// A fresh snapshot of the state at the log's end, ready for [`META_SNAPSHOT`]; `None` where the log is empty
/// or does not fit together.
pub fn make_snapshot(
    reads: &impl Reads,
    check: CheckSignature<'_>,
) -> Result<Option<Vec<u8>>, StorageError> {
    let Ok(replay) = restore(reads, check)? else { return Ok(None) };
    let hash = reads.row(replay.seq)?.and_then(|row| stored_hash(&row.body));
    Ok(hash.map(|hash| encode_snapshot(&replay, &hash)))
}

/// What `verify` found.
#[derive(Debug, Default)]
pub struct Report {
    /// First and last record.
    pub range: Option<(Seq, Seq)>,
    /// Records read.
    pub records: u64,
    /// Intents among them.
    pub intents: u64,
    /// Settlements.
    pub settlements: u64,
    /// Write-offs.
    pub write_offs: u64,
    /// Refusals.
    pub refusals: u64,
    /// Sum of known costs.
    pub cost: MoneySum,
    /// Of it, from usage that was counted or bounded rather than reported.
    pub cost_estimated: MoneySum,
    /// Settlements without a known price.
    pub unpriced: u64,
    /// Settlements above their reservation.
    pub over_bound: u64,
    /// Attempts of earlier processes that nobody closed.
    pub unsettled: Vec<Open>,
    /// Attempts under way in the running process.
    pub in_flight: u64,
    /// Places emptied by repairs.
    pub repaired: Vec<Seq>,
    /// Settlements whose intent is among the places emptied by a repair: no fault of their own.
    pub orphans: u64,
    /// The prune checkpoint, if there is one: records up to it are gone, their sums are signed.
    pub pruned_through: Option<Seq>,
    /// The signed head, if its signature holds.
    pub head: Option<SignedHead>,
    /// What contradicts the invariants; at most 1,000 are listed.
    pub faults: Vec<Fault>,
    /// How many there are.
    pub fault_count: u64,
    /// The state at the end.
    pub replay: Replay,
}

impl Report {
    /// Whether every invariant holds.
    pub fn is_sound(&self) -> bool {
        self.fault_count == 0
    }

    fn fault(&mut self, fault: Fault) {
        if matches!(fault, Fault::NoIntent { .. }) && !self.repaired.is_empty() {
            self.orphans += 1;
            return;
        }
        self.fault_count += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    fn count(&mut self, record: &Record) {
        match record {
            Record::Intent(_) => self.intents += 1,
            Record::Settlement(it) => self.count_settlement(it),
            Record::WriteOff(_) => self.write_offs += 1,
            Record::Refusal(_) => self.refusals += 1,
            Record::Start(_)
            | Record::Stop(_)
            | Record::Config(_)
            | Record::Key(_)
            | Record::Checkpoint(_)
            | Record::Repair(_) => {}
        }
    }

    fn count_settlement(&mut self, it: &Settlement) {
        self.settlements += 1;
        let Some(cost) = it.cost else {
            self.unpriced += 1;
            return;
        };
        self.cost += cost.into();
        if it.quality != domain::UsageQuality::Reported {
            self.cost_estimated += cost.into();
        }
    }
}

/// Reads everything and says what is wrong. `now` decides what is stale: pass `None` where no process runs.
/// `public_key` is the key noted elsewhere; without one the key stored beside the log is believed.
pub fn verify(
    reads: &impl Reads,
    check: CheckSignature<'_>,
    public_key: Option<[u8; 32]>,
    now: Option<UnixMicros>,
) -> Result<Report, StorageError> {
    let mut report = Report { range: reads.bounds()?, ..Report::default() };
    let (mut replay, hash) = match beginning(reads, check, true)? {
        Ok(beginning) => {
            report.pruned_through = beginning.checkpoint.as_ref().map(|it| it.through);
            (beginning.replay, beginning.hash)
        }
        Err(fault) => {
            report.fault(fault);
            (Replay::new(true), GENESIS)
        }
    };
    let (head, snapshot) = (reads.meta(META_HEAD)?, reads.meta(META_SNAPSHOT)?);
    let head = head.map(|bytes| SignedHead::decode(&bytes));
    let repaired = repaired(reads, replay.seq + 1)?;
    report.repaired = repaired.iter().map(|it| it.seq).collect();
    let mut walk = Walk::after(replay.seq, hash, repaired);
    let mut head_fits = true;
    each_row(reads, replay.seq + 1, &mut |row| {
        report.records += 1;
        match walk.step(&row, &mut |fault| report.fault(fault)) {
            Step::Damaged(what) => report.fault(Fault::Damaged { seq: row.seq, what }),
            Step::Intact(record) => {
                report.count(&record);
                let at = record.at();
                replay.apply(row.seq, *record, &mut |fault| report.fault(fault));
                if row.seq % 65_536 == 0 {
                    replay.forget(at);
                }
            }
        }
        if let Some(Ok(head)) = &head
            && head.seq == row.seq
        {
            head_fits = stored_hash(&row.body) == Some(head.hash);
        }
        if let Some(bytes) = &snapshot
            && let Some(stored) =
                decode_snapshot(bytes, |seq| (seq == row.seq).then(|| stored_hash(&row.body))?)
            && !stored.same_sums(&replay)
        {
            report.fault(Fault::Snapshot { seq: row.seq });
        }
        true
    })?;
    let last = report.range.map_or(0, |(_, last)| last);
    check_head(&mut report, head.as_ref(), head_fits, last, check, public_key);
    finish(&mut report, replay, now);
    Ok(report)
}

fn check_head(
    report: &mut Report,
    head: Option<&Result<SignedHead, crate::DecodeError>>,
    fits: bool,
    last: Seq,
    check: CheckSignature<'_>,
    public_key: Option<[u8; 32]>,
) {
    let refused = || Fault::Signature("the log's head".to_owned());
    match head {
        None => {}
        Some(Err(_)) => report.fault(refused()),
        Some(Ok(head)) => {
            let ours = public_key.is_none_or(|key| key == head.public_key);
            if !ours || !fits || !head.holds(check) {
                report.fault(refused());
            } else if head.seq > last {
                report.fault(Fault::CutTail { last, signed: head.seq });
            } else {
                report.head = Some(*head);
            }
        }
    }
}

fn finish(report: &mut Report, replay: Replay, now: Option<UnixMicros>) {
    report.over_bound = replay.over_bound;
    report.unsettled = replay.unsettled().cloned().collect();
    report.in_flight = (replay.open.len() - report.unsettled.len()) as u64;
    if let Some(now) = now {
        let stale: Vec<Fault> = replay
            .open
            .values()
            .filter(|open| open.seq > replay.started)
            .filter(|open| open.intent.deadline.plus_micros(GRACE_MICROS) < now)
            .map(|open| Fault::Stale {
                seq: open.seq,
                id: open.intent.id,
                deadline: open.intent.deadline,
            })
            .collect();
        for fault in stale {
            report.fault(fault);
        }
    }
    report.replay = replay;
}
