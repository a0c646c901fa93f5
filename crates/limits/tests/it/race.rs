//! T-L10's shape: many threads on one budget. The structures are single-threaded; the owner's lock is what the
//! server uses.

use std::sync::{Barrier, Mutex};

use domain::Money;
use limits::{Actual, Ask, BudgetSpec, Limits, LimitsSpec, Ticket};

use crate::{NOON, Names, budget, usd};

const THREADS: usize = 20;
const EACH: usize = 50;

/// A thousand admissions while all answers are held; returns how many passed.
fn admitted(spec: BudgetSpec, ask: Ask) -> (usize, Limits) {
    let limits =
        Mutex::new(Limits::new(NOON, LimitsSpec { budgets: vec![spec], ..LimitsSpec::default() }));
    let (names, barrier) = (Names::new(), Barrier::new(THREADS));
    let tickets: Vec<Ticket> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let door = || limits.lock().unwrap().admit(NOON, &names.at(&names.one), &ask);
                    (0..EACH).filter_map(|_| door().ok()).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let count = tickets.len();
    for ticket in tickets {
        let used = Actual { money: ask.money, tokens: ask.tokens };
        limits.lock().unwrap().finish(ticket, &used);
    }
    (count, limits.into_inner().unwrap())
}

#[test]
fn exactly_137_of_1000_requests_pass_a_budget_of_137_requests() {
    let names = Names::new();
    for _ in 0..20 {
        let spec = budget("all", names.only_app(), "137 requests per day");
        let (count, mut limits) = admitted(spec, Ask::one(Money::ZERO, 1));
        assert_eq!(count, 137);
        let state = &limits.report(NOON).budgets[0];
        assert_eq!((state.settled.amount, state.reserved.amount), (137, 0));
    }
}

#[test]
fn exactly_137_of_1000_requests_pass_a_budget_of_137_worst_cases() {
    let names = Names::new();
    let worst = usd("0.000000000007");
    for _ in 0..20 {
        // 137 worst cases and six pico-dollars that are too few for another.
        let spec = budget("all", names.only_app(), "0.000000000965 USD per day");
        let (count, mut limits) = admitted(spec, Ask::one(worst, 1));
        assert_eq!(count, 137);
        let state = &limits.report(NOON).budgets[0];
        assert_eq!((state.settled.amount, state.reserved.amount), (137 * 7, 0));
    }
}
