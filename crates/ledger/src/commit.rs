//! Group commit, and what happens when storage fails.
//!
//! A [`Submission`] is a record and a ticket for whoever waits. After a failed commit nobody knows whether the
//! group is on disk (a failed fsync may have written; ENOSPC may have come before or after). So:
//!
//! 1. Everyone in the group is told `Unavailable` at once, and so is everyone who comes while storage is away.
//! 2. Records that must not be lost (`keep`: settlements, write-offs, and in relaxed durability everything,
//!    because it was acknowledged already) stay in memory, bounded, in order.
//! 3. [`Committer::recover`] throws the handle away, opens a new one and looks: either the log still ends
//!    before the group, or it ends with exactly the group (a group is one transaction). Anything else is damage.
//! 4. If the group is there after all, intents in it whose owners were told `Unavailable` were never sent:
//!    they are written off by the gateway, with that reason. If it is not there, its kept records go first.
//! 5. Then the kept records are committed, and only then is the ledger available again.
//! 6. A settlement whose intent was refused is dropped, whenever it comes: a client that left while the commit was still
//!    pending settles an attempt that, as it turns out, has never been on record. Nothing was sent for it.

use std::collections::VecDeque;

use domain::UnixMicros;

use crate::chain::{Chain, SignedHead, Signer};
use crate::encode::{decode, encode, header};
use crate::record::{Amount, AttemptKey, Kind, Record, Seq, WriteOff};
use crate::storage::{Batch, META_HEAD, Row, Storage, StorageError};

/// Most records that are kept in memory while storage is away.
pub const KEPT_MAX: usize = 200_000;
/// Most records in one group.
pub const GROUP_MAX: usize = 512;
/// Refused intents that are remembered, so that no settlement of theirs gets in. It comes at once or never: whoever hears of
/// the refusal settles nothing.
const REFUSED_MAX: usize = 65_536;

/// A record on its way into the log.
#[derive(Debug)]
pub struct Submission<T> {
    /// From [`encode`].
    pub body: Vec<u8>,
    /// Whether it must outlive a failure of storage.
    pub keep: bool,
    /// Who waits.
    pub ticket: T,
}

/// The record is not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger can't be written right now")]
pub struct Unavailable {
    /// Whether it is kept in memory and will be written when storage is back: don't submit it again.
    pub kept: bool,
}

/// Rows whose commit failed, with the unknown result.
#[derive(Debug)]
struct Doubt {
    rows: Vec<Row>,
    keep: Vec<bool>,
    /// The chain as it is if they were applied.
    after: Chain,
}

/// Writes groups to storage and survives its failures.
#[derive(Debug)]
pub struct Committer<S> {
    storage: S,
    chain: Chain,
    healthy: bool,
    doubt: Option<Doubt>,
    /// Kept records that came after the doubtful group.
    backlog: Vec<Vec<u8>>,
    /// Intents whose owners were told that they are not durable, the oldest first.
    refused: VecDeque<AttemptKey>,
    signed: Seq,
}

impl<S: Storage> Committer<S> {
    /// Continues the log that is in `storage`.
    pub fn open(storage: S) -> Result<Self, StorageError> {
        let chain = end_of(&storage)?;
        let signed = match storage.meta(META_HEAD)? {
            Some(bytes) => SignedHead::decode(&bytes).map_or(0, |head| head.seq),
            None => 0,
        };
        let (backlog, refused) = (Vec::new(), VecDeque::new());
        Ok(Self { storage, chain, healthy: true, doubt: None, backlog, refused, signed })
    }

    /// Where the log ends, as far as is certain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Whether records are accepted.
    pub fn is_healthy(&self) -> bool {
        self.healthy
    }

    /// Kept records that wait for storage to come back.
    pub fn kept(&self) -> usize {
        let doubtful =
            self.doubt.as_ref().map_or(0, |doubt| doubt.keep.iter().filter(|it| **it).count());
        self.backlog.len() + doubtful
    }

    /// Records written since the head was last signed.
    pub fn unsigned(&self) -> u64 {
        self.chain.seq.saturating_sub(self.signed)
    }

