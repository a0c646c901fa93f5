//! One credential for all, renewed in time by one at a time.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::pool::PoolOptions;

thread_local! {
    /// How far the tests' clock is ahead of the machine's.
    static AHEAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn clock() -> Instant {
    Instant::now() + AHEAD.get()
}

fn pass(time: Duration) {
    AHEAD.set(AHEAD.get() + time);
}

/// Gives out what it is told to, numbered; waits for a word before each answer.
struct Script {
    answers: Mutex<VecDeque<Result<Duration, ErrorClass>>>,
    asked: AtomicUsize,
    go: tokio::sync::Semaphore,
}

type Told = Arc<Script>;

impl Issuer for Told {
    type Credential = usize;

    async fn issue(&self, _pool: &Pool) -> Result<Issued<usize>, TokenError> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        self.go.acquire().await.unwrap().forget();
        let answer = self.answers.lock().unwrap().pop_front().expect("not asked so often");
        match answer {
            Ok(life) => Ok(Issued { credential: number, expires: clock() + life }),
            Err(class) => Err(TokenError { class, message: "no".into() }),
        }
    }
}

struct Bench {
    script: Told,
    tokens: Arc<Tokens<Told>>,
    pool: Pool,
}

impl Bench {
    fn asked(&self) -> usize {
        self.script.asked.load(Ordering::Relaxed)
    }

    async fn get(&self) -> Result<usize, ErrorClass> {
        self.tokens.get(&self.pool).await.map(|it| *it).map_err(|error| error.class)
    }

    /// Lets what was started run until it can go no further.
    async fn settle(&self) {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }
}

/// Answers in this order; `free`: without waiting for a word.
fn bench(answers: &[Result<Duration, ErrorClass>], free: bool, test: impl AsyncFnOnce(Bench)) {
    let script = Arc::new(Script {
        answers: Mutex::new(answers.iter().copied().collect()),
        asked: AtomicUsize::new(0),
        go: tokio::sync::Semaphore::new(if free { 1_000 } else { 0 }),
    });
    let tokens = Tokens::with_clock(Arc::clone(&script), clock);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        test(Bench { script, tokens, pool: Pool::new(PoolOptions::default()) }).await;
    });
}

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn a_hundred_requests_ask_once() {
    bench(&[Ok(HOUR)], false, async |bench| {
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let (tokens, pool) = (Arc::clone(&bench.tokens), bench.pool.clone());
                tokio::task::spawn_local(async move { tokens.get(&pool).await.map(|it| *it) })
            })
            .collect();
        bench.settle().await;
        assert_eq!(bench.asked(), 1);
        bench.script.go.add_permits(1);
        for one in waiting {
            assert_eq!(one.await.unwrap(), Ok(0));
        }
        assert_eq!((bench.get().await, bench.asked()), (Ok(0), 1));
    });
}

#[test]
fn it_is_renewed_before_its_end_while_the_old_one_serves() {
    bench(&[Ok(HOUR), Ok(HOUR)], false, async |bench| {
        bench.script.go.add_permits(1);
        assert_eq!(bench.get().await, Ok(0));
        pass(Duration::from_secs(3_600 - 240 - 5));
        assert_eq!((bench.get().await, bench.asked()), (Ok(0), 1), "it is not time yet");
        pass(Duration::from_secs(6));
        for _ in 0..3 {
            assert_eq!(bench.get().await, Ok(0), "nobody waits for the renewal");
            bench.settle().await;
        }
        assert_eq!(bench.asked(), 2, "one renews");
        bench.script.go.add_permits(1);
        bench.settle().await;
        assert_eq!((bench.get().await, bench.asked()), (Ok(1), 2));
    });
}

