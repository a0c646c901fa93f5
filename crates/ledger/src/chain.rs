//! The chain that links records, and the signature over its head.
//!
//! Changing, removing or inserting a record breaks every hash after it. What a chain alone can't show is a cut
//! tail: a log that ends early is a valid shorter log. So the head (last number and hash) is signed with an
//! Ed25519 key at every stop, at checkpoints, and every few thousand records or 60 s, and stored beside the
//! log. A cut *behind* the last signed head shows as "the log ends before its signed head". A cut of records
//! written *after* the last signature can't be told from a crash in strict mode; it is at most the interval
//! between signatures. Whoever holds the data folder holds the signing key too: the signature protects against
//! later tampering with copies and exports, and against tampering by anyone whom the key's file permissions
//! keep out, when the public key was noted elsewhere.

use sha2::{Digest, Sha256};

use domain::UnixMicros;

use crate::codec::{DecodeError, In, Out};
use crate::encode::{HASH_LEN, LOGGED_AT};
use crate::record::{Checkpoint, Seq};

/// A chain hash.
pub type Hash = [u8; HASH_LEN];

/// The hash before the first record.
pub const GENESIS: Hash = [0; HASH_LEN];

/// Where the log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The last record's number; 0 before the first.
    pub seq: Seq,
    /// The last record's hash.
    pub hash: Hash,
    /// The last record's `logged_at`.
    pub logged_at: UnixMicros,
}

impl Chain {
    /// An empty log.
    pub const EMPTY: Self =
        Self { seq: 0, hash: GENESIS, logged_at: UnixMicros::from_micros(i64::MIN) };

    /// The end after this last row; `None` where the body is too short to be one.
    pub fn after(seq: Seq, body: &[u8]) -> Option<Self> {
        let at = body.get(LOGGED_AT)?.try_into().ok()?;
        let logged_at = UnixMicros::from_micros(i64::from_le_bytes(at));
        Some(Self { seq, hash: stored_hash(body)?, logged_at })
    }

    /// Links an encoded body in: raises its `logged_at` to at least the previous record's and writes its hash.
    /// Returns its number.
    pub fn seal(&mut self, body: &mut [u8]) -> Seq {
        if let Some(field) = body.get_mut(LOGGED_AT)
            && let Ok(bytes) = <[u8; 8]>::try_from(&*field)
        {
            let own = UnixMicros::from_micros(i64::from_le_bytes(bytes));
            self.logged_at = self.logged_at.max(own);
            field.copy_from_slice(&self.logged_at.micros().to_le_bytes());
        }
        let split = body.len().saturating_sub(HASH_LEN);
        let (content, tail) = body.split_at_mut(split);
        self.hash = link(&self.hash, content);
        if tail.len() == HASH_LEN {
            tail.copy_from_slice(&self.hash);
        }
        self.seq += 1;
        self.seq
    }
}

/// The hash of a record with this content after a record with that hash.
pub fn link(previous: &Hash, content: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(content);
    hasher.finalize().into()
}

/// The hash that a body carries.
pub fn stored_hash(body: &[u8]) -> Option<Hash> {
    body.get(body.len().checked_sub(HASH_LEN)?..)?.try_into().ok()
}

/// The hash that a body should carry after a record with that hash.
pub fn expected_hash(previous: &Hash, body: &[u8]) -> Hash {
    let content = body.get(..body.len().saturating_sub(HASH_LEN)).unwrap_or_default();
    link(previous, content)
}

/// Makes signatures; the key stays outside of pure code.
pub trait Signer {
    /// The public key that verifies them.
    fn public_key(&self) -> [u8; 32];
    /// The Ed25519 signature of a message.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// Checks an Ed25519 signature: public key, message, signature.
pub type CheckSignature<'a> = &'a dyn Fn(&[u8; 32], &[u8], &[u8; 64]) -> bool;

/// The end of the log at some time, signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// The last record's number, which is also how many were ever written.
    pub seq: Seq,
    /// Its hash.
    pub hash: Hash,
    /// The last record's `logged_at`.
    pub at: UnixMicros,
    /// The ledger's public key.
    pub public_key: [u8; 32],
    /// Over [`head_message`].
    pub signature: [u8; 64],
}

impl SignedHead {
    /// Signs the end of a log.
    pub fn new(chain: &Chain, signer: &dyn Signer) -> Self {
        let signature = signer.sign(&head_message(chain.seq, &chain.hash, chain.logged_at));
        let public_key = signer.public_key();
        Self { seq: chain.seq, hash: chain.hash, at: chain.logged_at, public_key, signature }
    }

    /// Whether the signature holds.
    pub fn holds(&self, check: CheckSignature<'_>) -> bool {
        check(&self.public_key, &head_message(self.seq, &self.hash, self.at), &self.signature)
    }

    /// As stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.uint(self.seq);
        out.raw(&self.hash);
        out.time(self.at);
        out.raw(&self.public_key);
        out.raw(&self.signature);
        out.0
    }

    /// From stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = In(bytes);
        let head = Self {
            seq: from.uint("seq")?,
            hash: from.array("hash")?,
            at: from.time("at")?,
            public_key: from.array("public_key")?,
            signature: from.array("signature")?,
        };
        from.end()?;
        Ok(head)
    }
}

/// What is signed for a head.
pub fn head_message(seq: Seq, hash: &Hash, at: UnixMicros) -> Vec<u8> {
    let mut message = b"outrigger ledger head 1\0".to_vec();
    message.extend_from_slice(&seq.to_le_bytes());
    message.extend_from_slice(hash);
    message.extend_from_slice(&at.micros().to_le_bytes());
    message
}

/// What is signed for a checkpoint: everything in it but the signature.
pub fn checkpoint_message(it: &Checkpoint) -> Vec<u8> {
    let mut out = Out(b"outrigger ledger checkpoint 1\0".to_vec());
    out.time(it.at);
    out.uint(it.through);
    out.raw(&it.chain);
    out.uint(it.removed);
    out.raw(&it.digest);
    out.bytes(&it.state);
    out.raw(&it.public_key);
    out.0
}
