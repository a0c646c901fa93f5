//! Answers that say how many tokens a request holds: one number in one field, named differently by each dialect.

use std::marker::PhantomData;

use domain::Usage;

use crate::cursor::Cursor;
use crate::fault;
use crate::registry::Tee;
use crate::watch::{self, Reader};
use crate::wire::{Seen, TeeOptions, UpstreamFault};

/// How a dialect says it.
pub(crate) trait Counted: Send + 'static {
    /// The field with the number.
    const FIELD: &'static str;

    /// What failed, where the body is an error in the shape of a success.
    fn error(body: &[u8]) -> Option<UpstreamFault>;
}

/// `input_tokens`, as Messages and Responses say it.
pub(crate) struct InputTokens;

impl Counted for InputTokens {
    const FIELD: &'static str = "input_tokens";

    fn error(body: &[u8]) -> Option<UpstreamFault> {
        error_in(body).map(fault::of_object)
    }
}

/// A reader of the whole answer. Counting uses nothing: its usage is zero, not unknown.
pub(crate) fn tee<C: Counted>() -> Box<dyn Tee> {
    watch::tee::<Count<C>>(TeeOptions::default())
}

/// The field of that name, and nothing else.
pub(crate) fn answer(field: &str, tokens: u64) -> Vec<u8> {
    format!(r#"{{"{field}":{tokens}}}"#).into_bytes()
}

struct Count<C>(PhantomData<C>);

impl<C> Default for Count<C> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<C: Counted> Reader for Count<C> {
    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        let mut cursor = Cursor::new(body);
        let mut top = cursor.object();
        while let Some(key) = cursor.key(&mut top) {
            if key.is(C::FIELD) {
                seen.complete = cursor.unsigned().is_some();
            } else {
                cursor.skip();
            }
        }
        seen.error = C::error(body);
        seen.usage = (seen.complete && seen.error.is_none()).then(Usage::default);
    }
}

/// The object under `error`, where it says something.
pub(crate) fn error_in(body: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(body);
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        if key.is("error") {
            let raw = cursor.raw();
            return watch::is_error(raw).then_some(raw);
        }
        cursor.skip();
    }
    None
}

#[cfg(test)]
pub(crate) fn seen<C: Counted>(body: &'static str) -> Seen {
    let mut tee = tee::<C>();
    let mut out = smallvec::SmallVec::new();
    tee.feed(bytes::Bytes::from_static(body.as_bytes()), &mut out);
    assert_eq!(out.concat(), body.as_bytes());
    tee.finish()
}

/// What holds for each dialect: `good` is an answer, `bad` an error of an overloaded provider.
#[cfg(test)]
pub(crate) fn holds<C: Counted>(good: &'static str, bad: &'static str) {
    let counted = seen::<C>(good);
    assert_eq!((counted.complete, counted.usage), (true, Some(Usage::default())));
    assert!(counted.error.is_none());
    for other in ["{}", "[]", "x", r#"{"input_tokens":-1,"inputTokens":-1,"totalTokens":-1}"#] {
        assert!(!seen::<C>(other).complete, "{other}");
    }
    let refused = seen::<C>(bad);
    assert!(!refused.complete && refused.usage.is_none());
    assert!(refused.error.is_some(), "{bad}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_costs_nothing() {
        let overloaded = r#"{"type":"error","error":{"type":"overloaded_error"}}"#;
        holds::<InputTokens>(r#"{"input_tokens":17}"#, overloaded);
        let class = seen::<InputTokens>(overloaded).error.map(|fault| fault.class);
        assert_eq!(class, Some(domain::ErrorClass::Overloaded));
        assert_eq!(answer("input_tokens", 17), br#"{"input_tokens":17}"#);
    }
}
