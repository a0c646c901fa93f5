//! What the gateway keeps that isn't the ledger: `kept.db`, beside `ledger.db`.
//!
//! The file and its threads are made at first use, so a gateway that keeps nothing has neither. One thread writes and
//! one reads, each with a connection of its own; callers hand work over and get a [`Pending`]. Changes that wait are
//! committed together, and are answered once they are on disk. A change that fails (a full disk above all) fails alone
//! where it can, is told to whoever asked for it, and touches the ledger in no way.
//!
//! Each kind of thing is a module here: its steps in [`STEPS`], its line in [`EXPIRED`], and the functions that hand
//! its work over. What is deleted is overwritten (`secure_delete`).

pub mod bindings;
mod lane;
pub mod responses;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use domain::UnixMicros;
use ledger::storage::StorageError;
use rusqlite::{Connection, params};

use crate::sqlite::{self, failed};
use lane::Lane;

pub use lane::{KeptError, Pending};

/// The file in the data folder.
const FILE: &str = "kept.db";

/// Schema steps; a file at version n has had the first n applied. Steps are never edited, only added.
const STEPS: &[&str] = &[responses::STEP, bindings::STEP];

/// What deletes the rows of each table whose time is over; `?1` is now, in microseconds.
const EXPIRED: &[&str] = &[responses::EXPIRED, bindings::EXPIRED];

/// Hands work to the file's threads. Cheap to clone; never blocks the caller on the disk.
#[derive(Clone, Debug)]
pub struct Kept {
    file: Arc<File>,
    writes: Arc<Lane>,
    reads: Arc<Lane>,
}

impl Kept {
    /// Of the data folder `dir`. Nothing is opened yet.
    pub(crate) fn new(dir: &Path) -> Self {
        let file = Arc::new(File { path: dir.join(FILE), opening: Mutex::new(()) });
        let lane = |name, begin| Arc::new(Lane::new(name, begin, Arc::clone(&file)));
        Self {
            writes: lane("outrigger-kept", "BEGIN IMMEDIATE"),
            reads: lane("outrigger-kept-r", "BEGIN"),
            file,
        }
    }

    /// Changes something; resolves once that is on disk.
    pub(crate) fn change<T, F>(&self, change: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, KeptError> + Send + 'static,
    {
        self.writes.hand_over(change)
    }

    /// Looks something up. What was changed before is seen once that change has resolved.
    pub(crate) fn look<T, F>(&self, look: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, KeptError> + Send + 'static,
    {
        self.reads.hand_over(look)
    }

    /// Whether anything was ever kept: without a file there is nothing to sweep or to purge.
    pub fn is_made(&self) -> bool {
        self.file.path.exists()
    }

    /// Deletes whatever was to be kept until `now` at most; how many rows that were.
    pub fn sweep(&self, now: UnixMicros) -> Pending<u64> {
        self.change(move |connection| {
            let mut rows = 0;
            for statement in EXPIRED {
                rows += connection.execute(statement, params![now.micros()])?;
            }
            Ok(rows as u64)
        })
    }

    /// Does what was handed over and ends the threads.
    pub(crate) fn stop(&self) {
        self.writes.stop();
        self.reads.stop();
    }
}

/// The file, opened by each lane for itself.
#[derive(Debug)]
struct File {
    path: PathBuf,
    /// Held while one lane opens: two must not bring a file forward at a time.
    opening: Mutex<()>,
}

impl File {
    fn open(&self) -> Result<Connection, StorageError> {
        let _alone = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        sqlite::make_private(&self.path)?;
        let connection = sqlite::connect(&self.path)?;
        connection.execute_batch("PRAGMA secure_delete=ON;").map_err(failed)?;
        sqlite::migrate(&connection, STEPS)?;
        Ok(connection)
    }
}
