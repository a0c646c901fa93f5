//! Files and batches that lie at a provider: whose they are, where they are, and what the provider last said of them.
//!
//! A provider knows them by its own account, which many applications share. That an id is one application's and no
//! other's is known here alone.

use domain::{AppName, UnixMicros};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Kept, KeptError, Pending};

/// The table.
pub(super) const STEP: &str = "
    CREATE TABLE bindings (
        number INTEGER PRIMARY KEY, thing INTEGER NOT NULL, app TEXT NOT NULL, id TEXT NOT NULL,
        provider TEXT NOT NULL, dialect TEXT NOT NULL, credential INTEGER, purpose TEXT NOT NULL,
        made_at INTEGER NOT NULL, ends_at INTEGER NOT NULL, said TEXT NOT NULL, note TEXT NOT NULL,
        UNIQUE (thing, app, id)
    );
    CREATE INDEX bindings_by_end ON bindings (ends_at);";

/// Deletes what has had its time.
pub(super) const EXPIRED: &str = "DELETE FROM bindings WHERE ends_at <= ?1";

const COLUMNS: &str =
    "thing, app, id, provider, dialect, credential, purpose, made_at, ends_at, said, note";

/// What lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A file.
    File = 0,
    /// A batch.
    Batch = 1,
}

/// Something that lies at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What it is.
    pub thing: Thing,
    /// Whose.
    pub app: AppName,
    /// The provider's id of it.
    pub id: String,
    /// The provider, by its name in the configuration.
    pub provider: String,
    /// The dialect in which it is spoken of.
    pub dialect: String,
    /// The mark of the provider's key that it was made with, where there are keys.
    pub credential: Option<u64>,
    /// What it is for, as lists are asked for it.
    pub purpose: String,
    /// When it was made.
    pub made_at: UnixMicros,
    /// Until when it is known.
    pub ends_at: UnixMicros,
    /// What the provider last said of it.
    pub said: String,
    /// What the gateway notes of it.
    pub note: String,
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Behind the thing of this id.
    pub after: Option<String>,
    /// Most rows.
    pub limit: usize,
    /// The oldest first instead of the newest.
    pub oldest_first: bool,
    /// Of that purpose only.
    pub purpose: Option<String>,
}

/// Keeps and finds bindings.
#[derive(Clone, Debug)]
pub struct Bindings {
    kept: Kept,
}

impl Bindings {
    pub(crate) fn new(kept: Kept) -> Self {
        Self { kept }
    }

    /// Keeps one, or what is newly known of it.
    pub fn put(&self, binding: Binding) -> Pending<()> {
        self.kept.change(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO bindings (thing, app, id, provider, dialect, credential, purpose, made_at, ends_at, said, note) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                     ON CONFLICT (thing, app, id) DO UPDATE SET provider = ?4, dialect = ?5, credential = ?6, \
                     purpose = ?7, ends_at = ?9, said = ?10, note = ?11",
                )?
                .execute(params![
                    binding.thing as i64,
                    binding.app.as_str(),
                    binding.id,
                    binding.provider,
                    binding.dialect,
                    binding.credential.map(u64::cast_signed),
                    binding.purpose,
                    binding.made_at.micros(),
                    binding.ends_at.micros(),
                    binding.said,
                    binding.note,
                ])?;
            Ok(())
        })
    }

    /// The application's thing of that id, unless its time is over.
    pub fn get(
        &self,
        thing: Thing,
        app: &AppName,
        id: &str,
        now: UnixMicros,
    ) -> Pending<Option<Binding>> {
        let (app, id) = (app.clone(), id.to_owned());
        self.kept.look(move |connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM bindings WHERE thing = ?1 AND app = ?2 AND id = ?3 AND ends_at > ?4"
            ))?;
            let found = query.query_row(
                params![thing as i64, app.as_str(), id, now.micros()],
                |row| Ok(read(row)),
            );
            found.optional()?.transpose()
        })
    }

    /// A page of the application's things, and whether more follow it.
    pub fn list(
        &self,
        thing: Thing,
        app: &AppName,
        dialect: &'static str,
        page: Page,
        now: UnixMicros,
    ) -> Pending<(Vec<Binding>, bool)> {
        let app = app.clone();
        self.kept.look(move |connection| {
            let cursor = match &page.after {
                Some(after) => number_of(connection, thing, &app, after)?,
                None => None,
            };
            let (order, beyond, edge) =
                if page.oldest_first { ("ASC", ">", i64::MIN) } else { ("DESC", "<", i64::MAX) };
            let mut query = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM bindings WHERE thing = ?1 AND app = ?2 AND ends_at > ?3 AND number {beyond} ?4 \
                 AND (?5 IS NULL OR purpose = ?5) AND dialect = ?6 ORDER BY number {order} LIMIT ?7"
            ))?;
            let limit = i64::try_from(page.limit.saturating_add(1)).unwrap_or(i64::MAX);
            let rows = query.query_map(
                params![thing as i64, app.as_str(), now.micros(), cursor.unwrap_or(edge), page.purpose, dialect, limit],
                |row| Ok(read(row)),
            )?;
            let mut found = rows.collect::<Result<Result<Vec<_>, _>, _>>()??;
            let more = found.len() > page.limit;
            found.truncate(page.limit);
            Ok((found, more))
        })
    }

    /// Every batch there is, of all applications: what a start looks for those under way in.
    pub fn batches(&self, now: UnixMicros) -> Pending<Vec<Binding>> {
        self.kept.look(move |connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM bindings WHERE thing = ?1 AND ends_at > ?2"
            ))?;
            let rows =
                query.query_map(params![Thing::Batch as i64, now.micros()], |row| Ok(read(row)))?;
            rows.collect::<Result<Result<Vec<_>, _>, _>>()?
        })
    }

    /// Forgets one; whether it was there.
    pub fn delete(&self, thing: Thing, app: &AppName, id: &str) -> Pending<bool> {
        let (app, id) = (app.clone(), id.to_owned());
        self.kept.change(move |connection| {
            let mut delete = connection
                .prepare_cached("DELETE FROM bindings WHERE thing = ?1 AND app = ?2 AND id = ?3")?;
            Ok(delete.execute(params![thing as i64, app.as_str(), id])? > 0)
        })
    }

    /// Whether anything was ever kept.
    pub fn are_any(&self) -> bool {
        self.kept.is_made()
    }
}

fn number_of(
    connection: &Connection,
    thing: Thing,
    app: &AppName,
    id: &str,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT number FROM bindings WHERE thing = ?1 AND app = ?2 AND id = ?3")?
        .query_row(params![thing as i64, app.as_str(), id], |row| row.get(0))
        .optional()
}

fn read(row: &Row<'_>) -> Result<Binding, KeptError> {
    let app: String = row.get(1)?;
    let app = AppName::new(&app).map_err(|error| KeptError::Unusable(error.to_string()))?;
    Ok(Binding {
        thing: if row.get::<_, i64>(0)? == 0 { Thing::File } else { Thing::Batch },
        app,
        id: row.get(2)?,
        provider: row.get(3)?,
        dialect: row.get(4)?,
        credential: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        purpose: row.get(6)?,
        made_at: UnixMicros::from_micros(row.get(7)?),
        ends_at: UnixMicros::from_micros(row.get(8)?),
        said: row.get(9)?,
        note: row.get(10)?,
    })
}
