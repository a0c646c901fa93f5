//! The door: all or nothing, what is given back, what is remembered.

use domain::{ErrorClass, Money, RequestId, UnixMicros};
use limits::units::parse_rate;
use limits::{
    Actual, Ask, AttemptKey, BudgetSpec, Denied, Limits, LimitsSpec, OpenReservation, ParallelSpec,
    RateSpec, ScopeFilter, SettledSum, Ticket, Unit, Unpriced,
};

use crate::{NOON, Names, at, budget, usd};

const MINUTE: i64 = 60_000_000;

fn with_budgets(budgets: Vec<BudgetSpec>) -> LimitsSpec {
    LimitsSpec { budgets, ..LimitsSpec::default() }
}

fn rate(name: &str, unit: Unit, words: &str, burst: u64) -> RateSpec {
    let rate = parse_rate(words).unwrap();
    RateSpec { burst, ..RateSpec::new(name, ScopeFilter::ALL, unit, rate) }
}

fn amounts(limits: &mut Limits, now: UnixMicros) -> Vec<(i128, i128)> {
    let budgets = limits.report(now).budgets;
    budgets.iter().map(|it| (it.settled.amount, it.reserved.amount)).collect()
}

#[test]
fn a_refusal_says_in_words_what_is_left_and_when_it_resets() {
    let names = Names::new();
    let spec = budget("search", names.only_app(), "5 USD per month in Europe/Berlin");
    let mut limits = Limits::new(NOON, with_budgets(vec![spec]));
    let scope = names.at(&names.one);
    let ticket = limits.admit(NOON, &scope, &Ask::one(usd("4.98"), 10)).unwrap();
    limits.finish(ticket, &Actual::known(usd("4.98"), 10));
    let denied = limits.admit(NOON, &scope, &Ask::one(usd("0.05"), 10)).unwrap_err();
    assert_eq!(
        denied.to_string(),
        "budget `search`: 4.98 of 5.00 USD used or reserved, asks 0.05, resets \
         2026-12-01T00:00 Europe/Berlin"
    );
    assert_eq!(denied.limit_name(), "search");
    assert!(limits.admit(NOON, &scope, &Ask::one(usd("0.02"), 10)).is_ok());
}

/// Budget and amount of each charge of a ticket's only attempt.
fn charged(limits: &Limits, ticket: &Ticket) -> Vec<(String, i64)> {
    limits.charges(ticket, 0).map(|it| (it.budget.to_owned(), it.amount)).collect()
}

#[test]
fn lasting_work_holds_budgets_and_no_place_nor_rate_of_tokens() {
    let names = Names::new();
    let spec = LimitsSpec {
        budgets: vec![budget("tokens", ScopeFilter::ALL, "10000 tokens per day")],
        rates: vec![
            rate("tokens", Unit::Tokens, "1000/min", 1_000),
            rate("requests", Unit::Requests, "2/min", 2),
        ],
        parallel: vec![ParallelSpec { name: "one".into(), scope: ScopeFilter::ALL, limit: 1 }],
    };
    let mut limits = Limits::new(NOON, spec);
    let scope = names.at(&names.one);
    let ask = Ask::one(Money::ZERO, 8_000);
    let ticket = limits.admit_lasting(NOON, &scope, &ask).unwrap();
    assert_eq!(amounts(&mut limits, NOON), [(0, 8_000)]);
    let beyond = limits.admit_lasting(NOON, &scope, &ask).unwrap_err();
    assert!(matches!(beyond, Denied::Budget(_)));
    // The cap of one and the rate of tokens are free for a request beside it; the rate of requests counts both.
    let beside = limits.admit(NOON, &scope, &Ask::one(Money::ZERO, 1_000)).unwrap();
    limits.finish(beside, &Actual::known(Money::ZERO, 1_000));
    let third = limits.admit_lasting(NOON, &scope, &Ask::one(Money::ZERO, 1)).unwrap_err();
    assert!(matches!(third, Denied::Rate(_)));
    limits.finish(ticket, &Actual::known(Money::ZERO, 100));
    assert_eq!(amounts(&mut limits, NOON), [(1_100, 0)]);
}

