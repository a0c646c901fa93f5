//! Budgets against a naive reference under random admissions, settlements, failovers, reloads and clock steps.

use std::collections::BTreeMap;

use domain::{Money, ProviderName, UnixMicros};
use limits::windows::{Period, Span, Zone};
use limits::{
    Actual, Ask, BudgetSpec, Limits, LimitsSpec, Quantity, Scope, ScopeFilter, Ticket, Unit,
};
use proptest::prelude::*;

use crate::{NOON, Names};

#[derive(Clone, Debug)]
enum Op {
    Admit { second: bool, money: i64, tokens: u64 },
    Extend { pick: usize, second: bool, money: i64, tokens: u64 },
    SettleFirst { pick: usize, money: i64, tokens: u64 },
    Finish { pick: usize, money: i64, tokens: u64 },
    Cancel { pick: usize },
    Limit { budget: usize, limit: i64 },
    Toggle { budget: usize },
    Clock { minutes: i64 },
}

fn op() -> impl Strategy<Value = Op> {
    let pick = 0..64_usize;
    prop_oneof![
        6 => (any::<bool>(), 0..40_i64, 0..40_u64)
            .prop_map(|(second, money, tokens)| Op::Admit { second, money, tokens }),
        2 => (pick.clone(), any::<bool>(), 0..40_i64, 0..40_u64)
            .prop_map(|(pick, second, money, tokens)| Op::Extend { pick, second, money, tokens }),
        2 => (pick.clone(), 0..60_i64, 0..60_u64)
            .prop_map(|(pick, money, tokens)| Op::SettleFirst { pick, money, tokens }),
        4 => (pick.clone(), 0..60_i64, 0..60_u64)
            .prop_map(|(pick, money, tokens)| Op::Finish { pick, money, tokens }),
        1 => pick.prop_map(|pick| Op::Cancel { pick }),
        1 => (0..5_usize, 0..200_i64).prop_map(|(budget, limit)| Op::Limit { budget, limit }),
        1 => (0..5_usize).prop_map(|budget| Op::Toggle { budget }),
        2 => (-90..240_i64).prop_map(|minutes| Op::Clock { minutes }),
    ]
}

fn specs(names: &Names) -> Vec<BudgetSpec> {
    let spec = |name: &str, unit, amount, period, scope| BudgetSpec {
        name: name.into(),
        scope,
        limit: Quantity { unit, amount },
        period,
        zone: Zone::parse("Europe/Berlin").unwrap(),
        hard: true,
    };
    vec![
        spec("money-hour", Unit::Money, 100, Period::Hour, names.only_app()),
        spec("money-total", Unit::Money, 300, Period::Total, ScopeFilter::ALL),
        spec("tokens-day", Unit::Tokens, 150, Period::Day, ScopeFilter::ALL),
        spec("calls-hour", Unit::Requests, 6, Period::Hour, names.only_app()),
        spec("one-calls", Unit::Requests, 4, Period::Day, Names::only_provider(&names.one)),
    ]
}

/// What the reference remembers of a ticket: per attempt and budget, the window and the amount held.
#[derive(Clone, Debug, Default)]
struct Held {
    attempts: u16,
    lines: Vec<(u16, usize, UnixMicros, i128, bool)>,
}

/// Sums in a map, no caches, no indexes.
struct Model {
    specs: Vec<(BudgetSpec, bool)>,
    sums: BTreeMap<(usize, UnixMicros), (i128, i128)>,
    newest: Vec<UnixMicros>,
}

impl Model {
    fn window(&mut self, budget: usize, now: UnixMicros) -> UnixMicros {
        let spec = &self.specs[budget].0;
        let start = Span::containing(spec.period, &spec.zone, now).start;
        self.newest[budget] = self.newest[budget].max(start);
        self.newest[budget]
    }

    fn extend(&mut self, now: UnixMicros, scope: &Scope<'_>, ask: &Ask, held: &mut Held) -> bool {
        let on = |it: &(usize, &(BudgetSpec, bool))| it.1.1 && it.1.0.scope.matches(scope);
        let hit: Vec<usize> = self.specs.iter().enumerate().filter(on).map(|it| it.0).collect();
        let mut lines = Vec::new();
        for budget in hit {
            let window = self.window(budget, now);
            let limit = self.specs[budget].0.limit;
            let counted = held.lines.iter().any(|line| line.1 == budget);
            let amount = match limit.unit {
                Unit::Money => i128::from(ask.money.unwrap().pico()),
                Unit::Tokens => i128::from(ask.tokens.unwrap()),
                Unit::Requests if counted => continue,
                Unit::Requests => 1,
            };
            let (settled, reserved) = self.sums.get(&(budget, window)).copied().unwrap_or_default();
            lines.push((held.attempts, budget, window, amount, true));
            if settled + reserved + amount > limit.amount {
                lines.push((u16::MAX, budget, window, amount, true));
            }
        }
        if lines.iter().any(|line| line.0 == u16::MAX) {
            return false;
        }
        for line in &lines {
            self.sums.entry((line.1, line.2)).or_default().1 += line.3;
        }
        held.lines.extend(lines);
        held.attempts += 1;
        true
    }

