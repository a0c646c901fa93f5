//! What must be had back in the clear is sealed under the master key, so that the data folder's database alone gives
//! nothing away: a stolen backup has neither `master.key` nor `OUTRIGGER_MASTER_KEY`.
//!
//! From the master key each purpose gets a key of its own (HKDF-SHA256), so what was sealed for one purpose can't be
//! passed off for another. Sealed is AES-256-GCM-SIV, whose random nonces may even collide without giving a text away.
//! What a sealed text belongs to (a row's key) is bound to it as associated data: moved to another row it does not open.
//!
//! ```text
//! offset  size  what
//!      0     1  version, 1
//!      1     8  key id: says under which master key and for which purpose, and nothing about the key
//!      9    12  nonce
//!     21   n+16 the text, encrypted, and its tag
//! ```

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use zeroize::Zeroizing;

use crate::{OpenError, OpenOptions, files};

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 8;
const NONCE_LEN: usize = 12;
const KEY_LEN: usize = 32;
/// Of a master key that is given.
const MASTER_LEN_MIN: usize = 16;
const SALT: &[u8] = b"outrigger seal 1";

/// `OUTRIGGER_MASTER_KEY`, where set; else the folder's own, made at first start.
pub(crate) struct MasterKey(Zeroizing<Vec<u8>>);

impl fmt::Debug for MasterKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    pub(crate) fn of(options: &OpenOptions) -> Result<Self, OpenError> {
        let bytes = match &options.master_key {
            Some(master) if master.len() < MASTER_LEN_MIN => return Err(OpenError::WeakMasterKey),
            Some(master) => master.clone(),
            None => files::secret(&options.dir, "master.key")?.to_vec(),
        };
        Ok(Self(Zeroizing::new(bytes)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Why something can't be sealed or opened. Says nothing about the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Sealed under another master key, or for another purpose.
    #[error(
        "this was sealed under another master key: set `OUTRIGGER_MASTER_KEY` or restore the `master.key` of then"
    )]
    OtherKey,
    /// Not what was sealed, or not for that: changed, cut, or moved.
    #[error("what was sealed is damaged")]
    Damaged,
    /// No key can be made, or the system gives no random bytes.
    #[error("nothing can be sealed: the system's cryptography failed")]
    Failed,
}

/// What is sealed: a name of the code's own, never of a user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose(pub &'static str);

/// Seals and opens for one purpose; cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    key: Arc<RandomizedNonceKey>,
    id: [u8; KEY_ID_LEN],
}

impl fmt::Debug for Sealer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sealer({})", hex::encode(self.id))
    }
}

/// How many bytes are asked of HKDF.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Sealer {
    pub(crate) fn new(master: &[u8], purpose: Purpose) -> Result<Self, SealError> {
        let root = Salt::new(HKDF_SHA256, SALT).extract(master);
        let mut key = Zeroizing::new([0; KEY_LEN]);
        derive(&root, &[b"key", b"\0", purpose.0.as_bytes()], key.as_mut())?;
        let mut id = [0; KEY_ID_LEN];
        derive(&root, &[b"id", b"\0", purpose.0.as_bytes()], &mut id)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, key.as_ref());
        Ok(Self { key: Arc::new(key.map_err(|_| SealError::Failed)?), id })
    }

    /// Under which master key and for which purpose this seals; not secret.
    pub fn key_id(&self) -> [u8; KEY_ID_LEN] {
        self.id
    }

    /// Seals a text. `belongs_to` is not in the result, but needed to open it: what the text is stored under.
    ///
    /// # Errors
    /// [`SealError::Failed`].
    pub fn seal(&self, text: &[u8], belongs_to: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut body = text.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(belongs_to), &mut body);
        let nonce = nonce.map_err(|_| SealError::Failed)?;
        let mut sealed = Vec::with_capacity(1 + KEY_ID_LEN + NONCE_LEN + body.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// The text of what [`Sealer::seal`] gave, with the same `belongs_to`.
    ///
    /// # Errors
    /// [`SealError::OtherKey`] and [`SealError::Damaged`].
    pub fn open(&self, sealed: &[u8], belongs_to: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Damaged)?;
        let (id, rest) = rest.split_first_chunk::<KEY_ID_LEN>().ok_or(SealError::Damaged)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Damaged)?;
        if *version != VERSION {
            return Err(SealError::Damaged);
        }
        if *id != self.id {
            return Err(SealError::OtherKey);
        }
        let mut text = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(belongs_to), &mut text);
        let len = opened.map_err(|_| SealError::Damaged)?.len();
        text.truncate(len);
        Ok(text)
    }
}

fn derive(root: &Prk, info: &[&[u8]], out: &mut [u8]) -> Result<(), SealError> {
    let expanded = root.expand(info, Length(out.len())).map_err(|_| SealError::Failed)?;
    expanded.fill(out).map_err(|_| SealError::Failed)
}

#[cfg(test)]
mod tests {
    use super::{Purpose, SealError, Sealer};

    const NOTES: Purpose = Purpose("notes");

    fn sealer(master: &[u8], purpose: Purpose) -> Sealer {
        Sealer::new(master, purpose).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_where_it_belongs_and_nowhere_else() {
        let sealer = sealer(b"0123456789abcdef", NOTES);
        for text in [&b""[..], b"a secret", &vec![7; 70_000]] {
            let sealed = sealer.seal(text, b"row 1").unwrap();
            assert_eq!(sealer.open(&sealed, b"row 1").unwrap().as_slice(), text);
            assert_eq!(sealer.open(&sealed, b"row 2").unwrap_err(), SealError::Damaged);
            assert_eq!(sealed.len(), text.len() + 37);
        }
        let twice = [sealer.seal(b"same", b""), sealer.seal(b"same", b"")];
        assert_ne!(twice[0], twice[1], "equal texts must not show");
    }

    #[test]
    fn no_changed_or_missing_byte_goes_unnoticed() {
        let sealer = sealer(b"0123456789abcdef", NOTES);
        let sealed = sealer.seal(b"a secret", b"row").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealer.open(&changed, b"row").is_err(), "byte {index}");
            assert!(sealer.open(&sealed[..index], b"row").is_err(), "cut at {index}");
        }
    }

    #[test]
    fn another_master_key_or_purpose_is_told_apart_from_damage() {
        let sealed = sealer(b"0123456789abcdef", NOTES).seal(b"a secret", b"").unwrap();
        for other in
            [sealer(b"another master key", NOTES), sealer(b"0123456789abcdef", Purpose("letters"))]
        {
            assert_eq!(other.open(&sealed, b"").unwrap_err(), SealError::OtherKey);
        }
        let again = sealer(b"0123456789abcdef", NOTES);
        assert_eq!(again.open(&sealed, b"").unwrap().as_slice(), b"a secret");
    }

    #[test]
    fn the_sealed_text_and_the_debug_text_show_nothing() {
        let sealer = sealer(b"0123456789abcdef", NOTES);
        let sealed = sealer.seal(b"canary-canary", b"canary-row").unwrap();
        assert!(!sealed.windows(6).any(|it| it == b"canary"));
        assert_eq!(format!("{sealer:?}"), format!("Sealer({})", hex::encode(sealer.key_id())));
    }
}
