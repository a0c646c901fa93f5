//! Responses that applications build on by their id: each with its own input and output, sealed, and the id of the one
//! before it.
//!
//! What is kept is bound to its application, its id and the id before it; moved to another row it does not open. A
//! response is kept for a time since it was made or last built upon. Where there is more than is allowed in all, those
//! whose time ends first go first.

use std::sync::Arc;

use domain::{AppName, UnixMicros};
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::{Kept, KeptError, Pending};
use crate::Sealer;

/// The tables. Texts are apart: to move a row's time must not mean to write its text again.
pub(super) const STEP: &str = "
    CREATE TABLE responses (
        number INTEGER PRIMARY KEY, app TEXT NOT NULL, id TEXT NOT NULL, previous TEXT,
        created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, bytes INTEGER NOT NULL, UNIQUE (app, id)
    );
    CREATE INDEX responses_by_end ON responses (expires_at);
    CREATE TABLE response_texts (number INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
    CREATE TABLE response_bytes (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL);
    INSERT INTO response_bytes VALUES (1, 0);
    CREATE TRIGGER response_kept AFTER INSERT ON responses BEGIN
        UPDATE response_bytes SET bytes = bytes + NEW.bytes;
    END;
    CREATE TRIGGER response_gone AFTER DELETE ON responses BEGIN
        DELETE FROM response_texts WHERE number = OLD.number;
        UPDATE response_bytes SET bytes = bytes - OLD.bytes;
    END;";

/// Deletes what has had its time.
pub(super) const EXPIRED: &str = "DELETE FROM responses WHERE expires_at <= ?1";

/// What a row costs beside its text, about; so that many small ones count as what they are.
const ROW_BYTES: u64 = 256;
/// How much longer an earlier response must be kept for its time to be moved: a conversation moves it once a day.
const MOVE_MICROS: i64 = 86_400 * 1_000_000;

/// A response to be kept.
#[derive(Debug)]
pub struct NewResponse {
    /// Whose.
    pub app: AppName,
    /// The id under which the client knows it.
    pub id: String,
    /// The response that it was built on.
    pub previous: Option<String>,
    /// When it was made.
    pub created_at: UnixMicros,
    /// Until when it is kept.
    pub expires_at: UnixMicros,
    /// What is to be had back.
    pub text: Vec<u8>,
}

/// What became of a response that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It is on disk.
    Done,
    /// The application has one of that id already; that one stays.
    IdTaken,
    /// It alone is larger than all that may be kept.
    TooLarge,
}

/// A response that was kept.
#[derive(Debug)]
pub struct KeptResponse {
    /// The id under which the client knows it.
    pub id: String,
    /// The response that it was built on.
    pub previous: Option<String>,
    /// When it was made.
    pub created_at: UnixMicros,
    /// What was to be had back.
    pub text: Zeroizing<Vec<u8>>,
}

/// The way from a conversation's first response to the one asked for.
#[derive(Debug)]
pub enum Chain {
    /// All of it, the first one first.
    Whole(Vec<KeptResponse>),
    /// The one of this id is not there: never made, made by another application, deleted, or its time is over.
    Missing(String),
    /// More than the responses allowed.
    TooLong,
    /// More than the bytes allowed.
    TooLarge,
}

/// What a conversation may be at most.
#[derive(Clone, Copy, Debug)]
pub struct ChainBounds {
    /// Responses.
    pub responses: usize,
    /// Bytes of their texts.
    pub bytes: u64,
}

/// The responses of all applications.
#[derive(Clone, Debug)]
pub struct Responses {
    kept: Kept,
    sealer: Sealer,
}

impl Responses {
    pub(crate) fn new(kept: Kept, sealer: Sealer) -> Self {
        Self { kept, sealer }
    }

    /// Keeps a response; all of them together take at most `max_bytes`.
    pub fn keep(&self, mut new: NewResponse, max_bytes: u64) -> Pending<Keeping> {
        let sealer = self.sealer.clone();
        let text = Zeroizing::new(std::mem::take(&mut new.text));
        self.kept.change(move |connection| {
            let belongs_to = belongs_to(&new.app, &new.id, new.previous.as_deref());
            let sealed = sealer.seal(&text, &belongs_to)?;
            let bytes = (sealed.len() as u64).saturating_add(ROW_BYTES);
            if bytes > max_bytes {
                return Ok(Keeping::TooLarge);
            }
            if is_there(connection, &new.app, &new.id)? {
                return Ok(Keeping::IdTaken);
            }
            make_room(connection, max_bytes - bytes)?;
            insert(connection, &new, bytes, &sealed)?;
            if let Some(previous) = &new.previous {
                move_ends(connection, &new.app, previous, new.expires_at)?;
            }
            Ok(Keeping::Done)
        })
    }

    /// The response of an application under an id, unless its time is over.
    pub fn get(&self, app: &AppName, id: &str, now: UnixMicros) -> Pending<Option<KeptResponse>> {
        let (this, app, id): (_, _, Arc<str>) = (self.clone(), app.clone(), id.into());
        self.kept.look(move |connection| {
            let found = find(connection, &app, &id, now)?;
            found.map(|row| this.open(connection, &app, &id, row)).transpose()
        })
    }

