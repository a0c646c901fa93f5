//! The ledger and the keys in one data folder, on SQLite.
//!
//! **The folder.** `ledger.db` (log, snapshot, signed head, keys), `kept.db` (what is kept that isn't the ledger: see
//! [`kept`]), `lock` (held while a process writes; names its
//! pid), `signing.key` (Ed25519 seed), `master.key` (unless the caller has one), `ballast` (space for bad days).
//! All mode 0600 in a folder of mode 0700.
//!
//! **Commit rules.** [`writer`] has one thread that commits groups; [`ledger::commit`] has the rules, in
//! particular what a failed commit means. SQLite runs in WAL mode with `synchronous=FULL`.
//!
//! **Recovery.** [`Store::open`] takes the lock, migrates the schema, loads the newest snapshot that fits the
//! chain, replays and checks the log's tail behind it, and returns the balances and every attempt that nobody
//! closed. A disk that fills up or fails later is survived without a restart: new requests are refused, the
//! handle is replaced, what was kept in memory is written.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod ballast;
mod clock;
mod files;
mod gather;
pub mod kept;
pub mod keys;
mod maintain;
pub mod seal;
mod signing;
mod sqlite;
pub mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use ledger::Durability;
use ledger::chain::Signer;
use ledger::commit::Committer;
use ledger::replay::Replay;
use ledger::storage::{Reads, Row, StorageError};

pub use kept::bindings::{Binding, Bindings, Page, Thing};
pub use kept::responses::Responses;
pub use kept::{Kept, KeptError};
pub use keys::{
    KeyError, KeyKind, KeyRecord, KeyStore, KeyVerifier, NewKey, Presented, Secret, list_keys,
};
pub use maintain::{backup, repair};
pub use seal::{Purpose, SealError, Sealer};
pub use signing::{SigningKey, check_signature};
pub use sqlite::{SCHEMA_VERSION, SqliteStorage};
pub use writer::{LedgerUnavailable, LedgerWriter, Receipt, WriterState};

/// Why a data folder can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("{} is in use{}", dir.display(), pid.map_or(String::new(), |pid| format!(" by process {pid}")))]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// Who holds it, where the lock file says so.
        pid: Option<u32>,
    },
    /// A file can't be read or made.
    #[error("can't use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key file has another length than 32 bytes.
    #[error("{} is not a key file of ours: expected 32 bytes", path.display())]
    BadKeyFile {
        /// Which.
        path: PathBuf,
    },
    /// No random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The master key given is too short.
    #[error("the master key is too short: expected at least 16 bytes")]
    WeakMasterKey,
    /// The system's cryptography failed.
    #[error("the keys can't be opened")]
    Seal(#[from] SealError),
    /// The log's tail does not fit together.
    #[error("the ledger is damaged: {0}; `outrigger ledger repair` sets the damaged records aside")]
    Damaged(ledger::replay::Fault),
    /// SQLite failed.
    #[error("the ledger can't be opened")]
    Storage(#[from] StorageError),
    /// No thread.
    #[error("can't start the ledger's thread")]
    Thread(#[source] std::io::Error),
}

/// How to open a data folder.
#[derive(Clone)]
pub struct OpenOptions {
    /// The folder; made if missing.
    pub dir: PathBuf,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// `OUTRIGGER_MASTER_KEY`, where set; else a file in the folder.
    pub master_key: Option<Vec<u8>>,
    /// Space set aside for a full disk, bytes; 8 MiB by default, 0 for none.
    pub ballast_bytes: u64,
}

impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("OpenOptions")
            .field("dir", &self.dir)
            .field("durability", &self.durability)
            .field("ballast_bytes", &self.ballast_bytes)
            .finish_non_exhaustive()
    }
}

impl OpenOptions {
    /// Strict, a key file, 8 MiB of ballast.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            durability: Durability::Strict,
            master_key: None,
            ballast_bytes: 8 << 20,
        }
    }
}

