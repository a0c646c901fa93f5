//! The log in one SQLite file.
//!
//! `log(seq INTEGER PRIMARY KEY, body BLOB)` has no secondary index: an append touches the last page only.
//! WAL with `synchronous=FULL`: a commit returns when the log frame is on disk. The write-ahead file is reused
//! after each checkpoint, so in the long run commits overwrite preallocated space. No mmap: an I/O error through
//! a mapping is a signal, not an error.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger::storage::{Batch, Reads, Row, Storage, StorageError};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

/// The ledger's file in the data folder.
pub(crate) const FILE: &str = "ledger.db";

/// Schema steps; a file at version n has had the first n applied. Steps are never edited, only added.
pub(crate) const MIGRATIONS: &[&str] = &[
    "CREATE TABLE log (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);
     CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
     CREATE TABLE credentials (
        public TEXT PRIMARY KEY, kind TEXT NOT NULL, app TEXT NOT NULL, team TEXT,
        created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER, hash BLOB NOT NULL,
        previous_hash BLOB, previous_until INTEGER, budgets TEXT NOT NULL
     ) WITHOUT ROWID;",
    "CREATE TABLE damaged (seq INTEGER NOT NULL, body BLOB NOT NULL);",
    "ALTER TABLE credentials ADD COLUMN capabilities TEXT NOT NULL DEFAULT '';",
    // The tables stay as they are, but records of format 2 come in: a program that can't read them would take them for
    // damage.
    "",
    "ALTER TABLE credentials ADD COLUMN sealed BLOB;
     ALTER TABLE credentials ADD COLUMN previous_sealed BLOB;",
];

/// The newest schema version.
pub const SCHEMA_VERSION: usize = MIGRATIONS.len();

/// SQLite as the ledger's storage.
#[derive(Debug)]
pub struct SqliteStorage {
    path: PathBuf,
    writable: bool,
    /// `None` between a failed handle and its successor.
    connection: Option<Connection>,
}

impl SqliteStorage {
    /// Opens for writing, making and migrating the file as needed.
    pub(crate) fn open(dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join(FILE);
        make_private(&path)?;
        let connection = connect(&path)?;
        migrate(&connection, MIGRATIONS)?;
        Ok(Self { path, writable: true, connection: Some(connection) })
    }

    /// Opens for reading only, beside whoever writes.
    pub(crate) fn open_read_only(dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join(FILE);
        let connection = connect_read_only(&path)?;
        Ok(Self { path, writable: false, connection: Some(connection) })
    }

    pub(crate) fn connection(&self) -> Result<&Connection, StorageError> {
        self.connection
            .as_ref()
            .ok_or_else(|| StorageError::Io("the ledger's file is not open".into()))
    }
}

/// Makes the file before SQLite does, readable by its owner only; SQLite gives its side files the same mode.
pub(crate) fn make_private(path: &Path) -> Result<(), StorageError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made =
        std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(|error| StorageError::Io(Box::new(error)))
}

/// Opens a writing connection with the settings everything here relies on.
pub(crate) fn connect(path: &Path) -> Result<Connection, StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA mmap_size=0;
             PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=2000;
             PRAGMA journal_size_limit=16777216;",
        )
        .map_err(failed)?;
    Ok(connection)
}

pub(crate) fn connect_read_only(path: &Path) -> Result<Connection, StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
    connection.execute_batch("PRAGMA mmap_size=0; PRAGMA cache_size=-2048;").map_err(failed)?;
    let version = schema_version(&connection)?;
    if version > SCHEMA_VERSION { Err(too_new(version, SCHEMA_VERSION)) } else { Ok(connection) }
}

fn schema_version(connection: &Connection) -> Result<usize, StorageError> {
    let version: u32 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    usize::try_from(version).map_err(|_| too_new(usize::MAX, 0))
}

fn too_new(version: usize, newest: usize) -> StorageError {
    StorageError::Damaged(format!(
        "its schema version {version} is newer than {newest}, the newest this program knows"
    ))
}

