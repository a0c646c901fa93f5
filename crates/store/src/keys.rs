//! Virtual keys: `or-<12 public>-<32 secret>`.
//!
//! Both parts are base62; the last six characters of the secret are a checksum over everything before them, so
//! a truncated or mistyped key is told apart from an unknown one without a look-up, and secret scanners can
//! verify a find. What is stored is HMAC-SHA256 of the whole key under the master key. A presented key is first
//! checked in shape, then looked up by its public part in the caller's map, then compared in constant time.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use domain::{AppName, CapabilityName, KeyPublicId, TeamName, UnixMicros};
use ledger::storage::StorageError;
use rusqlite::{Connection, Row, params};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::sqlite::{self, failed};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX: &str = "or-";
const PUBLIC_LEN: usize = 12;
const SECRET_LEN: usize = 32;
const CHECKSUM_LEN: usize = 6;
const KEY_LEN: usize = PREFIX.len() + PUBLIC_LEN + 1 + SECRET_LEN;
/// The kind of a virtual key in the credential table.
const KIND_VIRTUAL: &str = "virtual";

/// Why a key operation failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not `or-<12>-<32>` with a right checksum.
    #[error("this is not an Outrigger key: expected `or-`, 12 characters, `-` and 32 characters")]
    Shape,
    /// No such key.
    #[error("there is no key `{0}`")]
    Unknown(String),
    /// The key was revoked before.
    #[error("key `{0}` is revoked")]
    Revoked(String),
    /// No random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The store failed.
    #[error("the key table can't be used")]
    Storage(#[from] StorageError),
}

/// A whole key. Shown once, when made; neither `Debug` nor `Display` shows it.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The key itself, to be shown once or compared.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

/// A presented key whose shape and checksum are right; borrowed from the request.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    whole: &'a str,
    public: &'a str,
}

impl<'a> Presented<'a> {
    /// The public part: what keys are looked up by.
    pub fn public(&self) -> &'a str {
        self.public
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Presented({})", self.public)
    }
}

/// Checks the shape of a presented key: length, alphabet, checksum. No look-up, no allocation.
pub fn parse(presented: &str) -> Result<Presented<'_>, KeyError> {
    let rest = presented.strip_prefix(PREFIX).ok_or(KeyError::Shape)?;
    let (public, secret) = rest.split_once('-').ok_or(KeyError::Shape)?;
    let base62 = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let right = public.len() == PUBLIC_LEN
        && secret.len() == SECRET_LEN
        && base62(public)
        && base62(secret);
    if !right {
        return Err(KeyError::Shape);
    }
    let (body, check) =
        presented.split_at_checked(KEY_LEN - CHECKSUM_LEN).ok_or(KeyError::Shape)?;
    if checksum(body) != check.as_bytes() {
        return Err(KeyError::Shape);
    }
    Ok(Presented { whole: presented, public })
}

/// Six base62 characters of SHA-256: finds typing errors, protects nothing.
fn checksum(body: &str) -> [u8; CHECKSUM_LEN] {
    let digest = Sha256::digest(body.as_bytes());
    let mut check = [b'0'; CHECKSUM_LEN];
    for (to, from) in check.iter_mut().zip(digest) {
        *to = BASE62.get(usize::from(from) % 62).copied().unwrap_or(b'0');
    }
    check
}

/// What a new key is made for.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Whose.
    pub app: AppName,
    /// The team.
    pub team: Option<TeamName>,
    /// When it ends by itself.
    pub expires_at: Option<UnixMicros>,
    /// Budgets in words, `5 USD per day`: checked by whoever understands them.
    pub budgets: Vec<String>,
    /// What it may ask for; empty: everything.
    pub capabilities: Vec<CapabilityName>,
}

