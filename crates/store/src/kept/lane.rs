//! A thread with a connection, and its queue: what waits together is done in one transaction.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use ledger::storage::StorageError;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::File;

/// Most pieces of work that wait; beyond it callers are turned away.
const QUEUE_MAX: usize = 4_096;
/// Most pieces of work in one transaction.
const GROUP_MAX: usize = 64;

/// Why something was not kept, or can't be had back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// No space left.
    #[error("no space left to keep anything")]
    Full,
    /// More is asked for than the disk bears.
    #[error("too much waits to be kept")]
    Busy,
    /// The file can't be used.
    #[error("what is kept can't be read or written: {0}")]
    Unusable(String),
    /// It can't be sealed or opened.
    #[error(transparent)]
    Seal(#[from] crate::SealError),
    /// The gateway is stopping.
    #[error("what is kept is closed")]
    Closed,
}

impl From<rusqlite::Error> for KeptError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Unusable(error.to_string()),
        }
    }
}

impl From<StorageError> for KeptError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full => Self::Full,
            StorageError::Io(source) => Self::Unusable(source.to_string()),
            StorageError::Damaged(why) => Self::Unusable(why),
        }
    }
}

/// Resolves once the work is done, and on disk where it changed something. Dropped, the work is done all the same.
#[derive(Debug)]
pub struct Pending<T>(oneshot::Receiver<Result<T, KeptError>>);

impl<T> Pending<T> {
    /// Waits on this thread: for commands and tests, never inside an async runtime.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn wait(self) -> Result<T, KeptError> {
        self.0.blocking_recv().unwrap_or(Err(KeptError::Closed))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, KeptError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|it| it.unwrap_or(Err(KeptError::Closed)))
    }
}

/// A piece of work, and who waits for it.
trait Work: Send {
    /// Does it; whether it went well.
    fn apply(&mut self, connection: &Connection) -> bool;
    /// Tells what came of it; `failed` where that did not reach the disk.
    fn answer(self: Box<Self>, failed: Option<KeptError>);
}

struct Asked<T, F> {
    work: Option<F>,
    result: Result<T, KeptError>,
    to: oneshot::Sender<Result<T, KeptError>>,
}

impl<T, F> Work for Asked<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, KeptError> + Send,
{
    fn apply(&mut self, connection: &Connection) -> bool {
        let Some(work) = self.work.take() else { return false };
        self.result = catch_unwind(AssertUnwindSafe(|| work(connection)))
            .unwrap_or_else(|_| Err(KeptError::Unusable("the work panicked".to_owned())));
        self.result.is_ok()
    }

    fn answer(self: Box<Self>, failed: Option<KeptError>) {
        let result = match failed {
            Some(error) if self.result.is_ok() || self.work.is_some() => Err(error),
            _ => self.result,
        };
        // Nobody waits any more: it is done all the same.
        let _heard = self.to.send(result).is_ok();
    }
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Box<dyn Work>>,
    thread: Option<JoinHandle<()>>,
    stopped: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Whole between any two statements.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work; nothing once the lane is stopped and all is done.
    fn next(&self) -> Option<Vec<Box<dyn Work>>> {
        let mut queue = self.lock();
        while queue.waiting.is_empty() {
            if queue.stopped {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let take = queue.waiting.len().min(GROUP_MAX);
        Some(queue.waiting.drain(..take).collect())
    }
}

/// One of the file's two threads.
pub(super) struct Lane {
    name: &'static str,
    begin: &'static str,
    file: Arc<File>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Lane").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Lane {
    pub(super) fn new(name: &'static str, begin: &'static str, file: Arc<File>) -> Self {
        let shared = Shared { queue: Mutex::default(), wake: Condvar::new() };
        Self { name, begin, file, shared: Arc::new(shared) }
    }

    pub(super) fn hand_over<T, F>(&self, work: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, KeptError> + Send + 'static,
    {
        let (to, receive) = oneshot::channel();
        let asked = Asked { work: Some(work), result: Err(KeptError::Closed), to };
        let refused = {
            let mut queue = self.shared.lock();
            let refusal = self.refusal(&mut queue);
            if refusal.is_none() {
                queue.waiting.push(Box::new(asked));
                None
            } else {
                refusal.map(|error| (error, asked))
            }
        };
        match refused {
            Some((error, asked)) => Box::new(asked).answer(Some(error)),
            None => self.shared.wake.notify_one(),
        }
        Pending(receive)
    }

    /// Why nothing more is taken, if so; starts the thread if that hasn't been done.
    fn refusal(&self, queue: &mut Queue) -> Option<KeptError> {
        if queue.stopped {
            return Some(KeptError::Closed);
        }
        if queue.waiting.len() >= QUEUE_MAX {
            return Some(KeptError::Busy);
        }
        if queue.thread.is_some() {
            return None;
        }
        let (shared, file, begin) = (Arc::clone(&self.shared), Arc::clone(&self.file), self.begin);
        let run = move || run(&shared, &file, begin);
        match std::thread::Builder::new().name(self.name.to_owned()).spawn(run) {
            Ok(thread) => queue.thread = Some(thread),
            Err(error) => return Some(KeptError::Unusable(error.to_string())),
        }
        None
    }

    pub(super) fn stop(&self) {
        let mut queue = self.shared.lock();
        queue.stopped = true;
        let thread = queue.thread.take();
        drop(queue);
        self.shared.wake.notify_one();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(thread = self.name, "a thread of what is kept panicked");
        }
    }
}

fn run(shared: &Shared, file: &File, begin: &str) {
    let mut connection = None;
    while let Some(mut group) = shared.next() {
        let done = open(&mut connection, file)
            .and_then(|connection| together(connection, begin, &mut group));
        let failed = done.err();
        if let Some(error) = &failed {
            tracing::warn!(error = %error, "what is kept can't be read or written");
            // A handle that failed is not trusted with the next one's.
            connection = None;
        }
        for work in group {
            work.answer(failed.clone());
        }
    }
}

fn open<'a>(
    connection: &'a mut Option<Connection>,
    file: &File,
) -> Result<&'a Connection, KeptError> {
    match connection {
        Some(open) => Ok(open),
        None => Ok(connection.insert(file.open()?)),
    }
}

/// All of it in one transaction; a piece that fails is undone alone.
fn together(
    connection: &Connection,
    begin: &str,
    group: &mut [Box<dyn Work>],
) -> Result<(), KeptError> {
    connection.prepare_cached(begin)?.execute([])?;
    for work in group {
        connection.prepare_cached("SAVEPOINT one")?.execute([])?;
        let done = work.apply(connection);
        if connection.is_autocommit() {
            // SQLite undid everything by itself, as it does on a full disk.
            return Err(KeptError::Full);
        }
        if !done {
            connection.prepare_cached("ROLLBACK TO one")?.execute([])?;
        }
        connection.prepare_cached("RELEASE one")?.execute([])?;
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}
