//! Names to addresses, remembered briefly.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long an answer is believed. The system's resolver does not tell us the record's own lifetime, so this is
/// the longest that a moved name can lead us astray.
const KEEP: Duration = Duration::from_secs(30);
/// How long a failure is believed.
const KEEP_FAILURE: Duration = Duration::from_secs(5);
/// Names remembered at most; configured targets are few.
const NAMES_MAX: usize = 1024;

type Answer = Result<Rc<[SocketAddr]>, Rc<str>>;

/// A thread's memory of names.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    known: RefCell<BTreeMap<(String, u16), (Instant, Answer)>>,
}

impl Resolver {
    /// The addresses of `host`, in the system's order of preference.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Answer {
        let key = (host.to_owned(), port);
        if let Some((until, answer)) = self.known.borrow().get(&key)
            && *until > Instant::now()
        {
            return answer.clone();
        }
        // Runs on tokio's blocking threads: the system's resolver is the one that honours hosts files.
        let answer: Answer = match tokio::net::lookup_host((host, port)).await {
            Ok(found) => {
                let found: Vec<_> = found.collect();
                if found.is_empty() { Err("no address found".into()) } else { Ok(found.into()) }
            }
            Err(_) => Err("name not found".into()),
        };
        let keep = if answer.is_ok() { KEEP } else { KEEP_FAILURE };
        let mut known = self.known.borrow_mut();
        if known.len() >= NAMES_MAX {
            known.clear();
        }
        known.insert(key, (Instant::now() + keep, answer.clone()));
        answer
    }
}
