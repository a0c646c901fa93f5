//! Tool call ids in the shape a provider takes. The change is a pure function of the id, so that call and result
//! still match, in this request and in later ones, with nothing remembered.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::json::fnv;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Before an id that is spelled in base64.
const SPELLED: &str = "orx_";
/// The longest id that is spelled: with the prefix, in base64, it is as long as an id may be.
const SPELLED_MAX: usize = 45;

/// As Messages takes it: `[A-Za-z0-9_-]{1,64}`. Another id is spelled in base64, so that [`original`] can tell it
/// again; one too long for that ends in a hash of itself.
pub(crate) fn for_messages(id: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(plain) {
        return Cow::Borrowed(id);
    }
    if id.len() <= SPELLED_MAX {
        return Cow::Owned(format!("{SPELLED}{}", URL_SAFE_NO_PAD.encode(id)));
    }
    let kept: String = id.bytes().filter(|byte| plain(*byte)).take(40).map(char::from).collect();
    Cow::Owned(format!("{kept}_{:016x}", fnv(id.as_bytes())))
}

/// The id as its host gave it, of one that [`for_messages`] has spelled: some models read their own ids.
pub(crate) fn original(id: &str) -> Cow<'_, str> {
    let spelled = id.strip_prefix(SPELLED).and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok());
    spelled
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|told| for_messages(told) == id)
        .map_or(Cow::Borrowed(id), Cow::Owned)
}

/// Nine letters and digits (Mistral).
pub(crate) fn of_nine(id: &str) -> Cow<'_, str> {
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    let mut rest = fnv(id.as_bytes());
    let mut digit = || {
        let at = (rest % 62) as usize;
        rest /= 62;
        char::from(ALPHABET[at])
    };
    Cow::Owned((0..9).map(|_| digit()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ids_stay_and_others_become_good_and_stay_distinct() {
        assert_eq!(for_messages("toolu_01-A"), "toolu_01-A");
        let (one, two) = (for_messages("call.1"), for_messages("call:1"));
        assert_ne!(one, two);
        assert_eq!(for_messages(&one), one);
        assert!(for_messages(&"x".repeat(200)).len() <= 64);
        for id in ["", "functions.weather:0", "call.1", "é", &".".repeat(45)] {
            let fitted = for_messages(id);
            assert!((1..=64).contains(&fitted.len()), "{fitted}");
            assert_eq!(for_messages(&fitted), fitted);
            assert_eq!(original(&fitted), id);
        }
        // Not spelled by us, and too long to be told again. `orx_YWJj` would be `abc`, which needs no spelling.
        let hashed = for_messages(&".".repeat(46)).into_owned();
        for id in ["toolu_01-A", "orx_x", "orx_YWJj", &hashed] {
            assert_eq!(original(id), id);
        }
        assert_eq!(of_nine("D681PevKs"), "D681PevKs");
        assert_eq!(of_nine("call_1").len(), 9);
        assert_ne!(of_nine("call_1"), of_nine("call_2"));
    }
}
