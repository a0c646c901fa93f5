//! Tool call ids in the shape a provider takes. The change is a pure function of the id, so that call and result
//! still match, in this request and in later ones, with nothing remembered.

use std::borrow::Cow;

use crate::json::fnv;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// As Messages takes it: `[A-Za-z0-9_-]{1,64}`. An id that had to be changed ends in a hash of the original.
pub(crate) fn for_messages(id: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(plain) {
        return Cow::Borrowed(id);
    }
    let kept: String = id.bytes().filter(|byte| plain(*byte)).take(40).map(char::from).collect();
    Cow::Owned(format!("{kept}_{:016x}", fnv(id.as_bytes())))
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
        assert_eq!(for_messages("").len(), 17);
        assert!(for_messages(&"x".repeat(200)).len() <= 64);
        assert_eq!(of_nine("D681PevKs"), "D681PevKs");
        assert_eq!(of_nine("call_1").len(), 9);
        assert_ne!(of_nine("call_1"), of_nine("call_2"));
    }
}
