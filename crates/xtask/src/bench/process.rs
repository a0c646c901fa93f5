//! What the kernel says about a process and its children.

use std::collections::BTreeMap;

use super::peers::Peer;

/// The process and everything below it.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        let below = children.get(pid).cloned().unwrap_or_default();
        found.extend(below);
        at += 1;
    }
    found
}

/// The fourth field of `stat`; the second may hold spaces and is in parentheses.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Time on a processor so far, in nanoseconds, of all threads of a process and its children: exact to the nanosecond,
/// where `times` counts ticks.
pub(crate) fn cpu_nanos(root: u32) -> u64 {
    tree(root).into_iter().map(threads_nanos).sum()
}

fn threads_nanos(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum()
}

/// Resident memory now, in KiB.
pub(crate) fn resident_kib(root: u32) -> u64 {
    status_sum(root, "VmRSS:")
}

/// The most resident memory there was, in KiB.
pub(crate) fn peak_kib(root: u32) -> u64 {
    status_sum(root, "VmHWM:")
}

fn status_sum(root: u32, field: &str) -> u64 {
    let value = |pid: u32| -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|l| l.starts_with(field))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    tree(root).into_iter().filter_map(value).sum()
}

/// Writes down each peer's peak memory, before it ends.
pub(crate) fn note_peaks(peers: &mut [Peer]) {
    for peer in peers {
        if let Some(process) = &peer.process {
            peer.peak_kib = peak_kib(process.0.id());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_parent_memory_and_time() {
        let me = std::process::id();
        let parent = parent(me).unwrap();
        assert!(tree(parent).contains(&me));
        // In this order: memory that comes between the two readings only raises the second.
        let resident = resident_kib(me);
        assert!(resident > 0 && peak_kib(me) >= resident);
        assert!(cpu_nanos(me) > 0);
    }
}
