//! Virtual keys: `or-<12 public>-<32 secret>`.
//!
//! Both parts are base62; the last six characters of the secret are a checksum over everything before them, so
//! a truncated or mistyped key is told apart from an unknown one without a look-up, and secret scanners can
//! verify a find. What is stored is HMAC-SHA256 of the whole key under the master key. A presented key is first
//! checked in shape, then looked up by its public part in the caller's map, then compared in constant time.
//!
//! A key of kind [`KeyKind::Aws`] is the secret half of a key pair as AWS's SDKs want one: they send the public half,
//! `or-<12 public>`, and a signature made with the whole key. To verify that, the key must be had back, so it is also
//! kept sealed under the master key, bound to its row.

use std::fmt;

use aws_lc_rs::hmac;
use domain::{AppName, CapabilityName, KeyPublicId, TeamName, UnixMicros};
use ledger::storage::StorageError;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::seal::{Purpose, SealError, Sealer};

mod table;

pub use table::{KeyStore, list_keys};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX: &str = "or-";
const PUBLIC_LEN: usize = 12;
const SECRET_LEN: usize = 32;
const CHECKSUM_LEN: usize = 6;
const KEY_LEN: usize = PREFIX.len() + PUBLIC_LEN + 1 + SECRET_LEN;
/// What the keys that can sign are sealed for.
const SIGNING: Purpose = Purpose("aws key pairs");

/// What a key can do, beside being sent: the kind of a row in the credential table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// It is sent whole, and only a hash of it is kept.
    #[default]
    Virtual,
    /// It signs too, as the secret half of an AWS key pair, and is kept sealed for that.
    Aws,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Virtual, Self::Aws];

    /// Its name in the table, on the command line and in the admin API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Virtual => "virtual",
            Self::Aws => "aws",
        }
    }

    /// The kind of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

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
    /// A key that signs can't be sealed.
    #[error("the key can't be sealed")]
    Seal(#[from] SealError),
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
    let right = public.len() == PUBLIC_LEN
        && secret.len() == SECRET_LEN
        && is_base62(public)
        && is_base62(secret);
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

/// The public half of a key pair: what AWS's SDKs call the access key id.
pub fn access_key_id(public: &KeyPublicId) -> String {
    format!("{PREFIX}{public}")
}

/// The public part in an access key id, if that is one of ours.
pub fn public_of(access_key_id: &str) -> Option<&str> {
    let public = access_key_id.strip_prefix(PREFIX)?;
    (public.len() == PUBLIC_LEN && is_base62(public)).then_some(public)
}

fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
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
    /// What it can do.
    pub kind: KeyKind,
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

/// What is kept of a key's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// HMAC-SHA256 of the key under the master key.
    pub(crate) hash: [u8; 32],
    /// The key itself, sealed; of one that signs.
    pub(crate) sealed: Option<Vec<u8>>,
}

/// A key as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its public part.
    pub public: KeyPublicId,
    /// What it can do.
    pub kind: KeyKind,
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
    /// What verifies it.
    pub proof: Proof,
    /// What verifies the key before the last rotation, valid until then.
    pub previous: Option<(Proof, UnixMicros)>,
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

/// What tells whether a key is ours: the master key, ready to hash with and to open with.
#[derive(Clone)]
pub struct KeyVerifier {
    hasher: hmac::Key,
    sealer: Sealer,
}

impl fmt::Debug for KeyVerifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("KeyVerifier(..)")
    }
}

impl KeyVerifier {
    pub(crate) fn new(master: &[u8]) -> Result<Self, SealError> {
        let hasher = hmac::Key::new(hmac::HMAC_SHA256, master);
        Ok(Self { hasher, sealer: Sealer::new(master, SIGNING)? })
    }

    fn hash(&self, whole: &str) -> [u8; 32] {
        hmac::sign(&self.hasher, whole.as_bytes()).as_ref().try_into().unwrap_or([0; 32])
    }

    /// What is to be kept of a new key.
    fn proof(&self, kind: KeyKind, public: &str, secret: &Secret) -> Result<Proof, SealError> {
        let whole = secret.reveal();
        let sealed = match kind {
            KeyKind::Virtual => None,
            KeyKind::Aws => Some(self.sealer.seal(whole.as_bytes(), public.as_bytes())?),
        };
        Ok(Proof { hash: self.hash(whole), sealed })
    }

    /// Whether a presented key is this record's, in constant time. Dates are not looked at, but for the grace
    /// period of the secret before a rotation.
    pub fn verify(&self, presented: &Presented<'_>, record: &KeyRecord, now: UnixMicros) -> bool {
        let hash = self.hash(presented.whole);
        let current = hash.ct_eq(&record.proof.hash);
        let previous = match &record.previous {
            Some((previous, until)) if now < *until => hash.ct_eq(&previous.hash),
            Some(_) | None => 0.into(),
        };
        (current | previous).into()
    }

    /// The keys that a signature under this record may have been made with: the present one, and in its grace period
    /// the one before. None where the record is of a kind that does not sign.
    ///
    /// # Errors
    /// [`SealError::OtherKey`] when they were sealed under another master key, [`SealError::Damaged`].
    pub fn signing_keys(
        &self,
        record: &KeyRecord,
        now: UnixMicros,
    ) -> Result<Vec<Secret>, SealError> {
        let previous = record.previous.iter().filter(|(_, until)| now < *until);
        let proofs = std::iter::once(&record.proof).chain(previous.map(|(proof, _)| proof));
        let opened = proofs.filter_map(|proof| proof.sealed.as_deref()).map(|sealed| {
            let text = self.sealer.open(sealed, record.public.as_str().as_bytes())?;
            let text = std::str::from_utf8(&text).map_err(|_| SealError::Damaged)?;
            Ok(Secret(Zeroizing::new(text.to_owned())))
        });
        opened.collect()
    }
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
