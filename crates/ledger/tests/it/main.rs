//! The ledger against a storage that fails and bytes that rot.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first surprise, like tests")]

mod faults;
mod memory;
mod queries;
mod records;
mod rot;
mod sample;
mod sums;