/// Brings a file forward to the newest of its schema versions, one transaction a step.
pub(crate) fn migrate(connection: &Connection, steps: &[&str]) -> Result<(), StorageError> {
    let version = schema_version(connection)?;
    if version > steps.len() {
        return Err(too_new(version, steps.len()));
    }
    for (index, step) in steps.iter().enumerate().skip(version) {
        let sql = format!("BEGIN IMMEDIATE; {step} PRAGMA user_version={}; COMMIT;", index + 1);
        connection.execute_batch(&sql).map_err(failed)?;
    }
    Ok(())
}

/// An error of SQLite in the ledger's words.
pub(crate) fn failed(error: rusqlite::Error) -> StorageError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StorageError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StorageError::Damaged(error.to_string())
        }
        _ => StorageError::Io(Box::new(error)),
    }
}

/// SQLite's integers are signed; a log never comes near the difference.
fn to_sql(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// The inverse of [`to_sql`]; a negative number is never written.
fn from_sql(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}

impl Reads for SqliteStorage {
    fn bounds(&self) -> Result<Option<(u64, u64)>, StorageError> {
        // Two scalar subqueries: each is one walk down the tree, where `min, max` together scan the table.
        let bounds: (Option<i64>, Option<i64>) = self
            .connection()?
            .prepare_cached("SELECT (SELECT min(seq) FROM log), (SELECT max(seq) FROM log)")
            .and_then(|mut query| query.query_row([], |row| Ok((row.get(0)?, row.get(1)?))))
            .map_err(failed)?;
        Ok(bounds.0.zip(bounds.1).map(|(first, last)| (from_sql(first), from_sql(last))))
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Row>, StorageError> {
        let mut query = self
            .connection()?
            .prepare_cached("SELECT seq, body FROM log WHERE seq >= ?1 ORDER BY seq LIMIT ?2")
            .map_err(failed)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query
            .query_map(params![to_sql(from), limit], |row| {
                Ok(Row { seq: from_sql(row.get(0)?), body: row.get(1)? })
            })
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.connection()?
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")
            .and_then(|mut query| query.query_row([key], |row| row.get(0)).optional())
            .map_err(failed)
    }
}

impl Storage for SqliteStorage {
    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StorageError> {
        let connection = self
            .connection
            .as_ref()
            .ok_or_else(|| StorageError::Io("the ledger's file is not open".into()))?;
        apply(connection, batch).map_err(failed)
    }

    fn reopen(&mut self) -> Result<(), StorageError> {
        // Closing may itself fail on a broken disk; the handle is gone either way.
        drop(self.connection.take());
        self.connection =
            Some(if self.writable { connect(&self.path)? } else { connect_read_only(&self.path)? });
        Ok(())
    }
}

/// One transaction. `BEGIN` and `COMMIT` are prepared once like everything else: parsing them anew would be a fifth of what a
/// commit costs on the processor.
fn apply(connection: &Connection, batch: &Batch<'_>) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let written =
        change(connection, batch).and_then(|()| connection.prepare_cached("COMMIT")?.execute([]));
    if written.is_err() && !connection.is_autocommit() {
        // The first error is the one to tell; a handle that can't even do this is thrown away by the caller.
        let _rolled_back = connection.execute_batch("ROLLBACK").is_ok();
    }
    written.map(drop)
}

fn change(connection: &Connection, batch: &Batch<'_>) -> rusqlite::Result<()> {
    if !batch.append.is_empty() {
        let mut insert =
            connection.prepare_cached("INSERT INTO log (seq, body) VALUES (?1, ?2)")?;
        for row in batch.append {
            insert.execute(params![to_sql(row.seq), row.body])?;
        }
    }
    for (key, value) in batch.meta {
        match value {
            Some(value) => connection
                .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
                .execute(params![key, value])?,
            None => connection
                .prepare_cached("DELETE FROM meta WHERE key = ?1")?
                .execute(params![key])?,
        };
    }
    if let Some(through) = batch.remove_through {
        connection.execute("DELETE FROM log WHERE seq <= ?1", [to_sql(through)])?;
    }
    for seq in batch.set_aside {
        connection.execute(
            "INSERT INTO damaged (seq, body) SELECT seq, body FROM log WHERE seq = ?1",
            [to_sql(*seq)],
        )?;
        connection.execute("DELETE FROM log WHERE seq = ?1", [to_sql(*seq)])?;
    }
    Ok(())
}
