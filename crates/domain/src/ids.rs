//! Names and ids. Names are shared (`Arc<str>`) because every request's record carries a dozen of them.

use std::fmt;
use std::sync::Arc;

use crate::UnixMicros;

/// Longest name that is accepted, in bytes.
const NAME_LEN_MAX: usize = 200;

/// Why a name or id was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty, too long, or with a character outside `[A-Za-z0-9._:/@-]`.
    #[error("`{0}` is not a valid name: use 1 to 200 of the characters A-Z a-z 0-9 . _ : / @ -")]
    Name(String),
    /// An offer id without both parts.
    #[error("`{0}` is not an offer id: expected `provider/model`")]
    Offer(String),
    /// Not a request id of ours.
    #[error("`{0}` is not a request id: expected `req_` and 32 hexadecimal digits")]
    Request(String),
}

/// Whether `text` may name anything here: 1 to 200 of `[A-Za-z0-9._:/@-]`, which excludes look-alikes,
/// bidirectional marks, spaces and control characters.
pub fn valid_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_LEN_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps a name.
            pub fn new(text: &str) -> Result<Self, IdError> {
                if valid_name(text) { Ok(Self(text.into())) } else { Err(IdError::Name(text.chars().take(80).collect())) }
            }

            /// The name itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, out)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// An application: who asks. Keys belong to one.
    AppName
}
name! {
    /// A team: a group of applications.
    TeamName
}
name! {
    /// What an application asks for: a configured list of offers.
    CapabilityName
}
name! {
    /// A configured endpoint that serves models.
    ProviderName
}
name! {
    /// The partner that trained a model.
    MakerName
}
name! {
    /// A provider's own model id, verbatim; may hold `/`, `:` and `@`.
    ModelName
}
name! {
    /// The public part of a virtual key `or-<public>-<secret>`; safe to show and to index by.
    KeyPublicId
}

/// A model at a provider: the unit that is routed to. Written `provider/model`; the provider has no slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferId {
    provider: ProviderName,
    model: ModelName,
}

impl OfferId {
    /// Joins the two parts.
    pub fn new(provider: ProviderName, model: ModelName) -> Self {
        Self { provider, model }
    }

    /// Splits `provider/model` at the first slash.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let refused = || IdError::Offer(text.chars().take(80).collect());
        let (provider, model) = text.split_once('/').ok_or_else(refused)?;
        match (ProviderName::new(provider), ModelName::new(model)) {
            (Ok(provider), Ok(model)) => Ok(Self { provider, model }),
            _ => Err(refused()),
        }
    }

    /// The provider.
    pub fn provider(&self) -> &ProviderName {
        &self.provider
    }

    /// The provider's own model id.
    pub fn model(&self) -> &ModelName {
        &self.model
    }
}

impl fmt::Display for OfferId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.provider, self.model)
    }
}

impl fmt::Debug for OfferId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.to_string())
    }
}

/// A request's id: a UUID of version 7, so ids sort by the time they were made. Written `req_` + 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// Makes an id from the time and 74 random bits (the rest of `random` is ignored).
    pub fn new(now: UnixMicros, random: u128) -> Self {
        let bytes = random.to_be_bytes();
        let mut tail = [0_u8; 10];
        for (to, from) in tail.iter_mut().zip(bytes) {
            *to = from;
        }
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid().as_u128())
    }

    /// From its 128 bits, as the ledger stores them.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Its 128 bits.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// Its text, made without allocating: it stands in three headers of every answer.
    pub fn ascii(self) -> [u8; 36] {
        let mut text = *b"req_00000000000000000000000000000000";
        let digits = text.iter_mut().rev().take(32);
        for (at, to) in digits.enumerate() {
            let digit = (self.0 >> (4 * at)) as u8 & 0xf;
            *to = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        }
        text
    }

    /// When it was made, to the millisecond.
    pub fn made_at(self) -> UnixMicros {
        UnixMicros::from_millis(i64::try_from(self.0 >> 80).unwrap_or(0))
    }

    /// Reads `req_` + 32 hex digits.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let refused = || IdError::Request(text.chars().take(80).collect());
        let hex = text.strip_prefix("req_").ok_or_else(refused)?;
        if hex.len() != 32 || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(refused());
        }
        u128::from_str_radix(hex, 16).map(Self).map_err(|_| refused())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(std::str::from_utf8(&self.ascii()).unwrap_or_default())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_splits_at_the_first_slash_only() {
        let offer = OfferId::parse("together/meta-llama/Llama-3:free").unwrap();
        assert_eq!(offer.provider().as_str(), "together");
        assert_eq!(offer.model().as_str(), "meta-llama/Llama-3:free");
        assert!(OfferId::parse("gpt-5").is_err());
        assert!(OfferId::parse("/gpt-5").is_err());
    }

    #[test]
    fn request_ids_round_trip_and_sort_by_time() {
        let early = RequestId::new(UnixMicros::from_millis(1_000), u128::MAX);
        let late = RequestId::new(UnixMicros::from_millis(1_001), 0);
        assert!(early < late);
        assert_eq!(RequestId::parse(&early.to_string()), Ok(early));
        assert_eq!(
            RequestId::from_bits(0x0123_4567_89ab_cdef_0000_0000_0000_00ff).to_string(),
            "req_0123456789abcdef00000000000000ff"
        );
        assert_eq!(late.made_at(), UnixMicros::from_millis(1_001));
        assert!(RequestId::parse("req_XYZ").is_err());
    }

    #[test]
    fn look_alikes_and_controls_are_no_names() {
        for text in ["", "gpt\u{2010}5", "a b", "a\n", "\u{202e}x"] {
            assert!(AppName::new(text).is_err(), "{text:?}");
        }
    }
}