#[test]
fn several_calls_are_one_request_and_each_is_settled_by_itself() {
    let names = Names::new();
    let spec = LimitsSpec {
        budgets: vec![
            budget("money", ScopeFilter::ALL, "5 USD per day"),
            budget("tokens", ScopeFilter::ALL, "1000 tokens per day"),
            budget("requests", ScopeFilter::ALL, "10 requests per day"),
        ],
        rates: vec![rate("rate", Unit::Tokens, "1000/min", 1_000)],
        parallel: vec![ParallelSpec { name: "one".into(), scope: ScopeFilter::ALL, limit: 1 }],
    };
    let mut limits = Limits::new(NOON, spec);
    let scope = names.at(&names.one);
    // All calls together must fit, and only then is there anything to divide.
    let denied = limits.admit(NOON, &scope, &Ask::one(usd("6"), 300)).unwrap_err();
    assert!(denied.to_string().contains("asks 6.00"), "{denied}");
    let mut first = limits.admit(NOON, &scope, &Ask::one(usd("3"), 301)).unwrap();
    let mut further = limits.divide(&mut first, 3);
    let (pico, share) = (usd("1").pico(), |tokens| {
        vec![("money".to_owned(), usd("1").pico()), ("tokens".to_owned(), tokens)]
    });
    assert_eq!(charged(&limits, &first), [share(101), vec![("requests".to_owned(), 1)]].concat());
    assert_eq!(
        further.iter().map(|it| charged(&limits, it)).collect::<Vec<_>>(),
        [share(100), share(100)]
    );
    assert_eq!(amounts(&mut limits, NOON), [(0, i128::from(3 * pico)), (0, 301), (0, 1)]);

    limits.finish(further.remove(0), &Actual::known(usd("0.5"), 40));
    limits.finish(further.remove(0), &Actual::NOTHING);
    let report = limits.report(NOON);
    assert_eq!((report.parallel[0].running, report.rates[0].available), (1, 1_000 - 101 - 40));
    limits.finish(first, &Actual::known(usd("1"), 101));
    assert_eq!(amounts(&mut limits, NOON), [(i128::from(3 * pico / 2), 0), (141, 0), (1, 0)]);
    let report = limits.report(NOON);
    assert_eq!((report.parallel[0].running, report.rates[0].available), (0, 1_000 - 141));
}

#[test]
fn an_attempt_that_runs_beside_others_is_settled_by_itself() {
    let names = Names::new();
    let spec = LimitsSpec {
        budgets: vec![
            budget("money", ScopeFilter::ALL, "5 USD per day"),
            budget("tokens", ScopeFilter::ALL, "1000 tokens per day"),
            budget("requests", ScopeFilter::ALL, "1 requests per day"),
        ],
        rates: vec![rate("rate", Unit::Tokens, "1000/min", 1_000)],
        parallel: vec![ParallelSpec { name: "one".into(), scope: ScopeFilter::ALL, limit: 1 }],
    };
    let mut limits = Limits::new(NOON, spec);
    let scope = names.at(&names.one);
    let ask = Ask::one(usd("2"), 300);
    let mut session = limits.admit(NOON, &scope, &ask).unwrap();
    let first = limits.detach(&mut session);
    assert_eq!(limits.extend(NOON, &mut session, &scope, &ask), Ok(1));
    let second = limits.detach(&mut session);
    // Two are held, and a third does not fit.
    let held = i128::from(usd("4").pico());
    assert_eq!(amounts(&mut limits, NOON), [(0, held), (0, 600), (0, 1)]);
    let denied = limits.extend(NOON, &mut session, &scope, &ask).unwrap_err();
    assert!(denied.to_string().contains("asks 2.00"), "{denied}");

    // The second ends first, and the first was never made.
    limits.finish(second, &Actual::known(usd("0.5"), 40));
    limits.finish(first, &Actual::known(usd("0"), 0));
    let settled = i128::from(usd("0.5").pico());
    assert_eq!(amounts(&mut limits, NOON), [(settled, 0), (40, 0), (0, 1)]);
    assert_eq!(limits.report(NOON).parallel[0].running, 1);
    limits.finish(session, &Actual::NOTHING);
    assert_eq!(amounts(&mut limits, NOON), [(settled, 0), (40, 0), (1, 0)]);
    let report = limits.report(NOON);
    assert_eq!((report.parallel[0].running, report.rates[0].available), (0, 1_000 - 40));
}

