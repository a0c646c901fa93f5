//! Why an offer was taken or left: codes that rows keep and sentences that people read.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal $word:literal $sentence:literal,)*) => {
        /// Why an offer was taken or left. The codes stand in ledger rows and are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name = $code,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word used in rows and the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// A sentence for `route why`, to follow the offer's name.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }

            /// The inverse of the discriminant.
            pub fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

reasons! {
    /// It is tried first.
    First = 0 "first" "is tried first: it is the first healthy offer of the list",
    /// It takes over when those before it fail.
    Next = 1 "next" "takes over when those before it fail before their first byte",
    /// The key may not use it.
    NotAllowed = 2 "not_allowed" "is left out: the key may not use it",
    /// It does not serve this endpoint.
    Endpoint = 3 "endpoint" "is left out: its provider does not serve this endpoint",
    /// Translation would lose something, and `on_loss` is `reject`.
    Lossy = 4 "lossy" "is left out: its dialect can't carry a feature of the request, and `on_loss` is `reject`",
    /// The request does not fit its context.
    ContextTooLong = 5 "context_too_long" "is left out: the request does not fit the model's context",
    /// It has no price, and `unpriced` is `reject`.
    Unpriced = 6 "unpriced" "is left out: it has no known price, a money budget applies, and `unpriced` is `reject`",
    /// Its breaker is open.
    BreakerOpen = 7 "breaker_open" "is left out for now: it failed too often and rests before it is probed",
    /// Its provider asked us to come back later.
    SetAside = 8 "set_aside" "is left out for now: its provider said when to come back",
    /// It is recovering and this request is not among the share that it gets.
    Recovering = 9 "recovering" "is passed over: it is recovering and takes a growing share of requests",
    /// All its provider's keys were refused.
    NoCredential = 10 "no_credential" "is left out: its provider refused every key we have",
    /// The model is retired.
    Retired = 11 "retired" "is left out: the model is no longer served",
    /// It is outside the residency that the request is bound to.
    Residency = 12 "residency" "is left out: it is outside the residency asked for",
}

impl Reason {
    /// Whether the offer was taken.
    pub fn taken(self) -> bool {
        matches!(self, Self::First | Self::Next)
    }

    /// Whether waiting may help.
    pub fn passes(self) -> bool {
        matches!(self, Self::BreakerOpen | Self::SetAside | Self::Recovering | Self::NoCredential)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
