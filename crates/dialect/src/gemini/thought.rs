//! Thought signatures: what only the issuing vendor can read, on its way through clients that know nothing of it.
//!
//! A signature of Gemini's own stands in the exchange as `google-gemini-v1:<base64>`, by OpenRouter's name for it, so
//! that no other vendor is given it. What another vendor signed goes through a Gemini client as a `thoughtSignature` of
//! our own making: the field holds bytes, so it is base64 of `outrigger:` and what it is.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::blob;
use crate::signature;

/// OpenRouter's name for Gemini's signatures.
const FORMAT: &str = "google-gemini-v1";
const SIGNATURE: &str = "outrigger:signature:";
const REDACTED: &str = "outrigger:redacted:";

/// Tells the provider not to look for a signature that was lost on its way.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>
pub(super) const SENTINEL: &str = "skip_thought_signature_validator";

/// What a client or a provider sends as `thoughtSignature`.
#[derive(Debug, PartialEq)]
pub(super) enum Bound {
    /// Gemini's own, as the exchange has it.
    Own(String),
    /// Another vendor's signature.
    Signature(String),
    /// Another vendor's encrypted reasoning.
    Redacted(String),
}

/// Reads a `thoughtSignature`; `None` where it says nothing.
pub(super) fn read(text: &str) -> Option<Bound> {
    if text.is_empty() || text == SENTINEL {
        return None;
    }
    let standard = blob::standard(text);
    let ours = STANDARD.decode(&*standard).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let ours = ours.as_deref();
    if let Some(opaque) = ours.and_then(|it| it.strip_prefix(SIGNATURE)) {
        return Some(Bound::Signature(opaque.to_owned()));
    }
    if let Some(opaque) = ours.and_then(|it| it.strip_prefix(REDACTED)) {
        return Some(Bound::Redacted(opaque.to_owned()));
    }
    Some(Bound::Own(signature::with_format(standard.into_owned(), Some(FORMAT))))
}

/// The strings of a body that hold what another vendor issued: its own provider would take them for corrupted.
pub(super) fn foreign_in(body: &[u8]) -> Vec<Range<usize>> {
    // What every one of them begins with, in base64: `outrigger:`, whatever follows it.
    const BEGINNING: &[u8] = b"\"b3V0cmlnZ2VyO";
    let quote = |from: usize| body.get(from..)?.iter().position(|byte| *byte == b'"');
    memchr::memmem::find_iter(body, BEGINNING)
        .filter(|at| {
            let key = body.get(..*at).unwrap_or_default().trim_ascii_end();
            let key = key.strip_suffix(b":").unwrap_or_default().trim_ascii_end();
            key.ends_with(b"\"thoughtSignature\"") || key.ends_with(b"\"thought_signature\"")
        })
        .filter_map(|at| Some(at..at + 2 + quote(at + 1)?))
        .collect()
}

/// What Gemini issued, of an opaque text in the exchange; `None` where it is another's.
pub(super) fn own(opaque: &str) -> Option<&str> {
    let (format, own) = signature::split(opaque);
    (format == FORMAT).then_some(own)
}

/// A signature for a client.
pub(super) fn for_client(opaque: &str) -> String {
    own(opaque).map_or_else(|| STANDARD.encode(format!("{SIGNATURE}{opaque}")), str::to_owned)
}

/// Encrypted reasoning for a client.
pub(super) fn redacted_for_client(opaque: &str) -> String {
    own(opaque).map_or_else(|| STANDARD.encode(format!("{REDACTED}{opaque}")), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybodys_signature_comes_back_as_it_was() {
        let own = read("-_8").unwrap();
        assert_eq!(own, Bound::Own("google-gemini-v1:+/8=".to_owned()));
        assert_eq!(for_client("google-gemini-v1:+/8="), "+/8=");
        for opaque in ["c2lnbmVk", "openai-responses-v1:gAAA", "ü"] {
            let (signed, hidden) = (for_client(opaque), redacted_for_client(opaque));
            assert_eq!(read(&signed), Some(Bound::Signature(opaque.to_owned())));
            assert_eq!(read(&hidden), Some(Bound::Redacted(opaque.to_owned())));
            // Clients decode and encode it again, in the alphabet they like.
            let url_safe = signed.replace('+', "-").replace('/', "_").replace('=', "");
            assert_eq!(read(&url_safe), Some(Bound::Signature(opaque.to_owned())));
        }
        assert_eq!(read(""), None);
        assert_eq!(read(SENTINEL), None);
    }

    #[test]
    fn what_others_signed_is_found_where_a_signature_stands() {
        let signed = for_client("c2ln");
        let body = format!(
            r#"{{"thought_signature": "{signed}", "text": "{signed}", "thoughtSignature":"c2ln"}}"#
        );
        let places = foreign_in(body.as_bytes());
        assert_eq!(places.len(), 1);
        assert_eq!(body.get(places[0].clone()), Some(&*format!("\"{signed}\"")));
        assert!(!redacted_for_client("x").is_empty() && foreign_in(b"\"b3V0cmlnZ2VyO").is_empty());
    }
}
