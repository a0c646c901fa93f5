//! Short-lived credentials: asked for when the first request needs one, shared by all threads, renewed before they
//! expire. Whoever gives them out is asked by one request at a time; the others go on with what is still good, or wait
//! for that one answer where nothing is.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::ErrorClass;
use tokio::sync::Notify;

use crate::pool::Pool;
use crate::secret::Secret;

mod ask;
mod aws;
mod azure;
mod external;
mod google;

pub use aws::{AssumedRole, AwsLogin, AwsPairs, ContainerToken};
pub use azure::{AzureLogin, AzureProof};
pub use google::{GoogleKeyError, GoogleLogin};

/// A credential is renewed so long before it expires, or a quarter of its life if that is shorter. Metadata servers hand
/// out what they have until five minutes before its end; asked earlier, they give the same again.
const RENEWED_BEFORE: Duration = Duration::from_mins(4);
/// A credential is not used any more so long before it expires, or an eighth of its life: a request takes time to arrive,
/// and clocks differ.
const UNUSED_BEFORE: Duration = Duration::from_secs(10);
/// No credential is believed to live longer.
const LIFE_MAX: Duration = Duration::from_hours(24 * 30);
/// The whole of one renewal, all its requests together.
const RENEWAL_MAX: Duration = Duration::from_secs(15);
/// The pause after a renewal that failed; doubles with each in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A credential that a provider refused is given up if it is older than this; a newer one would be followed by another
/// that is refused for the same reason.
const REFUSED_AFTER: Duration = Duration::from_mins(1);

/// Somebody who gives out credentials.
pub trait Issuer: Send + Sync + 'static {
    /// What is given out.
    type Credential: Send + Sync;

    /// Asks for one. Runs on a data thread: it may wait, it must not block.
    fn issue(
        &self,
        pool: &Pool,
    ) -> impl Future<Output = Result<Issued<Self::Credential>, TokenError>>;
}

/// Who asks for a token that is sent as a bearer's.
#[derive(Debug)]
pub enum Login {
    /// Of Google.
    Google(GoogleLogin),
    /// Of Microsoft Entra.
    Azure(AzureLogin),
}

impl Issuer for Login {
    type Credential = Secret;

    async fn issue(&self, pool: &Pool) -> Result<Issued<Secret>, TokenError> {
        match self {
            Self::Google(login) => login.issue(pool).await,
            Self::Azure(login) => login.issue(pool).await,
        }
    }
}

/// A credential and its end.
#[derive(Clone, Debug)]
pub struct Issued<C> {
    /// The credential.
    pub credential: C,
    /// When it expires.
    pub expires: Instant,
}

/// No credential could be had. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TokenError {
    /// The class that breakers, retries and the ledger act on.
    pub class: ErrorClass,
    /// Who failed, why, and what to do next.
    pub message: String,
}

/// The current credential of an issuer.
pub struct Tokens<I: Issuer> {
    issuer: I,
    state: Mutex<State<I::Credential>>,
    /// Whoever waits for a renewal is told of its end.
    ended: Notify,
    clock: fn() -> Instant,
}

struct State<C> {
    held: Option<Held<C>>,
    failed: Option<Failed>,
    /// Whether somebody is asking the issuer.
    asking: bool,
}

struct Held<C> {
    credential: Arc<C>,
    since: Instant,
    renew_at: Instant,
    good_until: Instant,
}

struct Failed {
    error: TokenError,
    times: u32,
    again_at: Instant,
}

/// What a request that needs a credential does.
enum Step<I: Issuer> {
    Use(Arc<I::Credential>, Option<Asking<I>>),
    Ask(Asking<I>),
    Wait,
    GiveUp(TokenError),
}

/// The right to ask the issuer; dropped, others may.
struct Asking<I: Issuer>(Arc<Tokens<I>>);

impl<I: Issuer> Tokens<I> {
    /// Nothing is asked for yet.
    pub fn new(issuer: I) -> Arc<Self> {
        Self::with_clock(issuer, Instant::now)
    }

    fn with_clock(issuer: I, clock: fn() -> Instant) -> Arc<Self> {
        let state = Mutex::new(State { held: None, failed: None, asking: false });
        Arc::new(Self { issuer, state, ended: Notify::new(), clock })
    }

