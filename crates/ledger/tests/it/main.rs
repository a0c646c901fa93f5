//! The ledger against a storage that fails and bytes that rot.

mod faults;
mod memory;
mod queries;
mod records;
mod rot;
mod sample;
mod sums;