#[test]
fn one_full_limit_leaves_no_trace_in_the_others() {
    let names = Names::new();
    let spec = LimitsSpec {
        budgets: vec![
            budget("wide", ScopeFilter::ALL, "100 USD per day"),
            budget("calls", names.only_app(), "10 requests per day"),
        ],
        rates: vec![rate("tokens", Unit::Tokens, "1000/min", 1_000)],
        parallel: vec![ParallelSpec { name: "two".into(), scope: ScopeFilter::ALL, limit: 1 }],
    };
    let mut limits = Limits::new(NOON, spec);
    let scope = names.at(&names.one);
    let held = limits.admit(NOON, &scope, &Ask::one(usd("1"), 400)).unwrap();
    let before = format!("{:?}", limits.report(NOON));
    let too_many_tokens = limits.admit(NOON, &scope, &Ask::one(usd("1"), 700)).unwrap_err();
    assert!(matches!(too_many_tokens, Denied::Rate(_)), "{too_many_tokens}");
    let too_dear = limits.admit(NOON, &scope, &Ask::one(usd("100"), 1)).unwrap_err();
    assert!(matches!(too_dear, Denied::Budget(_)), "{too_dear}");
    let too_parallel = limits.admit(NOON, &scope, &Ask::one(usd("1"), 1)).unwrap_err();
    assert!(matches!(too_parallel, Denied::Parallel(_)), "{too_parallel}");
    assert_eq!(format!("{:?}", limits.report(NOON)), before);
    limits.cancel(held);
    assert_eq!(amounts(&mut limits, NOON), [(0, 0), (0, 0)]);
    assert_eq!(limits.report(NOON).rates[0].available, 1_000);
    assert_eq!(limits.report(NOON).parallel[0].running, 0);
}

#[test]
fn a_request_that_is_refused_after_all_was_asked_and_not_served() {
    let names = Names::new();
    let spec = LimitsSpec {
        budgets: vec![
            budget("money", names.only_app(), "10 USD per day"),
            budget("calls", names.only_app(), "5 requests per day"),
        ],
        rates: vec![
            rate("asked", Unit::Requests, "2/min", 2),
            rate("tokens", Unit::Tokens, "1000/min", 1_000),
        ],
        parallel: Vec::new(),
    };
    let mut limits = Limits::new(NOON, spec);
    let scope = names.at(&names.one);
    for _ in 0..2 {
        let ticket = limits.admit(NOON, &scope, &Ask::one(usd("1"), 400)).unwrap();
        limits.decline(ticket);
    }
    assert_eq!(amounts(&mut limits, NOON), [(0, 0), (0, 0)]);
    let rates = limits.report(NOON).rates;
    assert_eq!((rates[0].available, rates[1].available), (0, 1_000));
    let denied = limits.admit(NOON, &scope, &Ask::one(usd("1"), 400)).unwrap_err();
    assert!(matches!(denied, Denied::Rate(_)), "{denied}");
}

#[test]
fn a_failover_adds_its_worst_case_and_counts_the_request_once() {
    let names = Names::new();
    let spec = LimitsSpec {
        budgets: vec![
            budget("money", names.only_app(), "10 USD per day"),
            budget("calls", names.only_app(), "1 requests per day"),
            budget("one", Names::only_provider(&names.one), "5 requests per day"),
            budget("two", Names::only_provider(&names.two), "5 requests per day"),
        ],
        rates: Vec::new(),
        parallel: vec![
            ParallelSpec { name: "app".into(), scope: names.only_app(), limit: 1 },
            ParallelSpec { name: "one".into(), scope: Names::only_provider(&names.one), limit: 1 },
        ],
    };
    let mut limits = Limits::new(NOON, spec);
    let ask = Ask::one(usd("4"), 100);
    let mut ticket = limits.admit(NOON, &names.at(&names.one), &ask).unwrap();
    // The first attempt timed out: it may have been billed, so it stays reserved beside the second.
    assert!(ErrorClass::Timeout.may_be_billed());
    assert_eq!(limits.extend(NOON, &mut ticket, &names.at(&names.two), &ask), Ok(1));
    let held: Vec<_> =
        limits.charges(&ticket, 1).map(|it| (it.budget.to_owned(), it.amount)).collect();
    assert_eq!(held, [("money".to_owned(), usd("4").pico()), ("two".to_owned(), 1)]);
    let third = limits.extend(NOON, &mut ticket, &names.at(&names.one), &ask);
    assert!(matches!(third, Err(Denied::Budget(_))));

    let found = limits.settle(&mut ticket, 0, &Actual::known(usd("1"), 10));
    assert!(found.overruns.is_empty());
    let running: Vec<_> = limits.report(NOON).parallel.iter().map(|it| it.running).collect();
    assert_eq!(running, [1, 0], "the provider's place is free, the application's is not");
    limits.finish(ticket, &Actual::known(usd("2"), 10));
    let three = i128::from(usd("3").pico());
    assert_eq!(amounts(&mut limits, NOON), [(three, 0), (1, 0), (1, 0), (1, 0)]);
}