#[test]
fn a_renewal_that_fails_leaves_the_old_one_until_its_end() {
    let no = Err(ErrorClass::ServerError);
    bench(&[Ok(HOUR), no, no, Ok(HOUR)], true, async |bench| {
        assert_eq!(bench.get().await, Ok(0));
        pass(Duration::from_mins(56));
        for _ in 0..5 {
            assert_eq!(bench.get().await, Ok(0));
            bench.settle().await;
        }
        assert_eq!((bench.asked(), bench.tokens.wait()), (2, None), "one try, then a pause");
        pass(RENEWED_BEFORE);
        assert_eq!(bench.get().await, no.map(|_| 0), "the old one is over, and the issuer fails");
        assert_eq!(bench.asked(), 3);
        assert_eq!(
            (bench.get().await, bench.asked()),
            (no.map(|_| 0), 3),
            "nobody asks in a pause"
        );
        let pause = bench.tokens.wait().unwrap();
        assert!(pause > FIRST_PAUSE && pause <= 2 * FIRST_PAUSE, "{pause:?}: it doubles");
        pass(pause);
        assert_eq!((bench.get().await, bench.asked()), (Ok(3), 4));
        assert_eq!(bench.tokens.wait(), None);
    });
}

#[test]
fn pauses_end_at_a_minute() {
    bench(&[Err(ErrorClass::Auth); 9], true, async |bench| {
        let mut pauses = Vec::new();
        for _ in 0..9 {
            bench.get().await.unwrap_err();
            let pause = bench.tokens.wait().unwrap();
            pauses.push(pause.as_secs_f64().ceil() as u64);
            pass(pause);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    });
}

#[test]
fn a_caller_that_leaves_does_not_stop_the_renewal() {
    bench(&[Ok(HOUR)], false, async |bench| {
        {
            let mut leaving = std::pin::pin!(bench.tokens.get(&bench.pool));
            let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(leaving.as_mut().poll(cx)));
            assert!(poll.await.is_pending());
        }
        bench.settle().await;
        bench.script.go.add_permits(1);
        assert_eq!((bench.get().await, bench.asked()), (Ok(0), 1));
    });
}

#[test]
fn a_thread_that_ends_hands_the_question_on() {
    bench(&[Ok(HOUR)], false, async |bench| {
        let (tokens, script) = (Arc::clone(&bench.tokens), Arc::clone(&bench.script));
        // A data thread begins to ask, and its runtime is torn down under it.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                let pool = Pool::new(PoolOptions::default());
                tokio::select! {
                    biased;
                    _ = tokens.get(&pool) => panic!("nobody answered"),
                    () = async { while script.asked.load(Ordering::Relaxed) == 0 { tokio::task::yield_now().await } } => {}
                }
            });
        })
        .join()
        .unwrap();
        bench.script.go.add_permits(1);
        assert_eq!((bench.get().await, bench.asked()), (Ok(1), 2));
    });
}

#[test]
fn a_refused_credential_is_given_up_unless_it_is_new() {
    bench(&[Ok(HOUR), Ok(HOUR)], true, async |bench| {
        let first = bench.tokens.get(&bench.pool).await.unwrap();
        bench.tokens.refused(&first);
        assert_eq!((bench.get().await, bench.asked()), (Ok(0), 1), "another would fare no better");
        pass(REFUSED_AFTER);
        bench.tokens.refused(&first);
        assert_eq!((bench.get().await, bench.asked()), (Ok(1), 2));
        pass(REFUSED_AFTER);
        bench.tokens.refused(&first);
        assert_eq!((bench.get().await, bench.asked()), (Ok(1), 2), "an old one says nothing of it");
    });
}

#[test]
fn one_that_is_over_when_it_comes_is_a_failure() {
    bench(&[Ok(Duration::ZERO)], true, async |bench| {
        assert_eq!(bench.get().await, Err(ErrorClass::BadResponse));
        assert_eq!(bench.asked(), 1);
    });
    // A life beyond all reason is no reason to fall over.
    bench(&[Ok(Duration::from_hours(24 * 365 * 1_000))], true, async |bench| {
        assert_eq!(bench.get().await, Ok(0));
        pass(LIFE_MAX);
        assert!(bench.tokens.wait().is_none());
    });
}