/// A key as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its public part.
    pub public: KeyPublicId,
    /// The kind of credential: `virtual`.
    pub kind: String,
    /// Whose.
    pub app: AppName,
    /// The team.
    pub team: Option<TeamName>,
    /// When it was made.
    pub created_at: UnixMicros,
    /// When it ends by itself.
    pub expires_at: Option<UnixMicros>,
    /// When it was revoked.
    pub revoked_at: Option<UnixMicros>,
    /// HMAC-SHA256 of the key under the master key.
    pub hash: [u8; 32],
    /// The hash before the last rotation, valid until then.
    pub previous: Option<([u8; 32], UnixMicros)>,
    /// Budgets in words.
    pub budgets: Vec<String>,
    /// What it may ask for; empty: everything.
    pub capabilities: Vec<CapabilityName>,
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("KeyRecord")
            .field("public", &self.public)
            .field("app", &self.app)
            .field("expires_at", &self.expires_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

impl KeyRecord {
    /// Whether it may be used at that time, by its dates alone.
    pub fn is_live(&self, now: UnixMicros) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// The master key, ready to hash with.
#[derive(Clone)]
pub struct KeyHasher(hmac::Key);

impl fmt::Debug for KeyHasher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("KeyHasher(..)")
    }
}

impl KeyHasher {
    pub(crate) fn new(master: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, master))
    }

    fn hash(&self, whole: &str) -> [u8; 32] {
        hmac::sign(&self.0, whole.as_bytes()).as_ref().try_into().unwrap_or([0; 32])
    }

    /// Whether a presented key is this record's, in constant time. Dates are not looked at, but for the grace
    /// period of the secret before a rotation.
    pub fn verify(&self, presented: &Presented<'_>, record: &KeyRecord, now: UnixMicros) -> bool {
        let hash = self.hash(presented.whole);
        let current = hash.ct_eq(&record.hash);
        let previous = match &record.previous {
            Some((previous, until)) if now < *until => hash.ct_eq(previous),
            Some(_) | None => 0.into(),
        };
        (current | previous).into()
    }
}

/// The credential table. Has a connection of its own; one per thread.
#[derive(Debug)]
pub struct KeyStore {
    connection: Connection,
    hasher: KeyHasher,
}

const COLUMNS: &str = "public, kind, app, team, created_at, expires_at, revoked_at, hash, \
                       previous_hash, previous_until, budgets, capabilities";

impl KeyStore {
    pub(crate) fn open(dir: &Path, hasher: KeyHasher) -> Result<Self, StorageError> {
        let path: PathBuf = dir.join(sqlite::FILE);
        let connection = sqlite::connect(&path)?;
        sqlite::migrate(&connection, sqlite::MIGRATIONS)?;
        Ok(Self { connection, hasher })
    }

    /// What verifies presented keys; cheap to clone.
    pub fn hasher(&self) -> KeyHasher {
        self.hasher.clone()
    }

    /// Makes a key. The secret is shown once and can't be had again.
    pub fn create(&self, new: &NewKey, now: UnixMicros) -> Result<(KeyRecord, Secret), KeyError> {
        let public = random_base62(PUBLIC_LEN)?;
        let secret = assemble(&public)?;
        let name = KeyPublicId::new(&public).map_err(|_| KeyError::Shape)?;
        let record = KeyRecord {
            public: name,
            kind: KIND_VIRTUAL.to_owned(),
            app: new.app.clone(),
            team: new.team.clone(),
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
            hash: self.hasher.hash(secret.reveal()),
            previous: None,
            budgets: new.budgets.clone(),
            capabilities: new.capabilities.clone(),
        };
        self.connection
            .execute(
                &format!("INSERT INTO credentials ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6,NULL,?7,NULL,NULL,?8,?9)"),
                params![
                    record.public.as_str(),
                    record.kind,
                    record.app.as_str(),
                    record.team.as_ref().map(TeamName::as_str),
                    now.micros(),
                    record.expires_at.map(UnixMicros::micros),
                    record.hash,
                    record.budgets.join("\n"),
                    joined(&record.capabilities),
                ],
            )
            .map_err(failed)?;
        Ok((record, secret))
    }

