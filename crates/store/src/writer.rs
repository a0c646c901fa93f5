//! One thread writes. Callers encode their record, put it into a queue and get a [`Receipt`]; the thread takes
//! whatever is queued once somebody hands over, at most 512 records, commits it as one transaction and answers.
//!
//! There is no timer in strict durability: while one group is being synced the next one fills. The wake-up is
//! one `notify` per sleep of the thread, not one per record; towards threads that [gather](crate::gather) so is the answer.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ledger::chain::Signer;
use ledger::commit::{Committer, GROUP_MAX, KEPT_MAX, Submission, Unavailable};
use ledger::storage::{Batch, META_SNAPSHOT, StorageError};
use ledger::verify::make_snapshot;
use ledger::{Durability, Record, Seq};
use tokio::sync::oneshot;

use crate::ballast::Ballast;
use crate::clock::now;
use crate::gather::{self, Inbox, Post, Sender};
use crate::signing::{SigningKey, check_signature};
use crate::sqlite::SqliteStorage;

/// Most records that wait for the thread; beyond it callers are shed.
const QUEUE_MAX: usize = 65_536;
/// The same in relaxed durability, where what waits was acknowledged: few enough to be written within the
/// promised 50 ms.
const RELAXED_QUEUE_MAX: usize = 4_096;
/// How long a group gathers in relaxed durability; with the commit itself below the promised 50 ms.
const RELAXED_GATHER: Duration = Duration::from_millis(35);
/// How often a broken storage is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// The head is signed after so many records,
const SIGN_RECORDS: u64 = 4_096;
/// or after this time when any were written.
const SIGN_AFTER: Duration = Duration::from_mins(1);
/// The balances are snapshotted after so many records, so that a start never replays many more.
const SNAPSHOT_RECORDS: u64 = 150_000;
/// At a clean stop a tail this short is left for the next start.
const SNAPSHOT_TAIL: u64 = 1_000;

/// The record is not durable: [`Unavailable::kept`] says whether it will be.
pub type LedgerUnavailable = Unavailable;

/// How the writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WriterState {
    /// Records are accepted.
    Healthy = 0,
    /// The disk is nearly full: only settlements and write-offs are written, into the space of the ballast.
    Low = 1,
    /// Storage failed; it is being reopened.
    Poisoned = 2,
}

/// A piece of work to be done between two groups, on the writer's thread.
pub(crate) type Work = Box<dyn FnOnce(&mut Committer<SqliteStorage>) + Send>;
/// Who waits for a record, and the way to the thread that it waits on.
struct Answer {
    to: Sender,
    by: Option<Arc<Inbox>>,
}
type Item = Submission<Option<Answer>>;

#[derive(Default)]
struct Queue {
    items: Vec<Item>,
    work: Vec<Work>,
    /// Whether what is queued is to be written now; else somebody still gathers.
    handed_over: bool,
    asleep: bool,
    stop: bool,
}

impl Queue {
    fn is_idle(&self) -> bool {
        !self.handed_over && self.work.is_empty() && !self.stop
    }
}

pub(crate) struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    state: AtomicU8,
    durability: Durability,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole between any two statements, so a panic elsewhere doesn't spoil it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: WriterState) {
        self.state.store(state as u8, Ordering::Release);
    }

    fn state(&self) -> WriterState {
        match self.state.load(Ordering::Acquire) {
            0 => WriterState::Healthy,
            1 => WriterState::Low,
            _ => WriterState::Poisoned,
        }
    }
}

/// Appends records. Cheap to clone; never blocks the caller's thread on the disk.
#[derive(Clone)]
pub struct LedgerWriter {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for LedgerWriter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("LedgerWriter").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// Resolves when the record is durable (strict) or accepted (relaxed; the number is then 0: not known yet).
#[derive(Debug)]
pub struct Receipt(Waiting);

#[derive(Debug)]
enum Waiting {
    Ready(Result<Seq, LedgerUnavailable>),
    Commit(oneshot::Receiver<Result<Seq, LedgerUnavailable>>),
}

impl Receipt {
    /// Waits on this thread: for commands and tests, never inside an async runtime.
    pub fn wait(self) -> Result<Seq, LedgerUnavailable> {
        match self.0 {
            Waiting::Ready(result) => result,
            Waiting::Commit(commit) => {
                commit.blocking_recv().unwrap_or(Err(Unavailable { kept: false }))
            }
        }
    }
}

impl Future for Receipt {
    type Output = Result<Seq, LedgerUnavailable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Waiting::Ready(result) => Poll::Ready(*result),
            Waiting::Commit(commit) => Pin::new(commit)
                .poll(context)
                .map(|it| it.unwrap_or(Err(Unavailable { kept: false }))),
        }
    }
}

