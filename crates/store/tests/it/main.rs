//! The store on real files: kills, full disks, keys, old schemas.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first surprise, like tests")]
#![expect(clippy::print_stdout, reason = "a step that can't run says so")]

mod basics;
mod bindings;
mod full_disk;
mod gather;
mod kept;
mod keys;
mod kill;
mod sample;
