//! What the figures were measured on.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use crate::tools;

/// Processors that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The machine, as far as it bears on the figures.
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) fsync_p50_us: u64,
    pub(crate) date: String,
    pub(crate) load_before: String,
}

impl Machine {
    /// Reads it; `folder` is on the disk whose fsync counts.
    pub(crate) fn look(folder: &Path) -> Result<Self> {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = info.lines().find(|l| l.starts_with("model name"));
        let said = |program: &str, args: &[&str]| {
            let out = tools::output(Command::new(program).args(args)).unwrap_or_default();
            out.trim().to_owned()
        };
        Ok(Self {
            cpu: cpu.and_then(|l| l.split_once(": ")).map_or("unknown", |p| p.1).to_owned(),
            cores: cores(),
            kernel: said("uname", &["-sr"]),
            fsync_p50_us: fsync_p50(folder)?,
            date: said("date", &["-u", "+%Y-%m-%d"]),
            load_before: fs::read_to_string("/proc/loadavg")
                .unwrap_or_default()
                .split_whitespace()
                .next()
                .unwrap_or("unknown")
                .to_owned(),
        })
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "cpu": self.cpu, "cores": self.cores, "kernel": self.kernel, "fsync_p50_us": self.fsync_p50_us,
            "date": self.date, "load_before": self.load_before,
        })
    }
}

/// Median time to append 4 KiB and have them on the disk, in microseconds.
fn fsync_p50(folder: &Path) -> Result<u64> {
    let path = folder.join("fsync-probe");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or(0))
}
