//! The store on real files: kills, full disks, keys, old schemas.

mod basics;
mod full_disk;
mod keys;
mod kill;
mod sample;
