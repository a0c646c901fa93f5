//! One file per command: its arguments, its help, what it does.

pub(crate) mod catalog;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod lint;
pub(crate) mod maintain;
pub(crate) mod man;
pub(crate) mod model;
pub(crate) mod provider;
pub(crate) mod responses;
pub(crate) mod route;
pub(crate) mod run;
mod run_key;
pub(crate) mod serve;
mod snippet;
mod start_page;
pub(crate) mod try_;
pub(crate) mod usage;
pub(crate) mod version;
mod write_off;
