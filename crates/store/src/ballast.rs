//! Space set aside while there is some. When the disk is full the file is removed, so that settlements of what
//! is under way still reach the ledger and reads keep working; new requests wait until it can be restored.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};

/// Space that must be free beside the ballast before it counts as restored: without it the space that was just
/// released would do, and the writer would flap between full and healthy.
const ROOM: u64 = 1 << 20;

/// The ballast file.
#[derive(Debug)]
pub(crate) struct Ballast {
    path: PathBuf,
    bytes: u64,
}

impl Ballast {
    /// Describes it; [`Ballast::restore`] makes it.
    pub(crate) fn new(path: PathBuf, bytes: u64) -> Self {
        Self { path, bytes }
    }

    /// Gives the space back to the disk.
    pub(crate) fn release(&self) {
        match std::fs::remove_file(&self.path) {
            Ok(()) => tracing::warn!(bytes = self.bytes, "disk is full, released the ballast"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(error = %error, "can't release the ballast"),
        }
    }

    /// Whether the space is set aside, after trying to.
    pub(crate) fn restore(&self) -> bool {
        if self.bytes == 0 || std::fs::metadata(&self.path).is_ok_and(|it| it.len() >= self.bytes) {
            return true;
        }
        let made = self.reserve();
        if made.is_err() {
            // A part of it would take the space that settlements need.
            drop(std::fs::remove_file(&self.path));
        }
        made.is_ok()
    }

    fn reserve(&self) -> std::io::Result<()> {
        let file: File = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, self.bytes + ROOM) {
            // A file system without fallocate sets nothing aside; the length alone is there to be seen.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(self.bytes),
            Err(error) => Err(error.into()),
        }
    }
}
