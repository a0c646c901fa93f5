//! How a runtime's thread and the ledger's thread talk: seldom, and about much at a time.
//!
//! A thread that gathers runs a task of its own for it. A record that finds the ledger's thread asleep wakes that task,
//! which stands behind all tasks that are ready to run, and not the ledger's thread: so one commit takes what they all
//! append, and none of them is interrupted for a commit of one record. No timer is involved: where nothing else is ready,
//! nothing waits. The answers come back the same way: a whole group's into one inbox with one wake-up, and the task hands
//! them to those who wait, each a wake-up within the thread. Without it every record would cost a system call to wake its
//! runtime.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use ledger::Seq;
use tokio::sync::oneshot;

use crate::writer::{LedgerUnavailable, LedgerWriter, Shared};

/// A thread that gathers hands over once so many records wait.
pub(crate) const RECORDS_MAX: usize = 64;

type Answered = Result<Seq, LedgerUnavailable>;
type Letter = (Sender, Answered);
/// Where somebody waits for a record.
pub(crate) type Sender = oneshot::Sender<Answered>;

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// What a gathering thread knows of itself.
struct Here {
    writer: Arc<Shared>,
    task: Waker,
    inbox: Arc<Inbox>,
}

fn here<T>(writer: &Arc<Shared>, look: impl FnOnce(&Here) -> T) -> Option<T> {
    HERE.with_borrow(|here| here.as_ref().filter(|it| Arc::ptr_eq(&it.writer, writer)).map(look))
}

/// Whether this thread gathers for that writer; its task is woken then.
pub(crate) fn puts_off(writer: &Arc<Shared>) -> bool {
    here(writer, |here| here.task.wake_by_ref()).is_some()
}

/// Where answers for this thread go, if it gathers for that writer.
pub(crate) fn inbox(writer: &Arc<Shared>) -> Option<Arc<Inbox>> {
    here(writer, |here| Arc::clone(&here.inbox))
}

/// Tells one who waits.
pub(crate) fn tell(to: Sender, result: Answered) {
    // Nobody waits any more: the record is as durable as the result says all the same.
    let _heard = to.send(result).is_ok();
}

fn deliver(letters: Vec<Letter>) {
    for (to, result) in letters {
        tell(to, result);
    }
}

/// Answers on their way to one thread.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Letters>);

#[derive(Default)]
struct Letters {
    waiting: Vec<Letter>,
    /// Who takes them; none before the task first runs and after it has ended.
    reader: Option<Waker>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Letters> {
        // Whole between any two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is there, and leaves word how to be reached.
    fn take(&self, reader: Option<&Waker>) -> Vec<Letter> {
        let mut letters = self.lock();
        letters.reader = reader.cloned();
        std::mem::take(&mut letters.waiting)
    }
}

/// The answers of one group; delivered when dropped.
#[derive(Default)]
pub(crate) struct Post(Vec<(Arc<Inbox>, Vec<Letter>)>);

impl Post {
    /// Adds an answer.
    pub(crate) fn put(&mut self, inbox: Arc<Inbox>, to: Sender, result: Answered) {
        // There are as many inboxes as cores: a look at each is cheaper than any map.
        match self.0.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &inbox)) {
            Some((_, letters)) => letters.push((to, result)),
            None => self.0.push((inbox, vec![(to, result)])),
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        for (inbox, mut sent) in self.0.drain(..) {
            let mut letters = inbox.lock();
            let Some(reader) = letters.reader.clone() else {
                drop(letters);
                deliver(sent);
                continue;
            };
            letters.waiting.append(&mut sent);
            drop(letters);
            reader.wake();
        }
    }
}

/// Gathers on this thread until dropped.
pub(crate) async fn run(writer: LedgerWriter) {
    let gathering = Gathering { writer, inbox: Arc::default() };
    std::future::poll_fn(|context| {
        HERE.set(Some(Here {
            writer: Arc::clone(gathering.writer.shared()),
            task: context.waker().clone(),
            inbox: Arc::clone(&gathering.inbox),
        }));
        deliver(gathering.inbox.take(Some(context.waker())));
        gathering.writer.hand_over();
        Poll::<()>::Pending
    })
    .await;
}

/// Ends the gathering of a thread with its task: what is on its way is delivered all the same.
struct Gathering {
    writer: LedgerWriter,
    inbox: Arc<Inbox>,
}

impl Drop for Gathering {
    fn drop(&mut self) {
        // At the end of the thread there may be nothing left to clear.
        let _cleared = HERE.try_with(RefCell::take).is_ok();
        deliver(self.inbox.take(None));
        self.writer.hand_over();
    }
}
