//! The life of one request as a state machine: events in, actions out.
//!
//! The driver (the server's data plane, or a simulation) performs actions and reports what happened; every choice is
//! made here: whether to try again, where, when to give up, and what an attempt is accounted as. Nothing here waits,
//! reads a clock or knows a wire format.
//!
//! ```text
//! begin -> Attempt -> (reserved, intent durable) -> Dispatch -> Failed -> Attempt | GiveUp
//!                                                            -> FirstByte -> Relay -> Finished | Cut | ClientLeft
//! ```

#![deny(missing_docs)]

mod account;
mod machine;

pub use account::{Ended, Evidence, Verdict, estimate_tokens, verdict};
pub use machine::{Action, Attempt, Event, Flow, GiveUp, State, Why};
