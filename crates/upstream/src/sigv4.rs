//! AWS Signature Version 4, both ways: requests to AWS are signed, requests of AWS SDKs to us are verified. Pure: time,
//! bytes and keys are arguments. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use domain::UnixMicros;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::secret::Secret;

mod canonical;

/// What a signature begins with.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The header that carries the hash of the body, where a client sends one.
const CONTENT_HASH: &str = "x-amz-content-sha256";
const DATE: &str = "x-amz-date";
const TOKEN: &str = "x-amz-security-token";
/// What stands there for a body that is signed piece by piece or not at all: `UNSIGNED-PAYLOAD` and its kin.
const UNCOVERED_BODIES: [&str; 2] = ["UNSIGNED-", "STREAMING-"];
/// Where HTTP/2 has its host. AWS's SDK for JavaScript signs it under this name.
const AUTHORITY: &str = ":authority";
/// How far a client's clock may be off, in seconds: AWS's own bound.
const SKEW_MAX: i64 = 300;
/// Headers that a signature may name: more are refused before they are looked for.
const SIGNED_MAX: usize = 64;

/// A key pair of AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsKeys {
    /// Which pair: no secret.
    pub access_key_id: String,
    /// The secret half.
    pub secret: Secret,
    /// The token of a temporary pair.
    pub session_token: Option<Secret>,
}

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// `us-east-1`.
    pub region: &'a str,
    /// `bedrock`.
    pub service: &'a str,
}

/// A request as it is on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    /// `POST`.
    pub method: &'a str,
    /// The path, percent-encoded as it is sent.
    pub path: &'a str,
    /// The query without its question mark, as it is sent; may be empty.
    pub query: &'a str,
    /// Header names in any case, and values. For signing: those to be signed, `host` among them. For verifying: all.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; its hash is signed.
    pub body: &'a [u8],
}

/// The headers to send with the request: date, token and signature.
pub fn sign(
    request: &Signable<'_>,
    keys: &AwsKeys,
    scope: Scope<'_>,
    now: UnixMicros,
) -> Vec<(&'static str, String)> {
    let date = date(now);
    let mut added = vec![(DATE, date.clone())];
    if let Some(token) = &keys.session_token {
        added.push((TOKEN, token.reveal().to_owned()));
    }
    let hash = hex(&Sha256::digest(request.body));
    let own = added.iter().map(|(name, value)| (*name, value.as_str()));
    let headers: Vec<(&str, &str)> = request.headers.iter().copied().chain(own).collect();
    let names = canonical::names(&headers);
    let text = canonical::request(request, &headers, &names, &hash);
    let day = date.get(..8).unwrap_or_default();
    let signature = hex(&seal(&text, &date, keys.secret.reveal(), scope));
    let Scope { region, service } = scope;
    let authorization = format!(
        "{ALGORITHM} Credential={}/{day}/{region}/{service}/aws4_request, SignedHeaders={}, Signature={signature}",
        keys.access_key_id,
        names.join(";"),
    );
    added.push(("authorization", authorization));
    added
}

/// What a client's `authorization` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented<'a> {
    /// Whose signature it is.
    pub access_key_id: &'a str,
    /// For which region and service.
    pub scope: Scope<'a>,
    day: &'a str,
    signed: &'a str,
    signature: &'a str,
}

/// Why a signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// The header is not what the scheme says.
    #[error("the signature can't be read")]
    Malformed,
    /// Made too long ago, or in the future.
    #[error("the signature's time is more than five minutes off")]
    Skewed,
    /// `host` and the date must be signed, and whatever is named must be there.
    #[error("the signature does not cover the headers that it must")]
    Uncovered,
    /// The body is not signed, or piece by piece.
    #[error("the signature does not cover the body")]
    UncoveredBody,
    /// The body's hash is another one than the request says.
    #[error("the hash of the body is not the signed one")]
    Body,
    /// Another key, or another request.
    #[error("the signature does not match the request")]
    Mismatch,
}