    /// Every virtual key, by public part.
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
        let hash = self.hasher.hash(secret.reveal());
        let previous = (grace_until > now).then_some((record.hash, grace_until));
        self.connection
            .execute(
                "UPDATE credentials SET hash = ?2, previous_hash = ?3, previous_until = ?4 \
                 WHERE public = ?1",
                params![public, hash, previous.map(|it| it.0), previous.map(|it| it.1.micros())],
            )
            .map_err(failed)?;
        Ok((KeyRecord { hash, previous, ..record }, secret))
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
                 previous_until = NULL WHERE public = ?1",
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

/// Every virtual key of a data folder, beside a running process or without one. Nothing is written, so a folder of an
/// older schema is not brought up to date, and may be refused.
pub fn list_keys(dir: &Path) -> Result<Vec<KeyRecord>, KeyError> {
    list(&sqlite::connect_read_only(&dir.join(sqlite::FILE))?)
}

fn list(connection: &Connection) -> Result<Vec<KeyRecord>, KeyError> {
    let sql = format!("SELECT {COLUMNS} FROM credentials WHERE kind = ?1 ORDER BY public");
    let mut query = connection.prepare_cached(&sql).map_err(failed)?;
    let rows = query.query_map([KIND_VIRTUAL], read).map_err(failed)?;
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
    let names = KeyPublicId::new(&public)
        .ok()
        .zip(AppName::new(&app).ok())
        .zip(team.map(|it| TeamName::new(&it)).transpose().ok());
    let Some(((public, app), team)) = names else { return Ok(Err(damaged())) };
    let previous: Option<[u8; 32]> = row.get(8)?;
    let budgets: String = row.get(10)?;
    let capabilities: String = row.get(11)?;
    let capabilities: Result<Vec<_>, _> = capabilities.lines().map(CapabilityName::new).collect();
    let Ok(capabilities) = capabilities else { return Ok(Err(damaged())) };
    Ok(Ok(KeyRecord {
        public,
        kind: row.get(1)?,
        app,
        team,
        created_at: time(4)?.unwrap_or_default(),
        expires_at: time(5)?,
        revoked_at: time(6)?,
        hash: row.get(7)?,
        previous: previous.zip(time(9)?),
        budgets: budgets.lines().map(str::to_owned).collect(),
        capabilities,
    }))
}

/// Random base62 without bias: bytes beyond the largest multiple of 62 are drawn again.
fn random_base62(len: usize) -> Result<String, KeyError> {
    let mut text = String::with_capacity(len);
    let mut bytes = [0_u8; 64];
    while text.len() < len {
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeyError::Random)?;
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let digits = fair.filter_map(|byte| BASE62.get(usize::from(byte % 62)));
        text.extend(digits.take(len - text.len()).map(|byte| char::from(*byte)));
    }
    bytes.zeroize();
    Ok(text)
}

fn assemble(public: &str) -> Result<Secret, KeyError> {
    let random = Zeroizing::new(random_base62(SECRET_LEN - CHECKSUM_LEN)?);
    let mut whole = Zeroizing::new(String::with_capacity(KEY_LEN));
    whole.push_str(PREFIX);
    whole.push_str(public);
    whole.push('-');
    whole.push_str(&random);
    let check = checksum(&whole);
    whole.extend(check.into_iter().map(char::from));
    Ok(Secret(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_parses_and_any_changed_character_does_not() {
        let secret = assemble("abcDEF012345").unwrap();
        assert_eq!(secret.reveal().len(), KEY_LEN);
        assert_eq!(parse(secret.reveal()).unwrap().public(), "abcDEF012345");
        for index in 0..KEY_LEN {
            let mut bytes = secret.reveal().as_bytes().to_vec();
            bytes[index] = if bytes[index] == b'x' { b'y' } else { b'x' };
            assert!(parse(std::str::from_utf8(&bytes).unwrap()).is_err(), "at {index}");
        }
        for text in ["", "or-", "sk-1234", "or-é-", "or-abc-def-ghi"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = assemble("abcDEF012345").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        let shown = format!("{:?}", parse(secret.reveal()).unwrap());
        assert_eq!(shown, "Presented(abcDEF012345)");
    }
}
