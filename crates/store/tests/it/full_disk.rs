//! T-L5: the ledger on a 32 MiB tmpfs with 1 MiB of ballast; the disk fills up and is freed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ledger::storage::Reads;
use ledger::verify::verify;
use store::{OpenOptions, Store, WriterState, check_signature};

use crate::sample::{id, intent, settlement, start};

/// A tmpfs of 32 MiB that goes away with this value.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"])
            .arg(dir.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(dir)),
            other => {
                let why = match other {
                    Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
                    Err(error) => error.to_string(),
                };
                println!("SKIP T-L5: can't mount a tmpfs: {why}");
                assert!(std::env::var("CI").as_deref() != Ok("true"), "a SKIP fails with CI=true");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Fills what is left but for a few pages.
fn fill(dir: &Path) -> PathBuf {
    let path = dir.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    for size in [1 << 20, 1 << 16, 4_096] {
        let block = vec![0_u8; size];
        while file.write_all(&block).is_ok() {}
    }
    path
}

#[test]
fn a_full_disk_loses_nothing_and_heals_by_itself() {
    let Some(disk) = Tmpfs::mount() else { return };
    let options =
        OpenOptions { ballast_bytes: 1 << 20, ..OpenOptions::new(disk.path().join("data")) };
    let (store, _) = Store::open(&options).unwrap();
    let writer = store.writer();
    writer.append(&start()).wait().unwrap();
    // Open attempts that will have to be settled while the disk is full.
    for number in 1..=20 {
        writer.append(&intent(number)).wait().unwrap();
    }
    let filler = fill(disk.path());
    let mut acknowledged = Vec::new();
    // A writer that starts anew folds its write-ahead file into the database, which gives some space back: the
    // disk is full for good when nothing was accepted for a second.
    let (mut number, mut accepted_at) = (1_000, Instant::now());
    while accepted_at.elapsed() < Duration::from_secs(1) {
        if writer.append(&intent(number)).wait().is_ok() {
            acknowledged.push(number);
            accepted_at = Instant::now();
        }
        number += 1;
        std::thread::yield_now();
    }
    // Refused, and fast.
    let began = Instant::now();
    for extra in 0..100 {
        assert!(writer.append(&intent(900_000_000 + extra)).wait().is_err());
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_ne!(writer.state(), WriterState::Healthy);
    // Settlements are written into the ballast's space or kept; reads work.
    for settled in 1..=20 {
        let result = writer.append(&settlement(settled)).wait();
        assert!(result.is_ok() || result.is_err_and(|it| it.kept), "{result:?}");
    }
    assert!(store.reader().unwrap().bounds().unwrap().is_some());

    std::fs::remove_file(filler).unwrap();
    let freed = Instant::now();
    while writer.append(&intent(500_000_000)).wait().is_err() {
        assert!(freed.elapsed() < Duration::from_secs(5), "not healed within 5 s");
        std::thread::yield_now();
    }
    acknowledged.push(500_000_000);
    drop(store);

    let (store, replay) = Store::open(&options).unwrap();
    let report = verify(&store.reader().unwrap(), &check_signature, None, None).unwrap();
    assert_eq!(report.faults, []);
    assert!(acknowledged.iter().all(|number| replay.open.contains_key(&id(*number))));
    // Nothing that was refused is open: either it is not there, or the gateway wrote it off.
    assert_eq!(replay.open.len(), acknowledged.len());
    assert_eq!(report.settlements, 20);
}