#[test]
fn what_was_used_above_the_reservation_is_booked_in_full_and_flagged() {
    let names = Names::new();
    let mut limits =
        Limits::new(NOON, with_budgets(vec![budget("b", ScopeFilter::ALL, "1 USD per day")]));
    let ticket = limits.admit(NOON, &names.at(&names.one), &Ask::one(usd("0.9"), 1)).unwrap();
    let found = limits.finish(ticket, &Actual::known(usd("1.4"), 1));
    assert_eq!(found.overruns[0].by.to_string(), "0.50 USD");
    let state = limits.report(NOON).budgets.remove(0);
    assert_eq!(state.settled.to_string(), "1.40 USD");
    assert_eq!((state.reserved.amount, state.overruns), (0, 1));
    assert!(limits.admit(NOON, &names.at(&names.one), &Ask::one(Money::ZERO, 1)).is_err());
}

#[test]
fn an_unknown_worst_case_follows_unpriced() {
    let names = Names::new();
    let mut limits =
        Limits::new(NOON, with_budgets(vec![budget("b", ScopeFilter::ALL, "1 USD per day")]));
    let scope = names.at(&names.one);
    let unknown = Ask { money: None, ..Ask::one(Money::ZERO, 1) };
    assert!(limits.has_money_budget(&scope));
    assert!(matches!(limits.admit(NOON, &scope, &unknown), Err(Denied::Unpriced { .. })));
    let allowed = Ask { unpriced: Unpriced::Allow, ..unknown };
    let ticket = limits.admit(NOON, &scope, &allowed).unwrap();
    limits.finish(ticket, &Actual::UNKNOWN);
    let state = limits.report(NOON).budgets.remove(0);
    assert_eq!((state.settled.amount, state.reserved.amount, state.unpriced), (0, 0, 1));
    let ticket = limits.admit(NOON, &scope, &Ask::one(usd("1"), 1)).unwrap();
    assert!(
        matches!(limits.admit(NOON, &scope, &allowed), Err(Denied::Budget(_))),
        "a budget with nothing left lets nothing unknown pass"
    );
    limits.cancel(ticket);
}

#[test]
fn a_settlement_goes_to_the_window_of_admission() {
    let names = Names::new();
    let mut limits =
        Limits::new(NOON, with_budgets(vec![budget("b", ScopeFilter::ALL, "1 USD per hour")]));
    let scope = names.at(&names.one);
    let late = limits.admit(NOON, &scope, &Ask::one(usd("1"), 1)).unwrap();
    let next = NOON.plus_micros(60 * MINUTE);
    let ticket = limits.admit(next, &scope, &Ask::one(usd("1"), 1)).unwrap();
    limits.finish(late, &Actual::known(usd("1"), 1));
    assert_eq!(amounts(&mut limits, next), [(0, i128::from(usd("1").pico()))]);
    limits.cancel(ticket);
    assert!(limits.admit(NOON, &scope, &Ask::one(usd("1"), 1)).is_ok(), "in the newer window");
    assert!(
        limits.admit(NOON, &scope, &Ask::one(usd("0.01"), 1)).is_err(),
        "a clock that steps back opens nothing"
    );
}

