//! Tool call ids in the shape a provider takes. The change is a pure function of the id, so that call and result
//! still match, in this request and in later ones, with nothing remembered.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::json::fnv;
use crate::loss::Corner;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Before an id that is spelled in base64.
const SPELLED: &str = "orx_";
/// The longest id that is spelled: with the prefix, in base64, it is as long as an id may be.
const SPELLED_MAX: usize = 45;

/// Between an id and the signature that its provider wants back with the call. LiteLLM joins them with `__thought__`:
/// what stands between ours is found nowhere else, so that a provider that is such a gateway gets its own ids back.
const THOUGHT: &str = "__orthought__";

/// Before an id that we made up because its host gave none.
const MADE_UP: &str = "orm_";

/// The id with the signature (base64) that its provider wants back with the call: every client returns the id as it
/// got it, and few return anything else. A signature that is no base64 stays out.
pub(crate) fn with_thought(id: &str, signature: &str) -> String {
    let rest = signature.trim_end_matches('=');
    let is_base64 =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    if rest.is_empty() || !rest.bytes().all(is_base64) {
        return id.to_owned();
    }
    format!("{id}{THOUGHT}{}", rest.replace('+', "-").replace('/', "_"))
}

/// The id without its signature, and the signature in standard base64.
pub(crate) fn split_thought(id: &str) -> (&str, Option<String>) {
    let Some((bare, signature)) = id.split_once(THOUGHT) else { return (id, None) };
    let mut signature = signature.replace('-', "+").replace('_', "/");
    while !signature.len().is_multiple_of(4) {
        signature.push('=');
    }
    (bare, Some(signature))
}

/// Whether a signature travels in the id.
pub(crate) fn has_thought(id: &str) -> bool {
    id.contains(THOUGHT)
}

/// Where that signature stands in an id as it is written, with what joins it. Whoever is sent the id in its own dialect did
/// not issue it: we joined them.
pub(crate) fn thought_in(written: &[u8]) -> Option<usize> {
    memchr::memmem::find(written, THOUGHT.as_bytes())
}

/// An id for a call whose host gave none: the same for the same answer and place, different elsewhere.
pub(crate) fn made_up(seed: &str, place: u64) -> String {
    format!("{MADE_UP}{:016x}_{place}", fnv(seed.as_bytes()))
}

/// Whether [`made_up`] made it.
pub(crate) fn is_made_up(id: &str) -> bool {
    id.starts_with(MADE_UP)
}

/// As a Messages client takes it: the shape of Anthropic's, with whatever signature it carries.
pub(crate) fn for_messages_client(id: &str) -> Cow<'_, str> {
    match id.split_once(THOUGHT) {
        Some((bare, signature)) => {
            Cow::Owned(format!("{}{THOUGHT}{signature}", for_messages(bare)))
        }
        None => for_messages(id),
    }
}

/// As Messages takes it: `[A-Za-z0-9_-]{1,64}`, without a signature. Another id is spelled in base64, so that
/// [`original`] can tell it again; one too long for that ends in a hash of itself.
pub(crate) fn for_messages(id: &str) -> Cow<'_, str> {
    let id = id.split_once(THOUGHT).map_or(id, |(bare, _)| bare);
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
    let id = id.split_once(THOUGHT).map_or(id, |(bare, _)| bare);
    let spelled = id.strip_prefix(SPELLED).and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok());
    spelled
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|told| for_messages(told) == id)
        .map_or(Cow::Borrowed(id), Cow::Owned)
}

/// As a chat or Responses host takes it; `note` is told what is done to the id.
pub(crate) fn for_chat(id: &str, nine: bool, mut note: impl FnMut(Corner)) -> String {
    if has_thought(id) {
        note(Corner::SignedReasoning);
    }
    let id = original(id);
    if !nine {
        return id.into_owned();
    }
    let fitted = of_nine(&id);
    if fitted != id {
        note(Corner::ToolIds);
    }
    fitted.into_owned()
}

/// As [`for_messages`]; `note` is told what is done to the id.
pub(crate) fn fit_messages(id: &str, mut note: impl FnMut(Corner)) -> String {
    if has_thought(id) {
        note(Corner::SignedReasoning);
    }
    let fitted = for_messages(id);
    if fitted != id {
        note(Corner::ToolIds);
    }
    fitted.into_owned()
}

/// Nine letters and digits (Mistral).
pub(crate) fn of_nine(id: &str) -> Cow<'_, str> {
    let id = id.split_once(THOUGHT).map_or(id, |(bare, _)| bare);
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

    #[test]
    fn a_signature_travels_in_the_id_and_only_to_who_reads_it() {
        let id = with_thought("call.1", "+/8=");
        assert_eq!(split_thought(&id), ("call.1", Some("+/8=".to_owned())));
        assert!(has_thought(&id) && !has_thought("call.1"));
        assert_eq!(split_thought("call.1"), ("call.1", None));
        assert_eq!(for_messages(&id), for_messages("call.1"));
        assert_eq!(of_nine(&id), of_nine("call.1"));
        assert_eq!(original(&id), "call.1");
        // A Messages client returns it whole; the host gets its own id.
        let shown = for_messages_client(&id).into_owned();
        assert_eq!(split_thought(&shown), (&*for_messages("call.1"), Some("+/8=".to_owned())));
        assert_eq!(original(&shown), "call.1");
        assert_eq!(with_thought("a", "not base64"), "a");
        assert!(is_made_up(&made_up("x", 1)) && made_up("x", 1) != made_up("y", 1));
    }

    #[test]
    fn what_is_done_to_an_id_is_told() {
        let told = |fit: &dyn Fn(&mut Vec<Corner>) -> String| {
            let mut corners = Vec::new();
            (fit(&mut corners), corners)
        };
        let messages = |id: &str| told(&|to| fit_messages(id, |corner| to.push(corner)));
        assert_eq!(messages("call_1"), ("call_1".to_owned(), vec![]));
        assert_eq!(messages("call.1").1, [Corner::ToolIds]);
        let bare = messages("call_1__orthought__YWJj");
        assert_eq!(bare, ("call_1".to_owned(), vec![Corner::SignedReasoning, Corner::ToolIds]));
        let chat = |id: &str, nine| told(&|to| for_chat(id, nine, |corner| to.push(corner)));
        assert_eq!(chat("call.1", false), ("call.1".to_owned(), vec![]));
        assert_eq!(chat("call_1__orthought__YWJj", false).1, [Corner::SignedReasoning]);
        assert_eq!(chat("call.1", true).1, [Corner::ToolIds]);
    }
}
