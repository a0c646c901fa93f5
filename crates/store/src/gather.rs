//! How a runtime's thread and the ledger's thread talk: seldom, and about much at a time.
//!
//! A thread that gathers runs a task of its own for it. A record wakes that task and not the ledger's thread. The task
//! stands behind all tasks that are ready to run, and then behind those that become ready by what has arrived meanwhile;
//! only when nobody has appended anything more in between, or [`RECORDS_MAX`] records wait, does it hand over. So one commit
//! takes what they all append, and none of them is interrupted for a commit of a few records. No timer is involved: where
//! nothing else is ready, nothing waits. The answers come back the same way: a whole group's into one inbox with one
//! wake-up, and the task hands them to those who wait, each a wake-up within the thread. Without it every record would
//! cost a system call to wake its runtime.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

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
    /// Records that were appended here since the last hand-over.
    appended: Rc<Cell<usize>>,
}

fn here<T>(writer: &Arc<Shared>, look: impl FnOnce(&Here) -> T) -> Option<T> {
    HERE.with_borrow(|here| here.as_ref().filter(|it| Arc::ptr_eq(&it.writer, writer)).map(look))
}

/// Whether this thread gathers for that writer; its task takes care of the record then.
pub(crate) fn puts_off(writer: &Arc<Shared>) -> bool {
    let first = |here: &Here| {
        // The task is on its way already for any but the first.
        if here.appended.replace(here.appended.get() + 1) == 0 {
            here.task.wake_by_ref();
        }
    };
    here(writer, first).is_some()
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

    /// Takes what is there.
    fn take_more(&self) -> Vec<Letter> {
        std::mem::take(&mut self.lock().waiting)
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
    let gathering = Gathering { writer, inbox: Arc::default(), appended: Rc::default() };
    loop {
        std::future::poll_fn(|context| gathering.poll_records(context)).await;
        let mut seen = 0;
        while seen != gathering.appended.get() {
            seen = gathering.appended.get();
            // Comes back behind all who are ready, also by what the runtime then finds has arrived.
            tokio::task::yield_now().await;
            deliver(gathering.inbox.take_more());
        }
        gathering.appended.set(0);
        gathering.writer.hand_over();
    }
}

/// Ends the gathering of a thread with its task: what is on its way is delivered all the same.
struct Gathering {
    writer: LedgerWriter,
    inbox: Arc<Inbox>,
    appended: Rc<Cell<usize>>,
}

impl Gathering {
    /// Delivers answers until there are records to gather.
    fn poll_records(&self, context: &Context<'_>) -> Poll<()> {
        HERE.set(Some(Here {
            writer: Arc::clone(self.writer.shared()),
            task: context.waker().clone(),
            inbox: Arc::clone(&self.inbox),
            appended: Rc::clone(&self.appended),
        }));
        deliver(self.inbox.take(Some(context.waker())));
        if self.appended.get() == 0 { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        // At the end of the thread there may be nothing left to clear.
        let _cleared = HERE.try_with(RefCell::take).is_ok();
        deliver(self.inbox.take(None));
        self.writer.hand_over();
    }
}
