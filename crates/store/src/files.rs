//! The data folder: its lock and its secrets.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::OpenError;

/// Names who holds the folder; the lock itself is the kernel's and goes with the process.
const LOCK_FILE: &str = "lock";

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::File { path, source }
}

/// Makes the folder, readable by its owner only.
pub(crate) fn make_dir(dir: &Path) -> Result<(), OpenError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir))
}

/// Takes the folder for this process.
pub(crate) fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held(dir, &mut file)),
        Err(TryLockError::Error(error)) => return Err(failed(&path)(error)),
    }
    let pid = format!("{}\n", std::process::id());
    // On a full disk the pid can't be written; the lock holds without it.
    if file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())).is_err() {
        tracing::warn!("can't write the process id into the lock file");
    }
    Ok(file)
}

fn held(dir: &Path, file: &mut File) -> OpenError {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(32).read_to_string(&mut text));
    let pid = read.ok().and_then(|_| text.trim().parse().ok());
    OpenError::Locked { dir: dir.to_owned(), pid }
}

/// Reads a 32-byte secret, or makes it at first start: file mode 0600, on disk before it is used.
pub(crate) fn secret(dir: &Path, name: &str) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    let path = dir.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => {
            let bytes = Zeroizing::new(bytes);
            let key = <[u8; 32]>::try_from(bytes.as_slice());
            return key.map(Zeroizing::new).map_err(|_| OpenError::BadKeyFile { path });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(&path)(error)),
    }
    let mut key = Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(key.as_mut()).map_err(|_| OpenError::Random)?;
    write_secret(dir, &path, key.as_ref()).map_err(failed(&path))?;
    Ok(key)
}

/// Writes under another name and renames, so that a crash leaves no half key.
fn write_secret(dir: &Path, path: &PathBuf, key: &[u8]) -> std::io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(key)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    File::open(dir)?.sync_all()
}