/// An open data folder. Dropping it writes what is queued, signs the head and gives the folder free.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    writer: LedgerWriter,
    thread: Option<JoinHandle<()>>,
    signer: Arc<SigningKey>,
    master: seal::MasterKey,
    kept: Kept,
    _lock: File,
}

impl Store {
    /// Opens a folder for this process. The state returned has the balances and, in [`Replay::open`], the
    /// attempts of earlier processes that nobody closed. The caller appends [`ledger::Start`] before anything
    /// else: it is what marks them unsettled.
    pub fn open(options: &OpenOptions) -> Result<(Self, Replay), OpenError> {
        let dir = &options.dir;
        files::make_dir(dir)?;
        let lock = files::lock(dir)?;
        let seed = files::secret(dir, "signing.key")?;
        let signer = SigningKey::from_seed(seed.as_ref()).ok_or(OpenError::Random)?;
        let master = seal::MasterKey::of(options)?;
        let storage = SqliteStorage::open(dir)?;
        let replay =
            ledger::verify::restore(&storage, &check_signature)?.map_err(OpenError::Damaged)?;
        let committer = Committer::open(storage)?;
        let ballast = ballast::Ballast::new(dir.join("ballast"), options.ballast_bytes);
        if !ballast.restore() {
            tracing::warn!(bytes = options.ballast_bytes, "no space for the ballast");
        }
        let signer = Arc::new(signer);
        let started =
            writer::start(committer, Arc::clone(&signer), ballast, options.durability, dir.clone());
        let (writer, thread) = started.map_err(OpenError::Thread)?;
        let (dir, thread, kept) = (dir.clone(), Some(thread), Kept::new(dir));
        let store = Self { dir, writer, thread, signer, master, kept, _lock: lock };
        Ok((store, replay))
    }

    /// Opens only the reading side, beside a running process or without one.
    pub fn open_read_only(dir: &Path) -> Result<LedgerReader, OpenError> {
        Ok(LedgerReader(SqliteStorage::open_read_only(dir)?))
    }

    /// Where records go.
    pub fn writer(&self) -> LedgerWriter {
        self.writer.clone()
    }

    /// A reading side with a connection of its own; one per thread.
    pub fn reader(&self) -> Result<LedgerReader, OpenError> {
        Self::open_read_only(&self.dir)
    }

    /// The keys.
    pub fn keys(&self) -> Result<KeyStore, OpenError> {
        Ok(KeyStore::open(&self.dir, KeyVerifier::new(self.master.bytes())?)?)
    }

    /// What seals for that purpose under this folder's master key.
    ///
    /// # Errors
    /// [`SealError::Failed`].
    pub fn sealer(&self, purpose: Purpose) -> Result<Sealer, SealError> {
        Sealer::new(self.master.bytes(), purpose)
    }

    /// What is kept beside the ledger.
    pub fn kept(&self) -> Kept {
        self.kept.clone()
    }

    /// The files and batches that lie at providers.
    pub fn bindings(&self) -> Bindings {
        Bindings::new(self.kept())
    }

    /// The responses that applications build on.
    ///
    /// # Errors
    /// [`SealError::Failed`].
    pub fn responses(&self) -> Result<Responses, SealError> {
        Ok(Responses::new(self.kept(), self.sealer(Purpose("responses"))?))
    }

    /// The public key that verifies this ledger's signatures.
    pub fn public_key(&self) -> [u8; 32] {
        self.signer.public_key()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.kept.stop();
        self.writer.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the ledger's thread panicked");
        }
    }
}

/// Reads the log.
#[derive(Debug)]
pub struct LedgerReader(SqliteStorage);

impl Reads for LedgerReader {
    fn bounds(&self) -> Result<Option<(u64, u64)>, StorageError> {
        self.0.bounds()
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Row>, StorageError> {
        self.0.read(from, limit)
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.0.meta(key)
    }
}