    /// The conversation that ends with the response of that id.
    pub fn chain(
        &self,
        app: &AppName,
        id: &str,
        now: UnixMicros,
        bounds: ChainBounds,
    ) -> Pending<Chain> {
        let (this, app, last) = (self.clone(), app.clone(), id.to_owned());
        self.kept.look(move |connection| {
            let mut chain = Vec::new();
            let mut bytes = 0_u64;
            let mut next = Some(last);
            while let Some(id) = next.take() {
                let Some(row) = find(connection, &app, &id, now)? else {
                    return Ok(Chain::Missing(id));
                };
                bytes = bytes.saturating_add(row.bytes.saturating_sub(ROW_BYTES));
                if chain.len() >= bounds.responses {
                    return Ok(Chain::TooLong);
                }
                if bytes > bounds.bytes {
                    return Ok(Chain::TooLarge);
                }
                next.clone_from(&row.previous);
                let response = this.open(connection, &app, &id, row)?;
                chain.push(response);
            }
            chain.reverse();
            Ok(Chain::Whole(chain))
        })
    }

    /// Deletes one; whether it was there.
    pub fn delete(&self, app: &AppName, id: &str) -> Pending<bool> {
        let (app, id) = (app.clone(), id.to_owned());
        self.kept.change(move |connection| {
            let mut delete =
                connection.prepare_cached("DELETE FROM responses WHERE app = ?1 AND id = ?2")?;
            Ok(delete.execute(params![app.as_str(), id])? > 0)
        })
    }

    /// Deletes all of an application, or all there are; how many that were.
    pub fn purge(&self, app: Option<AppName>) -> Pending<u64> {
        self.kept.change(move |connection| {
            let rows = match app {
                Some(app) => connection
                    .execute("DELETE FROM responses WHERE app = ?1", params![app.as_str()])?,
                None => connection.execute("DELETE FROM responses", [])?,
            };
            Ok(rows as u64)
        })
    }

    fn open(
        &self,
        connection: &Connection,
        app: &AppName,
        id: &str,
        row: Row,
    ) -> Result<KeptResponse, KeptError> {
        let sealed: Vec<u8> = connection
            .prepare_cached("SELECT sealed FROM response_texts WHERE number = ?1")?
            .query_row([row.number], |row| row.get(0))?;
        let text = self.sealer.open(&sealed, &belongs_to(app, id, row.previous.as_deref()))?;
        let Row { previous, created_at, .. } = row;
        Ok(KeptResponse { id: id.to_owned(), previous, created_at, text })
    }
}

/// A row without its text.
struct Row {
    number: i64,
    previous: Option<String>,
    created_at: UnixMicros,
    bytes: u64,
}

/// What a text is sealed for. Names of applications hold no NUL.
fn belongs_to(app: &AppName, id: &str, previous: Option<&str>) -> Vec<u8> {
    [app.as_str(), id, previous.unwrap_or_default()].join("\0").into_bytes()
}

fn is_there(connection: &Connection, app: &AppName, id: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM responses WHERE app = ?1 AND id = ?2")?
        .exists(params![app.as_str(), id])
}

fn find(
    connection: &Connection,
    app: &AppName,
    id: &str,
    now: UnixMicros,
) -> rusqlite::Result<Option<Row>> {
    let mut query = connection.prepare_cached(
        "SELECT number, previous, created_at, bytes FROM responses \
         WHERE app = ?1 AND id = ?2 AND expires_at > ?3",
    )?;
    query
        .query_row(params![app.as_str(), id, now.micros()], |row| {
            Ok(Row {
                number: row.get(0)?,
                previous: row.get(1)?,
                created_at: UnixMicros::from_micros(row.get(2)?),
                bytes: u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default(),
            })
        })
        .optional()
}

fn insert(
    connection: &Connection,
    new: &NewResponse,
    bytes: u64,
    sealed: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO responses (app, id, previous, created_at, expires_at, bytes) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            new.app.as_str(),
            new.id,
            new.previous,
            new.created_at.micros(),
            new.expires_at.micros(),
            i64::try_from(bytes).unwrap_or(i64::MAX),
        ])?;
    connection
        .prepare_cached("INSERT INTO response_texts (number, sealed) VALUES (?1, ?2)")?
        .execute(params![connection.last_insert_rowid(), sealed])?;
    Ok(())
}

/// Deletes those whose time ends first until no more than that is left.
fn make_room(connection: &Connection, left: u64) -> rusqlite::Result<()> {
    let left = i64::try_from(left).unwrap_or(i64::MAX);
    let mut total = connection.prepare_cached("SELECT bytes FROM response_bytes")?;
    let mut oldest = connection.prepare_cached(
        "DELETE FROM responses WHERE number IN \
         (SELECT number FROM responses ORDER BY expires_at, number LIMIT 1)",
    )?;
    while total.query_row([], |row| row.get::<_, i64>(0))? > left && oldest.execute([])? > 0 {}
    Ok(())
}

/// Keeps a conversation's earlier responses as long as the one that was built on them.
fn move_ends(
    connection: &Connection,
    app: &AppName,
    last: &str,
    to: UnixMicros,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "WITH RECURSIVE chain (number, previous) AS (
                SELECT number, previous FROM responses WHERE app = ?1 AND id = ?2
                UNION SELECT it.number, it.previous FROM chain JOIN responses it
                    ON it.app = ?1 AND it.id = chain.previous
             )
             UPDATE responses SET expires_at = ?3
             WHERE number IN (SELECT number FROM chain) AND expires_at <= ?4",
        )?
        .execute(params![
            app.as_str(),
            last,
            to.micros(),
            to.micros().saturating_sub(MOVE_MICROS),
        ])?;
    Ok(())
}
