//! The ledger: what every request did and cost, as an append-only chain of records.
//!
//! **Layout.** [`encode`] documents the bytes of a record, [`chain`] how records are linked and signed.
//!
//! **Commit rules.** Records are committed in groups, all or nothing, in the order in which they were handed
//! in. In strict durability a group is on disk before anyone learns of it. An attempt's intent is handed in
//! *after* its reservation is made in memory, and its settlement *before* the reservation is released in memory:
//! so at any prefix of the log, settled + reserved is at most what memory held, and a limit that held in memory
//! holds in the log. [`commit`] has what happens when storage fails.
//!
//! **Recovery.** Balances are sums of rows ([`replay`]); a snapshot of them only saves time and is thrown away
//! when it does not fit the chain. Intents that nobody closed before the newest `Start` are unsettled: their
//! reservation stays held until a settlement or a write-off closes them.
//!
//! Pure: no clock, environment, file, thread or random source. `store` has the SQLite side.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod chain;
mod codec;
pub mod commit;
pub mod encode;
pub mod export;
pub mod maintain;
pub mod query;
pub mod record;
pub mod replay;
pub mod storage;
pub mod verify;

pub use codec::DecodeError;
pub use encode::{decode, encode};
pub use record::*;
