//! How an attempt or a request ended, in our words. Only `dialect`'s error tables, `upstream`, `server` and
//! `fake-provider` know HTTP statuses; everything else speaks of these classes.

use std::fmt;

macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $code,)* }

        impl $name {
            /// Every value, in the order of its code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in rows, metrics and the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The inverse of the discriminant.
            pub fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// The value of that word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.as_str())
            }
        }
    };
}

coded! {
    /// How an attempt (or a refused request) ended. Stored in the ledger: codes are never reused.
    OutcomeClass {
        /// The answer was delivered whole.
        Ok = 0 "ok",
        /// The client left first; what was used is accounted.
        ClientGone = 1 "client_gone",
        /// The provider failed; see the error class.
        Failed = 2 "failed",
        /// The stream was cut after the first byte had gone out.
        Interrupted = 3 "interrupted",
        /// Refused before any attempt (401, 402, 400, no candidate).
        Refused = 4 "refused",
        /// The process died in between; found at the next start.
        Unsettled = 5 "unsettled",
        /// Given up by an operator, with a reason.
        WrittenOff = 6 "written_off",
        /// Our own fault: a panic or a failed conversion.
        Internal = 7 "internal",
    }
}

coded! {
    /// What went wrong with an attempt; the key of breakers, retries and the data plane's error catalogue.
    ErrorClass {
        /// Nothing.
        None = 0 "none",
        /// No connection: refused, unreachable, name not found, TLS failure. Nothing was sent.
        Unreachable = 1 "unreachable",
        /// No answer in time.
        Timeout = 2 "timeout",
        /// The provider said we are too fast (429).
        RateLimited = 3 "rate_limited",
        /// The provider is out of capacity (503, 529).
        Overloaded = 4 "overloaded",
        /// The provider failed (other 5xx, 408, 409).
        ServerError = 5 "server_error",
        /// The provider answered what its protocol doesn't allow, or cut the answer.
        BadResponse = 6 "bad_response",
        /// The provider refused our credential (401, 403).
        Auth = 7 "auth",
        /// Our quota or balance at the provider is spent (402, `insufficient_quota`).
        Quota = 8 "quota",
        /// The provider does not know the model (404).
        ModelNotFound = 9 "model_not_found",
        /// The request itself is wrong (400, 413, 422): another offer would refuse it as well.
        InvalidRequest = 10 "invalid_request",
        /// The request does not fit the model's context.
        ContextTooLong = 11 "context_too_long",
        /// The provider's content filter refused.
        ContentFilter = 12 "content_filter",
        /// Data stopped flowing in the middle.
        Stall = 13 "stall",
        /// Refused by us: see the refusal's code in the row.
        Refusal = 14 "refusal",
        /// Our own fault.
        Internal = 15 "internal",
    }
}

/// Whose fault an error is: decides what a breaker or a key pool learns from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The offer (or its provider).
    Offer,
    /// The credential that was used.
    Credential,
    /// The client's request.
    Client,
    /// Us.
    Gateway,
    /// Nobody.
    Nobody,
}

impl ErrorClass {
    /// Whose fault it is.
    pub fn blame(self) -> Blame {
        match self {
            Self::None => Blame::Nobody,
            Self::Unreachable
            | Self::Timeout
            | Self::RateLimited
            | Self::Overloaded
            | Self::ServerError
            | Self::BadResponse
            | Self::ModelNotFound
            | Self::Stall => Blame::Offer,
            Self::Auth | Self::Quota => Blame::Credential,
            Self::InvalidRequest | Self::ContextTooLong | Self::ContentFilter | Self::Refusal => {
                Blame::Client
            }
            Self::Internal => Blame::Gateway,
        }
    }

    /// Whether another offer may serve what this one could not (before the first byte to the client).
    pub fn may_fail_over(self) -> bool {
        matches!(self.blame(), Blame::Offer | Blame::Credential)
    }

    /// Whether a second try at the same offer makes sense.
    pub fn may_retry_same(self) -> bool {
        matches!(self, Self::Unreachable | Self::RateLimited | Self::Overloaded | Self::ServerError)
    }

    /// Whether the provider may have billed for the attempt although it failed.
    pub fn may_be_billed(self) -> bool {
        matches!(self, Self::Timeout | Self::Stall | Self::BadResponse | Self::Internal)
    }
}