    /// A credential that is good now. Must be called where local tasks can be started: the renewal goes on if the caller
    /// leaves.
    ///
    /// # Errors
    /// The last failure, until the pause after it is over.
    pub async fn get(self: &Arc<Self>, pool: &Pool) -> Result<Arc<I::Credential>, TokenError> {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // From here on no end is missed, also one that comes before the first poll.
            ended.as_mut().enable();
            match self.step((self.clock)()) {
                Step::Use(credential, asking) => {
                    if let Some(asking) = asking {
                        tokio::task::spawn_local(asking.run(pool.clone()));
                    }
                    return Ok(credential);
                }
                Step::Ask(asking) => {
                    tokio::task::spawn_local(asking.run(pool.clone()));
                }
                Step::Wait => {}
                Step::GiveUp(error) => return Err(error),
            }
            ended.await;
        }
    }

    /// How long until one may be asked for again, where none is good and the last try failed.
    pub fn wait(&self) -> Option<Duration> {
        let now = (self.clock)();
        let state = self.lock();
        let good = state.held.as_ref().is_some_and(|it| now < it.good_until);
        let failed = state.failed.as_ref().filter(|it| !good && now < it.again_at)?;
        Some(failed.again_at - now)
    }

    /// The provider refused this credential: another is asked for, unless this one is quite new.
    pub fn refused(&self, credential: &Arc<I::Credential>) {
        let now = (self.clock)();
        let mut state = self.lock();
        state.held.take_if(|it| {
            Arc::ptr_eq(&it.credential, credential)
                && now.saturating_duration_since(it.since) >= REFUSED_AFTER
        });
    }

    fn step(self: &Arc<Self>, now: Instant) -> Step<I> {
        let mut state = self.lock();
        let paused = state.failed.as_ref().filter(|it| now < it.again_at);
        let may_ask = !state.asking && paused.is_none();
        if let Some(held) = state.held.as_ref().filter(|it| now < it.good_until) {
            let credential = Arc::clone(&held.credential);
            let renew = may_ask && now >= held.renew_at;
            state.asking |= renew;
            return Step::Use(credential, renew.then(|| Asking(Arc::clone(self))));
        }
        match paused {
            _ if state.asking => Step::Wait,
            Some(failed) => Step::GiveUp(failed.error.clone()),
            None => {
                state.asking = true;
                Step::Ask(Asking(Arc::clone(self)))
            }
        }
    }

    fn keep(&self, begun: Instant, issued: Issued<I::Credential>) {
        let Issued { credential, expires } = issued;
        // Its life is counted from the question on: it can't have begun later than the answer.
        let life = expires.saturating_duration_since(begun).min(LIFE_MAX);
        let held = Held {
            credential: Arc::new(credential),
            since: begun,
            renew_at: begun + life.saturating_sub(RENEWED_BEFORE.min(life / 4)),
            good_until: begun + life.saturating_sub(UNUSED_BEFORE.min(life / 8)),
        };
        if held.good_until <= (self.clock)() {
            let message = "the credential that was given out for the provider has expired already; set this \
                           machine's clock";
            self.pause(TokenError { class: ErrorClass::BadResponse, message: message.to_owned() });
            return;
        }
        let mut state = self.lock();
        state.held = Some(held);
        state.failed = None;
    }

    fn pause(&self, error: TokenError) {
        let now = (self.clock)();
        let mut state = self.lock();
        let before = state.failed.as_ref().map_or(0, |it| it.times);
        let pause = FIRST_PAUSE.saturating_mul(1 << before.min(16)).min(LONGEST_PAUSE);
        tracing::warn!(error = %error, pause_seconds = pause.as_secs(), "no credential for a provider");
        state.failed = Some(Failed { error, times: before + 1, again_at: now + pause });
    }

    fn lock(&self) -> MutexGuard<'_, State<I::Credential>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: Issuer> Asking<I> {
    async fn run(self, pool: Pool) {
        let tokens = &self.0;
        let begun = (tokens.clock)();
        match tokio::time::timeout(RENEWAL_MAX, tokens.issuer.issue(&pool)).await {
            Ok(Ok(issued)) => tokens.keep(begun, issued),
            Ok(Err(error)) => tokens.pause(error),
            Err(_) => tokens.pause(TokenError {
                class: ErrorClass::Timeout,
                message: format!(
                    "whoever gives out the provider's credentials did not answer within {} s; its address may be \
                     wrong or shielded by a firewall",
                    RENEWAL_MAX.as_secs()
                ),
            }),
        }
    }
}

impl<I: Issuer> Drop for Asking<I> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The next to ask would most likely fall over as well.
            let message =
                "asking for the provider's credential failed within the gateway: this is a bug";
            self.0.pause(TokenError { class: ErrorClass::Internal, message: message.to_owned() });
        }
        self.0.lock().asking = false;
        self.0.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
