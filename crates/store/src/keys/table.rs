//! The keys in SQLite: made, rotated, revoked, read.

use std::path::{Path, PathBuf};

use domain::{AppName, CapabilityName, KeyPublicId, TeamName, UnixMicros};
use ledger::storage::StorageError;
use rusqlite::{Connection, Row, params};

use super::{
    KeyError, KeyKind, KeyRecord, KeyVerifier, NewKey, PUBLIC_LEN, Proof, Secret, assemble,
    random_base62,
};
use crate::sqlite::{self, failed};

/// The credential table. Has a connection of its own; one per thread.
#[derive(Debug)]
pub struct KeyStore {
    connection: Connection,
    verifier: KeyVerifier,
}

const COLUMNS: &str = "public, kind, app, team, created_at, expires_at, revoked_at, hash, \
                       previous_hash, previous_until, budgets, capabilities, sealed, \
                       previous_sealed";

impl KeyStore {
    pub(crate) fn open(dir: &Path, verifier: KeyVerifier) -> Result<Self, StorageError> {
        let path: PathBuf = dir.join(sqlite::FILE);
        let connection = sqlite::connect(&path)?;
        sqlite::migrate(&connection, sqlite::MIGRATIONS)?;
        Ok(Self { connection, verifier })
    }

    /// What verifies presented keys; cheap to clone.
    pub fn verifier(&self) -> KeyVerifier {
        self.verifier.clone()
    }

    /// Makes a key. The secret is shown once and can't be had again.
    pub fn create(&self, new: &NewKey, now: UnixMicros) -> Result<(KeyRecord, Secret), KeyError> {
        let public = random_base62(PUBLIC_LEN)?;
        let secret = assemble(&public)?;
        let name = KeyPublicId::new(&public).map_err(|_| KeyError::Shape)?;
        let proof = self.verifier.proof(new.kind, &public, &secret)?;
        let record = KeyRecord {
            public: name,
            kind: new.kind,
            app: new.app.clone(),
            team: new.team.clone(),
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
            proof,
            previous: None,
            budgets: new.budgets.clone(),
            capabilities: new.capabilities.clone(),
        };
        self.connection
            .execute(
                &format!("INSERT INTO credentials ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6,NULL,?7,NULL,NULL,?8,?9,?10,NULL)"),
                params![
                    record.public.as_str(),
                    record.kind.as_str(),
                    record.app.as_str(),
                    record.team.as_ref().map(TeamName::as_str),
                    now.micros(),
                    record.expires_at.map(UnixMicros::micros),
                    record.proof.hash,
                    record.budgets.join("\n"),
                    joined(&record.capabilities),
                    record.proof.sealed,
                ],
            )
            .map_err(failed)?;
        Ok((record, secret))
    }

    /// Every key, by public part.
    pub fn list(&self) -> Result<Vec<KeyRecord>, KeyError> {
        list(&self.connection)
    }

    /// One key.
    pub fn get(&self, public: &str) -> Result<KeyRecord, KeyError> {
        let found = self.list()?.into_iter().find(|record| record.public.as_str() == public);
        found.ok_or_else(|| KeyError::Unknown(public.chars().take(40).collect()))
    }

    /// Gives a key a new secret; the old one works until `grace_until` (now: not at all).
    pub fn rotate(
        &self,
        public: &str,
        now: UnixMicros,
        grace_until: UnixMicros,
    ) -> Result<(KeyRecord, Secret), KeyError> {
        let record = self.get(public)?;
        if record.revoked_at.is_some() {
            return Err(KeyError::Revoked(public.to_owned()));
        }
        let secret = assemble(public)?;
        let proof = self.verifier.proof(record.kind, public, &secret)?;
        let previous = (grace_until > now).then_some((record.proof, grace_until));
        let before = previous.as_ref();
        self.connection
            .execute(
                "UPDATE credentials SET hash = ?2, sealed = ?3, previous_hash = ?4, \
                 previous_sealed = ?5, previous_until = ?6 WHERE public = ?1",
                params![
                    public,
                    proof.hash,
                    proof.sealed,
                    before.map(|it| it.0.hash),
                    before.and_then(|it| it.0.sealed.as_deref()),
                    before.map(|it| it.1.micros()),
                ],
            )
            .map_err(failed)?;
        Ok((KeyRecord { proof, previous, ..record }, secret))
    }

    /// Ends a key at once.
    pub fn revoke(&self, public: &str, now: UnixMicros) -> Result<KeyRecord, KeyError> {
        let record = self.get(public)?;
        if record.revoked_at.is_some() {
            return Err(KeyError::Revoked(public.to_owned()));
        }
        self.connection
            .execute(
                "UPDATE credentials SET revoked_at = ?2, previous_hash = NULL, \
                 previous_sealed = NULL, previous_until = NULL WHERE public = ?1",
                params![public, now.micros()],
            )
            .map_err(failed)?;
        Ok(KeyRecord { revoked_at: Some(now), previous: None, ..record })
    }
}

/// Names hold no line ends.
fn joined(names: &[CapabilityName]) -> String {
    let names: Vec<&str> = names.iter().map(CapabilityName::as_str).collect();
    names.join("\n")
}

/// Every key of a data folder, beside a running process or without one. Nothing is written, so a folder of an
/// older schema is not brought up to date, and may be refused.
pub fn list_keys(dir: &Path) -> Result<Vec<KeyRecord>, KeyError> {
    list(&sqlite::connect_read_only(&dir.join(sqlite::FILE))?)
}

fn list(connection: &Connection) -> Result<Vec<KeyRecord>, KeyError> {
    let sql = format!("SELECT {COLUMNS} FROM credentials ORDER BY public");
    let mut query = connection.prepare_cached(&sql).map_err(failed)?;
    let rows = query.query_map([], read).map_err(failed)?;
    let mut records = Vec::new();
    for row in rows {
        records.push(row.map_err(failed)??);
    }
    Ok(records)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Result<KeyRecord, KeyError>> {
    let time = |index: usize| -> rusqlite::Result<Option<UnixMicros>> {
        Ok(row.get::<_, Option<i64>>(index)?.map(UnixMicros::from_micros))
    };
    let (public, app): (String, String) = (row.get(0)?, row.get(2)?);
    let team: Option<String> = row.get(3)?;
    let damaged =
        || KeyError::Storage(StorageError::Damaged("a row of the key table is not valid".into()));
    let kind: String = row.get(1)?;
    let Some(kind) = KeyKind::of(&kind) else { return Ok(Err(damaged())) };
    let names = KeyPublicId::new(&public)
        .ok()
        .zip(AppName::new(&app).ok())
        .zip(team.map(|it| TeamName::new(&it)).transpose().ok());
    let Some(((public, app), team)) = names else { return Ok(Err(damaged())) };
    let previous: Option<[u8; 32]> = row.get(8)?;
    let sealed = row.get(13)?;
    let previous = previous.map(|hash| Proof { hash, sealed });
    let budgets: String = row.get(10)?;
    let capabilities: String = row.get(11)?;
    let capabilities: Result<Vec<_>, _> = capabilities.lines().map(CapabilityName::new).collect();
    let Ok(capabilities) = capabilities else { return Ok(Err(damaged())) };
    Ok(Ok(KeyRecord {
        public,
        kind,
        app,
        team,
        created_at: time(4)?.unwrap_or_default(),
        expires_at: time(5)?,
        revoked_at: time(6)?,
        proof: Proof { hash: row.get(7)?, sealed: row.get(12)? },
        previous: previous.zip(time(9)?),
        budgets: budgets.lines().map(str::to_owned).collect(),
        capabilities,
    }))
}
