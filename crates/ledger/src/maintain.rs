//! Rare work on a log: pruning its beginning, setting damaged records aside.

use domain::UnixMicros;
use sha2::{Digest, Sha256};

use crate::chain::{
    Chain, CheckSignature, GENESIS, Hash, SignedHead, Signer, checkpoint_message, expected_hash,
    stored_hash,
};
use crate::commit::Committer;
use crate::encode::encode;
use crate::record::{Checkpoint, Damaged, Record, Repair, Seq, Word};
use crate::replay::Fault;
use crate::storage::{
    Batch, META_CHECKPOINT, META_HEAD, META_REPAIRED, META_SNAPSHOT, Reads, Row, Storage,
    StorageError,
};
use crate::verify::{Step, Walk, beginning, each_row};

/// Why maintenance was not done.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// The log does not fit together: repair first.
    #[error("the ledger is damaged")]
    Damaged(#[source] Fault),
    /// Storage failed.
    #[error("the ledger's storage failed")]
    Storage(#[from] StorageError),
}

/// A checkpoint over everything logged before `before`, to be given to [`prune`]; `None` when there is nothing.
/// Reads the pruned part: run it on a reading connection.
pub fn plan_prune(
    reads: &impl Reads,
    check: CheckSignature<'_>,
    before: UnixMicros,
    now: UnixMicros,
    signer: &dyn Signer,
) -> Result<Option<Checkpoint>, MaintainError> {
    let cut = crate::query::first_at(reads, before)?;
    // The last record always stays: the log continues from it.
    let last = reads.bounds()?.map_or(0, |(_, last)| last);
    let through = (cut - 1).min(last.saturating_sub(1));
    let start = beginning(reads, check, false)?.map_err(MaintainError::Damaged)?;
    let (mut replay, mut chain) = (start.replay, start.hash);
    if through <= replay.seq {
        return Ok(None);
    }
    let mut walk = Walk::after(replay.seq, chain, crate::verify::repaired(reads, replay.seq + 1)?);
    let (mut digest, mut removed, mut fault) = (Sha256::new(), 0, None);
    each_row(reads, replay.seq + 1, &mut |row| {
        if row.seq > through {
            return false;
        }
        match walk.step(&row, &mut |it| fault = fault.take().or(Some(it))) {
            Step::Intact(record) => replay.apply(row.seq, *record, &mut |_| {}),
            Step::Damaged(what) => fault = Some(Fault::Damaged { seq: row.seq, what }),
        }
        chain = stored_hash(&row.body).unwrap_or(GENESIS);
        digest.update(&row.body);
        removed += 1;
        fault.is_none()
    })?;
    if let Some(fault) = fault {
        return Err(MaintainError::Damaged(fault));
    }
    replay.forget(before);
    replay.seq = through;
    let mut checkpoint = Checkpoint {
        at: now,
        through,
        chain,
        removed,
        digest: digest.finalize().into(),
        state: replay.encode(),
        public_key: signer.public_key(),
        signature: [0; 64],
    };
    checkpoint.signature = signer.sign(&checkpoint_message(&checkpoint));
    Ok(Some(checkpoint))
}

/// Appends the checkpoint and removes what it stands for, in one transaction.
pub fn prune<S: Storage>(
    committer: &mut Committer<S>,
    checkpoint: Checkpoint,
    signer: &dyn Signer,
) -> Result<Seq, StorageError> {
    let through = checkpoint.through;
    let mut chain = *committer.chain();
    let mut body = encode(&Record::Checkpoint(Box::new(checkpoint)));
    let seq = chain.seal(&mut body);
    let meta = [
        (META_CHECKPOINT, Some(seq.to_le_bytes().to_vec())),
        (META_HEAD, Some(SignedHead::new(&chain, signer).encode())),
    ];
    let row = Row { seq, body };
    committer.maintain(&Batch {
        append: std::slice::from_ref(&row),
        meta: &meta,
        remove_through: Some(through),
        ..Batch::default()
    })?;
    Ok(seq)
}

/// What [`plan_repair`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// The damaged records that are there.
    pub present: Vec<(Seq, String)>,
    /// Ranges that are not there.
    pub missing: Vec<(Seq, Seq)>,
    /// What goes into the repair record: both.
    pub places: Vec<Damaged>,
    /// SHA-256 over the originals.
    pub digest: [u8; 32],
    /// Where the log ends once they are set aside.
    end: Option<Chain>,
}

