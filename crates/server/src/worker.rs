//! What one thread of the data plane has for itself.

use std::sync::Arc;

use domain::{RequestId, UnixMicros};
use tokio::sync::Semaphore;
use upstream::{Pool, PoolOptions};

use crate::clock::ThreadRandom;
use crate::fetch;
use crate::gateway::Gateway;

/// One thread's share: its connections to providers, its random bits, and the way to what is shared.
pub struct Worker {
    /// What all threads share.
    pub gateway: Arc<Gateway>,
    /// Connections to providers.
    pub pool: Pool,
    /// Random bits for ids and jitter.
    pub random: ThreadRandom,
    /// What may be fetched for clients at the same time.
    pub fetches: Semaphore,
}

impl Worker {
    /// A worker for the calling thread.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self {
            gateway,
            pool: Pool::new(PoolOptions::default()),
            random: ThreadRandom::from_system(),
            fetches: Semaphore::new(fetch::AT_ONCE_MAX),
        }
    }

    /// A new request's id.
    pub fn request_id(&self, now: UnixMicros) -> RequestId {
        RequestId::new(now, self.random.next_u128())
    }
}
