//! The gateway's listeners and what happens behind them.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod listen;