/// Finds every record that is not as it was written. Intact records before, between and after are not touched.
pub fn plan_repair(reads: &impl Reads, check: CheckSignature<'_>) -> Result<Damage, StorageError> {
    let (seq, hash) = match beginning(reads, check, false)? {
        Ok(start) => (start.replay.seq, start.hash),
        Err(_) => (reads.bounds()?.map_or(0, |(first, _)| first - 1), GENESIS),
    };
    let mut damage = Damage::default();
    let mut walk = Walk::after(seq, hash, crate::verify::repaired(reads, seq + 1)?);
    let mut digest = Sha256::new();
    let mut previous: Option<Hash> = Some(hash);
    let mut candidates: Vec<Hash> = Vec::new();
    each_row(reads, seq + 1, &mut |row| {
        let mut missing = None;
        let step = walk.step(&row, &mut |fault| {
            if let Fault::Missing { from, to } = fault {
                missing = Some((from, to));
            }
        });
        if let Some((from, to)) = missing {
            damage.missing.push((from, to));
            damage.places.extend((from..=to).map(|seq| Damaged { seq, chain: None }));
            previous = None;
        }
        let stored = stored_hash(&row.body);
        match step {
            Step::Intact(_) => {
                // The record before was damaged: its true hash is the one that this record continues from.
                if !candidates.is_empty()
                    && let Some(place) = damage.places.last_mut()
                {
                    let proves = |hash: &&Hash| stored == Some(expected_hash(hash, &row.body));
                    place.chain = candidates.iter().find(proves).copied();
                }
                candidates.clear();
                damage.end = Chain::after(row.seq, &row.body);
                previous = stored;
            }
            Step::Damaged(what) => {
                let expected = previous.map(|hash| expected_hash(&hash, &row.body));
                candidates = expected.into_iter().chain(stored).collect();
                previous = stored;
                digest.update(&row.body);
                damage.present.push((row.seq, what));
                damage.places.push(Damaged { seq: row.seq, chain: None });
                let logged_at = damage.end.map_or(Chain::EMPTY.logged_at, |it| it.logged_at);
                damage.end = Some(Chain { seq: row.seq, hash: GENESIS, logged_at });
            }
        }
        true
    })?;
    damage.digest = digest.finalize().into();
    Ok(damage)
}

/// Sets damaged records aside (their bytes are kept) and appends a record that says so. The signed head, the
/// snapshot and a cut tail are dealt with too: a new head is signed. Returns the repair record's number.
pub fn repair<S: Storage>(
    storage: &mut S,
    damage: &Damage,
    signer: &dyn Signer,
    now: UnixMicros,
    by: Word,
) -> Result<Seq, StorageError> {
    let mut chain = damage.end.unwrap_or(Chain::EMPTY);
    if let Some(last) = damage.places.last()
        && last.seq >= chain.seq
    {
        chain.seq = last.seq;
        chain.hash = last.chain.unwrap_or(GENESIS);
    }
    let mut places = damage.places.clone();
    if let Some(bytes) = storage.meta(META_HEAD)?
        && let Ok(head) = SignedHead::decode(&bytes)
        && head.seq > chain.seq
    {
        // A cut tail: the places up to the signed head are given up by name, so numbers are never used twice.
        places.extend((chain.seq + 1..=head.seq).map(|seq| Damaged { seq, chain: None }));
        if let Some(last) = places.last_mut() {
            last.chain = Some(head.hash);
        }
        chain.seq = head.seq;
        chain.hash = head.hash;
    }
    let record = Repair { at: now, damaged: places, digest: damage.digest, by };
    let mut body = encode(&Record::Repair(Box::new(record)));
    let seq = chain.seal(&mut body);
    let meta = [
        (META_REPAIRED, Some(vec![1])),
        (META_SNAPSHOT, None),
        (META_HEAD, Some(SignedHead::new(&chain, signer).encode())),
    ];
    let set_aside: Vec<Seq> = damage.present.iter().map(|it| it.0).collect();
    let row = Row { seq, body };
    storage.commit(&Batch {
        append: std::slice::from_ref(&row),
        meta: &meta,
        set_aside: &set_aside,
        ..Batch::default()
    })?;
    Ok(seq)
}