    /// The storage, for reading.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The storage. Whoever writes past the committer breaks the chain: for tests and repairs.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Commits a group, at most [`GROUP_MAX`] of it at a time, and answers every ticket. With a signer, the new
    /// head is signed in the same transaction.
    pub fn commit<T>(
        &mut self,
        group: Vec<Submission<T>>,
        signer: Option<&dyn Signer>,
        mut answer: impl FnMut(T, Result<Seq, Unavailable>),
    ) -> Result<(), StorageError> {
        if !self.healthy {
            self.turn_away(group, &mut answer);
            return Ok(());
        }
        let mut after = self.chain;
        let mut rows = Vec::with_capacity(group.len());
        let mut keep = Vec::with_capacity(group.len());
        let mut tickets = Vec::with_capacity(group.len());
        for mut submission in group {
            if self.settles_refused(&submission.body) {
                answer(submission.ticket, Err(Unavailable { kept: false }));
                continue;
            }
            let seq = after.seal(&mut submission.body);
            rows.push(Row { seq, body: submission.body });
            keep.push(submission.keep);
            tickets.push(submission.ticket);
        }
        if rows.is_empty() && signer.is_none() {
            return Ok(());
        }
        let written = self.write(&rows, after, signer);
        if written.is_ok() {
            for (ticket, row) in tickets.into_iter().zip(&rows) {
                answer(ticket, Ok(row.seq));
            }
        } else {
            for ((ticket, kept), row) in tickets.into_iter().zip(&keep).zip(&rows) {
                if !kept {
                    self.refuse(&row.body);
                }
                answer(ticket, Err(Unavailable { kept: *kept }));
            }
            self.doubt = Some(Doubt { rows, keep, after });
            self.healthy = false;
        }
        written
    }

    fn turn_away<T>(
        &mut self,
        group: Vec<Submission<T>>,
        answer: &mut impl FnMut(T, Result<Seq, Unavailable>),
    ) {
        for submission in group {
            let kept = submission.keep
                && self.kept() < KEPT_MAX
                && !self.settles_refused(&submission.body);
            if kept {
                self.backlog.push(submission.body);
            } else if !submission.keep {
                self.refuse(&submission.body);
            }
            answer(submission.ticket, Err(Unavailable { kept }));
        }
    }

    /// Remembers that an intent's owner was, or is about to be, told that it is not durable.
    pub fn refuse(&mut self, body: &[u8]) {
        if let Some(id) = attempt_of(body, &[Kind::Intent]) {
            if self.refused.len() >= REFUSED_MAX {
                self.refused.pop_front();
            }
            self.refused.push_back(id);
        }
    }

    /// Whether it settles an attempt of a refused intent. Write-offs are the ledger's own and may.
    fn settles_refused(&self, body: &[u8]) -> bool {
        // Nearly always empty: nothing is read of the record then.
        !self.refused.is_empty()
            && attempt_of(body, &[Kind::Settlement]).is_some_and(|id| self.refused.contains(&id))
    }

    fn write(
        &mut self,
        rows: &[Row],
        after: Chain,
        signer: Option<&dyn Signer>,
    ) -> Result<(), StorageError> {
        let head = signer.map(|signer| SignedHead::new(&after, signer).encode());
        let meta = head.map(|bytes| (META_HEAD, Some(bytes)));
        self.storage.commit(&Batch { append: rows, meta: meta.as_slice(), ..Batch::default() })?;
        self.chain = after;
        if meta.is_some() {
            self.signed = after.seq;
        }
        Ok(())
    }

    /// Signs the head as it is, if anything was written since it was signed last.
    pub fn sign(&mut self, signer: &dyn Signer) -> Result<(), StorageError> {
        if !self.healthy || self.unsigned() == 0 {
            return Ok(());
        }
        let written = self.write(&[], self.chain, Some(signer));
        self.poison_on_error(written)
    }

    /// Sets or removes named values, and removes or sets aside rows, beside the log.
    pub fn maintain(&mut self, batch: &Batch<'_>) -> Result<(), StorageError> {
        if !self.healthy {
            return Err(StorageError::Io("the ledger can't be written right now".into()));
        }
        let rows = batch.append;
        let written = self.storage.commit(batch);
        if written.is_ok()
            && let Some(row) = rows.last()
            && let Some(chain) = Chain::after(row.seq, &row.body)
        {
            self.chain = chain;
        }
        self.poison_on_error(written)
    }

