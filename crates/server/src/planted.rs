//! Panics that tests plant, to see that they cost one request only. Built with the feature `planted-panic` alone: no
//! release has it.

use http::HeaderMap;

/// Panics where the header `x-outrigger-test-panic` names this place.
#[cfg(feature = "planted-panic")]
#[expect(clippy::panic, reason = "it is what the feature is for")]
pub(crate) fn panic_at(place: &str, headers: &HeaderMap) {
    if headers
        .get("x-outrigger-test-panic")
        .is_some_and(|value| value.as_bytes() == place.as_bytes())
    {
        panic!("planted at {place}");
    }
}

/// Does nothing.
#[cfg(not(feature = "planted-panic"))]
pub(crate) fn panic_at(_place: &str, _headers: &HeaderMap) {}