#[test]
fn a_reload_keeps_balances_and_open_reservations() {
    let names = Names::new();
    let old = || vec![budget("b", ScopeFilter::ALL, "5 USD per day")];
    let mut limits = Limits::new(NOON, with_budgets(old()));
    let scope = names.at(&names.one);
    let open = limits.admit(NOON, &scope, &Ask::one(usd("2"), 1)).unwrap();
    limits.reload(NOON, with_budgets(vec![budget("b", ScopeFilter::ALL, "3 USD per day")]));
    assert!(limits.admit(NOON, &scope, &Ask::one(usd("1.01"), 1)).is_err());
    // Gone for a while: nobody is held back, what was open still settles, and it is there when it comes back.
    limits.reload(NOON, LimitsSpec::default());
    let free = limits.admit(NOON, &scope, &Ask::one(usd("100"), 1)).unwrap();
    limits.finish(free, &Actual::UNKNOWN);
    limits.finish(open, &Actual::known(usd("1.5"), 1));
    limits.reload(NOON, with_budgets(old()));
    assert_eq!(amounts(&mut limits, NOON), [(i128::from(usd("1.5").pico()), 0)]);
    // Another window is another budget.
    limits.reload(NOON, with_budgets(vec![budget("b", ScopeFilter::ALL, "5 USD per week")]));
    assert_eq!(amounts(&mut limits, NOON), [(0, 0)]);
}

#[test]
fn a_restart_finds_what_was_settled_and_what_is_open() {
    let names = Names::new();
    let specs = || {
        with_budgets(vec![
            budget("b", ScopeFilter::ALL, "5 USD per day"),
            budget("n", ScopeFilter::ALL, "10 requests per day"),
        ])
    };
    let scope = names.at(&names.one);
    let mut first = Limits::new(NOON, specs());
    let ticket = first.admit(NOON, &scope, &Ask::one(usd("2"), 1)).unwrap();
    let key = AttemptKey { request: RequestId::from_bits(7), call: 0, attempt: 0 };
    let open = OpenReservation { key, charges: first.charges(&ticket, 0).collect() };
    let day = at("2026-11-22T00:00:00Z");
    let sum = |budget, unit, window, amount| SettledSum { budget, unit, window, amount };
    let settled = [
        sum("b", Unit::Money, day, i128::from(usd("1").pico())),
        sum("b", Unit::Money, at("2026-11-21T00:00:00Z"), 99),
        sum("gone", Unit::Money, day, 99),
        sum("n", Unit::Requests, day, 4),
    ];

    let mut second = Limits::new(NOON, specs());
    second.restore(settled, [open]);
    let two = i128::from(usd("2").pico());
    assert_eq!(amounts(&mut second, NOON), [(two / 2, two), (4, 1)]);
    assert_eq!(second.restored_open().collect::<Vec<_>>(), [key]);
    assert!(second.admit(NOON, &scope, &Ask::one(usd("2.01"), 1)).is_err());
    assert!(second.settle_restored(key, &Actual::known(usd("0.5"), 1)).is_some());
    assert!(second.settle_restored(key, &Actual::UNKNOWN).is_none(), "once");
    assert_eq!(amounts(&mut second, NOON), [(two / 2 + two / 4, 0), (5, 0)]);
    first.cancel(ticket);
}

#[test]
fn rates_say_when_to_come_back_and_give_back_what_was_not_used() {
    let names = Names::new();
    let spec = LimitsSpec {
        rates: vec![
            rate("calls", Unit::Requests, "60/min", 2),
            rate("tokens", Unit::Tokens, "600/min", 600),
        ],
        ..LimitsSpec::default()
    };
    let mut limits = Limits::new(NOON, spec);
    let scope = names.at(&names.one);
    let ask =
        |limits: &mut Limits, now, tokens| limits.admit(now, &scope, &Ask::one(usd("1"), tokens));
    let first = ask(&mut limits, NOON, 500).unwrap();
    let denied = ask(&mut limits, NOON, 200).unwrap_err();
    assert_eq!(denied.retry_after_micros(), Some(10_000_000), "100 tokens at 10 a second");
    assert_eq!(denied.to_string(), "rate `tokens`: 600 tokens/min, asks 200, again in 10.000 s");
    limits.finish(first, &Actual::known(usd("0"), 50));
    let second = ask(&mut limits, NOON, 200).unwrap();
    let denied = ask(&mut limits, NOON, 1).unwrap_err();
    assert_eq!(denied.retry_after_micros(), Some(1_000_000), "the burst of two is used");
    let too_large = ask(&mut limits, NOON.plus_micros(MINUTE), 601).unwrap_err();
    assert_eq!(too_large.retry_after_micros(), None);
    // A clock that steps back by an hour neither blocks nor fills anything.
    let back = NOON.plus_micros(-60 * MINUTE);
    limits.cancel(second);
    assert!(ask(&mut limits, back.plus_micros(2_000_000), 1).is_ok());
}