    fn poison_on_error(&mut self, written: Result<(), StorageError>) -> Result<(), StorageError> {
        if written.is_err() {
            self.healthy = false;
        }
        written
    }

    /// Tries to become healthy again; see the module's rules. Does nothing while healthy.
    pub fn recover(&mut self, now: UnixMicros) -> Result<(), StorageError> {
        if self.healthy {
            return Ok(());
        }
        self.storage.reopen()?;
        let end = end_of(&self.storage)?;
        let mut first: Vec<Vec<u8>> = Vec::new();
        let mut written_off: Vec<Vec<u8>> = Vec::new();
        match self.doubt.take() {
            None => self.chain = self.same_or_maintained(end)?,
            Some(doubt) if end == self.chain => {
                let kept = doubt.rows.into_iter().zip(doubt.keep).filter(|(_, keep)| *keep);
                first.extend(kept.map(|(row, _)| row.body));
            }
            Some(doubt) if end == doubt.after => {
                // What the group itself closes needs no closing any more.
                let closing = [Kind::Settlement, Kind::WriteOff];
                let closed: Vec<AttemptKey> =
                    doubt.rows.iter().filter_map(|row| attempt_of(&row.body, &closing)).collect();
                let nacked = doubt.rows.iter().zip(&doubt.keep).filter(|(_, keep)| !**keep);
                let open = nacked.filter(|(row, _)| {
                    attempt_of(&row.body, &[Kind::Intent]).is_none_or(|id| !closed.contains(&id))
                });
                written_off.extend(open.filter_map(|(row, _)| write_off_unsent(&row.body, now)));
                self.chain = end;
            }
            Some(doubt) => {
                self.doubt = Some(doubt);
                return Err(diverged(&end));
            }
        }
        first.append(&mut self.backlog);
        first.retain(|body| !self.settles_refused(body));
        written_off.append(&mut first);
        self.healthy = true;
        self.write_kept(written_off)
    }

    /// After failed maintenance the log ends as before, or with the one record that maintenance appends.
    fn same_or_maintained(&self, end: Chain) -> Result<Chain, StorageError> {
        let expected = end.seq == self.chain.seq && end.hash == self.chain.hash;
        if expected || end.seq == self.chain.seq + 1 { Ok(end) } else { Err(diverged(&end)) }
    }

    fn write_kept(&mut self, mut bodies: Vec<Vec<u8>>) -> Result<(), StorageError> {
        while !bodies.is_empty() {
            let rest = bodies.split_off(bodies.len().min(GROUP_MAX));
            let group = bodies
                .into_iter()
                .map(|body| Submission { body, keep: true, ticket: () })
                .collect();
            if let Err(error) = self.commit(group, None, |(), _| {}) {
                self.backlog = rest;
                return Err(error);
            }
            bodies = rest;
        }
        Ok(())
    }
}

/// The attempt that a record of one of these kinds is about.
fn attempt_of(body: &[u8], kinds: &[Kind]) -> Option<AttemptKey> {
    let header = header(body).ok()?;
    kinds.contains(&header.kind).then_some(header.attempt).flatten()
}

fn diverged(end: &Chain) -> StorageError {
    StorageError::Damaged(format!("the log ends at record {} with an unknown hash", end.seq))
}

/// Where a log ends.
pub fn end_of(storage: &impl crate::storage::Reads) -> Result<Chain, StorageError> {
    let Some((_, last)) = storage.bounds()? else { return Ok(Chain::EMPTY) };
    let row = storage.row(last)?;
    row.and_then(|row| Chain::after(row.seq, &row.body)).ok_or_else(|| {
        StorageError::Damaged(format!("record {last}, the last one, is too short to be one"))
    })
}

/// The write-off of an intent whose owner was told that it is not durable: nothing was sent for it.
fn write_off_unsent(body: &[u8], now: UnixMicros) -> Option<Vec<u8>> {
    let (_, Record::Intent(intent)) = decode(body).ok()? else { return None };
    Some(encode(&Record::WriteOff(Box::new(WriteOff {
        id: intent.id,
        at: now,
        charged: Amount::ZERO,
        released: intent.reserved,
        why: "its commit was reported failed, so it was never sent".into(),
        by: "gateway".into(),
    }))))
}
