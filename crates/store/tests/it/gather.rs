//! Threads that gather what they append.

use std::cell::Cell;
use std::rc::Rc;

use ledger::verify::verify;
use store::{OpenOptions, Store, check_signature};

use crate::sample::{intent, settlement, start};

fn on_a_runtime<F: Future<Output = ()>>(work: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(work);
}

#[test]
fn everyone_who_appends_on_a_gathering_thread_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    store.writer().append(&start()).wait().unwrap();
    on_a_runtime(async {
        tokio::task::spawn_local(store.writer().gather());
        // More than are ever gathered, so that the thread is also woken for their number.
        let requests: Vec<_> = (1..=200)
            .map(|number| {
                let writer = store.writer();
                tokio::task::spawn_local(async move {
                    writer.append(&intent(number)).await.unwrap();
                    writer.append(&settlement(number)).await.unwrap();
                })
            })
            .collect();
        for request in requests {
            request.await.unwrap();
        }
    });
    let report = verify(&store.reader().unwrap(), &check_signature, None, None).unwrap();
    assert_eq!((report.faults.len(), report.intents, report.settlements), (0, 200, 200));
}

#[test]
fn a_thread_that_never_rests_hands_over_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    store.writer().append(&start()).wait().unwrap();
    on_a_runtime(async {
        tokio::task::spawn_local(store.writer().gather());
        let done = Rc::new(Cell::new(false));
        let until = Rc::clone(&done);
        let busy = tokio::task::spawn_local(async move {
            while !until.get() {
                tokio::task::yield_now().await;
            }
        });
        store.writer().append(&intent(1)).await.unwrap();
        done.set(true);
        busy.await.unwrap();
    });
}

#[test]
fn what_waits_when_the_gathering_ends_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    store.writer().append(&start()).wait().unwrap();
    on_a_runtime(async {
        let gathering = tokio::task::spawn_local(store.writer().gather());
        tokio::task::yield_now().await;
        let receipt = store.writer().append(&intent(1));
        gathering.abort();
        receipt.await.unwrap();
        // And from then on the thread is like any other.
        store.writer().append(&intent(2)).await.unwrap();
    });
}