impl LedgerWriter {
    /// Hands a record in. Order counts: append an intent *after* its reservation is made in memory, and a
    /// settlement *before* the reservation is released, else the log may show a limit passed that never was.
    ///
    /// A settlement or write-off that can't be written now is kept in memory and written when storage is back
    /// (`kept` in the error): don't append it again.
    pub fn append(&self, record: &Record) -> Receipt {
        let must_outlive = matches!(record, Record::Settlement(_) | Record::WriteOff(_));
        let relaxed = self.shared.durability == Durability::Relaxed;
        let state = self.shared.state();
        if state != WriterState::Healthy && !must_outlive {
            return Receipt(Waiting::Ready(Err(Unavailable { kept: false })));
        }
        let body = ledger::encode(record);
        let (answer, receipt) = if relaxed && state == WriterState::Healthy {
            (None, Receipt(Waiting::Ready(Ok(0))))
        } else {
            let (to, receive) = oneshot::channel();
            (
                Some(Answer { to, by: gather::inbox(&self.shared) }),
                Receipt(Waiting::Commit(receive)),
            )
        };
        let keep = must_outlive || relaxed;
        let mut queue = self.shared.lock();
        let limit = match (must_outlive, relaxed) {
            (true, _) => KEPT_MAX,
            (false, true) => RELAXED_QUEUE_MAX,
            (false, false) => QUEUE_MAX,
        };
        if queue.items.len() >= limit || queue.stop {
            return Receipt(Waiting::Ready(Err(Unavailable { kept: false })));
        }
        queue.items.push(Submission { body, keep, ticket: answer });
        self.wake_for_record(queue);
        receipt
    }

    /// How the writer is.
    pub fn state(&self) -> WriterState {
        self.shared.state()
    }

    pub(crate) fn work(&self, work: Work) {
        let mut queue = self.shared.lock();
        queue.work.push(work);
        self.wake(queue);
    }

