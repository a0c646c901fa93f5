//! What the ledger needs of whatever keeps its bytes. Small, so that a test can make any single operation fail.

use crate::record::Seq;

/// A record as stored: its place and its body (see [`crate::encode`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place.
    pub seq: Seq,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// Why storage failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No space left.
    #[error("no space left for the ledger")]
    Full,
    /// Reading or writing failed.
    #[error("the ledger's storage failed")]
    Io(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was read back is not what a ledger looks like.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
}

/// Reads.
pub trait Reads {
    /// First and last record's number; `None` while empty.
    fn bounds(&self) -> Result<Option<(Seq, Seq)>, StorageError>;

    /// At most `limit` rows with numbers from `from` on, ascending.
    fn read(&self, from: Seq, limit: usize) -> Result<Vec<Row>, StorageError>;

    /// A small named value beside the log.
    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError>;

    /// One row, if it is there.
    fn row(&self, seq: Seq) -> Result<Option<Row>, StorageError> {
        Ok(self.read(seq, 1)?.pop().filter(|row| row.seq == seq))
    }
}

/// One all-or-nothing change.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// Rows to add; their numbers follow the last.
    pub append: &'a [Row],
    /// Named values to set, or to remove.
    pub meta: &'a [(&'a str, Option<Vec<u8>>)],
    /// Removes every row up to this one.
    pub remove_through: Option<Seq>,
    /// Moves these rows into the side table of damaged originals.
    pub set_aside: &'a [Seq],
}

/// Reads and writes.
pub trait Storage: Reads {
    /// Applies a change: all of it, durable when this returns `Ok`. After an error nobody knows whether it was
    /// applied: call [`Storage::reopen`] and look.
    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StorageError>;

    /// Throws the handle away and opens a new one.
    fn reopen(&mut self) -> Result<(), StorageError>;
}

/// The signed head: [`crate::chain::SignedHead`].
pub const META_HEAD: &str = "head";
/// The snapshot of [`crate::replay::Replay`].
pub const META_SNAPSHOT: &str = "snapshot";
/// The number of the newest checkpoint record, 8 bytes little-endian: where a pruned log's beginning is explained.
pub const META_CHECKPOINT: &str = "checkpoint";
/// Present when the log has repair records.
pub const META_REPAIRED: &str = "repaired";