    fn settle(&mut self, held: &mut Held, attempt: u16, actual: Option<(i64, u64)>) {
        for line in held.lines.iter_mut().filter(|line| line.0 == attempt && line.4) {
            line.4 = false;
            let used = match (self.specs[line.1].0.limit.unit, actual) {
                (Unit::Money, Some((money, _))) => i128::from(money),
                (Unit::Tokens, Some((_, tokens))) => i128::from(tokens),
                (Unit::Requests, _) | (_, None) => line.3,
            };
            let sums = self.sums.entry((line.1, line.2)).or_default();
            sums.1 -= line.3;
            sums.0 += used;
        }
    }

    fn cancel(&mut self, held: &Held) {
        for line in held.lines.iter().filter(|line| line.4) {
            self.sums.entry((line.1, line.2)).or_default().1 -= line.3;
        }
    }

    fn in_force(&self) -> LimitsSpec {
        let on = self.specs.iter().filter(|it| it.1).map(|it| it.0.clone());
        LimitsSpec { budgets: on.collect(), ..LimitsSpec::default() }
    }

    fn assert_same(&mut self, limits: &mut Limits, now: UnixMicros) {
        let report = limits.report(now).budgets;
        for budget in 0..self.specs.len() {
            if !self.specs[budget].1 {
                continue;
            }
            let window = self.window(budget, now);
            let name = self.specs[budget].0.name.clone();
            let state = report.iter().find(|state| state.spec.name == name).unwrap();
            let sums = self.sums.get(&(budget, window)).copied().unwrap_or_default();
            assert_eq!((state.settled.amount, state.reserved.amount), sums, "{name}");
        }
    }
}

fn ask(money: i64, tokens: u64) -> Ask {
    Ask::one(Money::from_pico(money), tokens)
}

fn run(ops: Vec<Op>) {
    let names = Names::new();
    let mut model = Model {
        specs: specs(&names).into_iter().map(|spec| (spec, true)).collect(),
        sums: BTreeMap::new(),
        newest: vec![UnixMicros::from_micros(i64::MIN); 5],
    };
    let mut limits = Limits::new(NOON, model.in_force());
    let mut now = NOON;
    for budget in 0..5 {
        model.window(budget, now);
    }
    let mut open: Vec<(Ticket, Held)> = Vec::new();
    let provider = |second: bool| -> &ProviderName { if second { &names.two } else { &names.one } };
    for op in ops {
        let some = |pick: usize| if open.is_empty() { None } else { Some(pick % open.len()) };
        match op {
            Op::Admit { second, money, tokens } => {
                let (scope, ask) = (names.at(provider(second)), ask(money, tokens));
                let mut held = Held::default();
                let expected = model.extend(now, &scope, &ask, &mut held);
                match limits.admit(now, &scope, &ask) {
                    Ok(ticket) => {
                        assert!(expected, "admitted against the model");
                        open.push((ticket, held));
                    }
                    Err(denied) => assert!(!expected, "{denied}"),
                }
            }
            Op::Extend { pick, second, money, tokens } => {
                let Some(at) = some(pick) else { continue };
                let (scope, ask) = (names.at(provider(second)), ask(money, tokens));
                let (ticket, held) = &mut open[at];
                let expected = model.extend(now, &scope, &ask, held);
                assert_eq!(limits.extend(now, ticket, &scope, &ask).is_ok(), expected);
            }
            Op::SettleFirst { pick, money, tokens } => {
                let Some(at) = some(pick) else { continue };
                let (ticket, held) = &mut open[at];
                model.settle(held, 0, Some((money, tokens)));
                limits.settle(ticket, 0, &Actual::known(Money::from_pico(money), tokens));
            }
            Op::Finish { pick, money, tokens } => {
                let Some(at) = some(pick) else { continue };
                let (ticket, mut held) = open.swap_remove(at);
                let last = held.attempts - 1;
                for attempt in 0..last {
                    model.settle(&mut held, attempt, None);
                }
                model.settle(&mut held, last, Some((money, tokens)));
                limits.finish(ticket, &Actual::known(Money::from_pico(money), tokens));
            }
            Op::Cancel { pick } => {
                let Some(at) = some(pick) else { continue };
                let (ticket, held) = open.swap_remove(at);
                model.cancel(&held);
                limits.cancel(ticket);
            }
            Op::Limit { budget, limit } => {
                model.specs[budget].0.limit.amount = i128::from(limit);
                limits.reload(now, model.in_force());
            }
            Op::Toggle { budget } => {
                model.specs[budget].1 = !model.specs[budget].1;
                limits.reload(now, model.in_force());
            }
            Op::Clock { minutes } => now = now.plus_micros(minutes * 60_000_000),
        }
        model.assert_same(&mut limits, now);
    }
    for (ticket, held) in open {
        model.cancel(&held);
        limits.cancel(ticket);
    }
    model.assert_same(&mut limits, now);
    assert!(model.sums.values().all(|(_, reserved)| *reserved == 0), "conservation");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn budgets_agree_with_a_naive_model(ops in prop::collection::vec(op(), 1..80)) {
        run(ops);
    }
}