    /// Writes what is queued, signs the head and ends the thread.
    pub(crate) fn stop(&self) {
        let mut queue = self.shared.lock();
        queue.stop = true;
        self.wake(queue);
    }

    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        let asleep = std::mem::take(&mut queue.asleep);
        drop(queue);
        if asleep {
            self.shared.wake.notify_one();
        }
    }

    /// Wakes the thread for a record: at once, or where the calling thread gathers, when it has gathered.
    fn wake_for_record(&self, mut queue: MutexGuard<'_, Queue>) {
        let puts_off = gather::puts_off(&self.shared);
        if queue.items.len() >= gather::RECORDS_MAX || !puts_off {
            queue.handed_over = true;
            self.wake(queue);
        }
    }

    /// Makes the calling runtime thread gather what it appends: run this as one of its tasks, for ever.
    pub async fn gather(self) {
        gather::run(self).await;
    }

    /// Wakes the thread if there is anything to write.
    pub(crate) fn hand_over(&self) {
        let mut queue = self.shared.lock();
        if !queue.items.is_empty() {
            queue.handed_over = true;
            self.wake(queue);
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// Starts the thread.
pub(crate) fn start(
    committer: Committer<SqliteStorage>,
    signer: Arc<SigningKey>,
    ballast: Ballast,
    durability: Durability,
    dir: PathBuf,
) -> std::io::Result<(LedgerWriter, std::thread::JoinHandle<()>)> {
    let shared = Arc::new(Shared {
        queue: Mutex::new(Queue::default()),
        wake: Condvar::new(),
        state: AtomicU8::new(WriterState::Healthy as u8),
        durability,
    });
    let writer = LedgerWriter { shared: Arc::clone(&shared) };
    let snapshot_at = committer.chain().seq;
    let signed_at = Instant::now();
    let thread = Thread { shared, committer, signer, ballast, signed_at, snapshot_at, dir };
    let handle =
        std::thread::Builder::new().name("outrigger-ledger".into()).spawn(|| thread.run())?;
    Ok((writer, handle))
}

struct Thread {
    shared: Arc<Shared>,
    committer: Committer<SqliteStorage>,
    signer: Arc<SigningKey>,
    ballast: Ballast,
    signed_at: Instant,
    /// The last record at the time of the last snapshot.
    snapshot_at: Seq,
    dir: PathBuf,
}

impl Thread {
    fn run(mut self) {
        loop {
            let (items, work, stop) = self.next();
            self.write(items);
            for work in work {
                work(&mut self.committer);
            }
            if self.shared.state() != WriterState::Healthy || !self.committer.is_healthy() {
                self.heal();
            }
            let idle = self.committer.unsigned() > 0 && self.signed_at.elapsed() >= SIGN_AFTER;
            if stop || idle {
                self.sign();
            }
            self.snapshot(stop);
            if stop {
                return;
            }
        }
    }

    /// Waits for something to do.
    fn next(&mut self) -> (Vec<Item>, Vec<Work>, bool) {
        let pause = match self.shared.state() {
            WriterState::Healthy => SIGN_AFTER,
            WriterState::Low | WriterState::Poisoned => RETRY,
        };
        let mut queue = self.shared.lock();
        if queue.is_idle() {
            queue.asleep = true;
            let woken = self.shared.wake.wait_timeout(queue, pause);
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
            queue.asleep = false;
        }
        let gather = self.shared.durability == Durability::Relaxed && !queue.stop;
        if gather && !queue.items.is_empty() && queue.items.len() < GROUP_MAX {
            drop(queue);
            std::thread::sleep(RELAXED_GATHER);
            queue = self.shared.lock();
        }
        let take = queue.items.len().min(GROUP_MAX);
        let rest = queue.items.split_off(take);
        let items = std::mem::replace(&mut queue.items, rest);
        queue.handed_over = !queue.items.is_empty();
        let work = std::mem::take(&mut queue.work);
        let stop = queue.stop && queue.items.is_empty();
        (items, work, stop)
    }

    fn write(&mut self, items: Vec<Item>) {
        if items.is_empty() {
            return;
        }
        let due = self.committer.unsigned() >= SIGN_RECORDS;
        let signer = due.then_some(&*self.signer as &dyn Signer);
        // While space is low nothing new may start: those who slipped in are turned away here.
        let (items, refused): (Vec<_>, Vec<_>) = items
            .into_iter()
            .partition(|item| item.keep || self.shared.state() == WriterState::Healthy);
        let mut post = Post::default();
        for item in refused {
            self.committer.refuse(&item.body);
            reply(&mut post, item.ticket, Err(Unavailable { kept: false }));
        }
        let answer = |ticket, result| reply(&mut post, ticket, result);
        let written = self.committer.commit(items, signer, answer);
        drop(post);
        if due {
            self.signed_at = Instant::now();
        }
        if let Err(error) = written {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &StorageError) {
        self.shared.set(WriterState::Poisoned);
        tracing::error!(error = %error, source = ?error, "ledger can't be written, new requests are refused");
        if matches!(error, StorageError::Full) {
            self.ballast.release();
        }
    }

    /// Reopens storage, writes what was kept, and restores the ballast; until then only kept records pass.
    fn heal(&mut self) {
        if let Err(error) = self.committer.recover(now()) {
            if matches!(error, StorageError::Full) {
                self.ballast.release();
            }
            self.shared.set(WriterState::Poisoned);
            std::thread::sleep(RETRY);
            return;
        }
        if self.ballast.restore() {
            self.shared.set(WriterState::Healthy);
            tracing::info!("ledger is writable again");
        } else {
            self.shared.set(WriterState::Low);
        }
    }

    /// Takes a snapshot when one is due: beside this thread while it runs, on it at the end.
    fn snapshot(&mut self, stop: bool) {
        let due = if stop { SNAPSHOT_TAIL } else { SNAPSHOT_RECORDS };
        if self.committer.chain().seq.saturating_sub(self.snapshot_at) < due {
            return;
        }
        self.snapshot_at = self.committer.chain().seq;
        if stop {
            let made = make_snapshot(self.committer.storage(), &check_signature);
            save_snapshot(&mut self.committer, made);
            return;
        }
        let (dir, writer) = (self.dir.clone(), LedgerWriter { shared: Arc::clone(&self.shared) });
        let task = move || {
            let made = SqliteStorage::open_read_only(&dir)
                .and_then(|reads| make_snapshot(&reads, &check_signature));
            writer.work(Box::new(move |committer| save_snapshot(committer, made)));
        };
        let spawned = std::thread::Builder::new().name("outrigger-snapshot".into()).spawn(task);
        if let Err(error) = spawned {
            tracing::warn!(error = %error, "can't start the snapshot thread");
        }
    }

    fn sign(&mut self) {
        self.signed_at = Instant::now();
        if let Err(error) = self.committer.sign(&*self.signer) {
            self.fail(&error);
        }
    }
}

/// A snapshot only saves time: one that can't be made or written is left out.
fn save_snapshot(
    committer: &mut Committer<SqliteStorage>,
    made: Result<Option<Vec<u8>>, StorageError>,
) {
    let saved = made.and_then(|bytes| match bytes {
        Some(bytes) => {
            committer.maintain(&Batch { meta: &[(META_SNAPSHOT, Some(bytes))], ..Batch::default() })
        }
        None => Ok(()),
    });
    if let Err(error) = saved {
        tracing::warn!(error = %error, "can't save a snapshot of the balances");
    }
}

fn reply(post: &mut Post, ticket: Option<Answer>, result: Result<Seq, Unavailable>) {
    match ticket {
        Some(Answer { to, by: Some(inbox) }) => post.put(inbox, to, result),
        Some(Answer { to, by: None }) => gather::tell(to, result),
        None => {}
    }
}