impl<'a> Presented<'a> {
    /// Reads an `authorization` header; `None` when it is of another scheme or can't be read.
    pub fn read(authorization: &'a str) -> Option<Self> {
        let mut found = [None; 3];
        for part in authorization.trim().strip_prefix(ALGORITHM)?.strip_prefix(' ')?.split(',') {
            let (name, value) = part.trim().split_once('=')?;
            let place =
                ["Credential", "SignedHeaders", "Signature"].iter().position(|it| *it == name)?;
            if found.get_mut(place)?.replace(value).is_some() {
                return None;
            }
        }
        let [credential, signed, signature] = found;
        let mut words = credential?.split('/');
        let read = Self {
            access_key_id: words.next().filter(|id| !id.is_empty())?,
            day: words.next()?,
            scope: Scope { region: words.next()?, service: words.next()? },
            signed: signed?,
            signature: signature?,
        };
        (words.next() == Some("aws4_request") && words.next().is_none()).then_some(read)
    }

    /// Whether the signature is of this request and made with that secret, now.
    pub fn verify(
        &self,
        request: &Signable<'_>,
        secret: &Secret,
        now: UnixMicros,
    ) -> Result<(), BadSignature> {
        let header = |name: &str| {
            let mut all = request.headers.iter().filter(|it| it.0.eq_ignore_ascii_case(name));
            // Two of them would be one for us and another for whoever signed.
            all.next().filter(|_| all.next().is_none()).map(|it| it.1.trim())
        };
        let names: Vec<&str> = self.signed.split(';').take(SIGNED_MAX + 1).collect();
        let is_lower = |name: &&str| !name.bytes().any(|byte| byte.is_ascii_uppercase());
        if names.len() > SIGNED_MAX || !names.is_sorted() || !names.iter().all(is_lower) {
            return Err(BadSignature::Malformed);
        }
        let is_there =
            |name: &str| request.headers.iter().any(|it| it.0.eq_ignore_ascii_case(name));
        let names_host = names.contains(&"host") || names.contains(&AUTHORITY);
        if !names_host || !names.contains(&DATE) || !names.iter().all(|name| is_there(name)) {
            return Err(BadSignature::Uncovered);
        }
        let made = header(DATE).filter(|made| is_date(made)).ok_or(BadSignature::Malformed)?;
        if !made.starts_with(self.day) || self.day.len() != 8 {
            return Err(BadSignature::Malformed);
        }
        let at = |seconds: i64| date(UnixMicros::from_secs(now.secs().saturating_add(seconds)));
        if made < at(-SKEW_MAX).as_str() || made > at(SKEW_MAX).as_str() {
            return Err(BadSignature::Skewed);
        }
        let hash = body_hash(request, header(CONTENT_HASH))?;
        let text = canonical::request(request, request.headers, &names, &hash);
        let expected = seal(&text, made, secret.reveal(), self.scope);
        if is_equal(self.signature, &expected) { Ok(()) } else { Err(BadSignature::Mismatch) }
    }
}

/// The hash that was signed: of the body, which a header may say too.
fn body_hash(request: &Signable<'_>, said: Option<&str>) -> Result<String, BadSignature> {
    let own = hex(&Sha256::digest(request.body));
    match said {
        Some(said) if UNCOVERED_BODIES.iter().any(|it| said.starts_with(it)) => {
            Err(BadSignature::UncoveredBody)
        }
        Some(said) if said != own => Err(BadSignature::Body),
        _ => Ok(own),
    }
}

/// The signature of a canonical request.
fn seal(text: &str, date: &str, secret: &str, scope: Scope<'_>) -> [u8; 32] {
    let day = date.get(..8).unwrap_or_default();
    let Scope { region, service } = scope;
    let hash = hex(&Sha256::digest(text));
    let to_sign = format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/aws4_request\n{hash}");
    let secret = Secret::new(format!("AWS4{secret}"));
    let key = mac(secret.reveal().as_bytes(), day.as_bytes());
    let key = mac(&key, region.as_bytes());
    let key = mac(&key, service.as_bytes());
    let key = mac(&key, b"aws4_request");
    mac(&key, to_sign.as_bytes())
}

/// HMAC takes keys of any length: this does not fail.
fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// `20150830T123600Z`.
fn date(at: UnixMicros) -> String {
    let text = at.to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    let digits = seconds.chars().filter(|letter| letter.is_ascii_digit() || *letter == 'T');
    digits.chain(['Z']).collect()
}

fn is_date(text: &str) -> bool {
    text.len() == 16
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        })
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Takes as long whatever differs.
fn is_equal(presented: &str, expected: &[u8]) -> bool {
    let expected = hex(expected);
    let differing = presented.bytes().zip(expected.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    presented.len() == expected.len() && differing == 0
}

#[cfg(test)]
mod tests;
