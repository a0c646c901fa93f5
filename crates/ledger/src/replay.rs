//! Balances as sums of rows: what each budget window has settled and reserved, and which attempts are open.
//!
//! [`Replay::apply`] takes one record after another and reports what contradicts the invariants; `verify` and
//! the start-up use the same code. An encoded replay is the snapshot that lets a start read only the log's tail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{RequestId, UnixMicros};

use crate::chain::Hash;
use crate::codec::{DecodeError, In, Out};
use crate::encode::{read_charge, read_intent, write_charge, write_intent};
use crate::record::{Amount, AttemptKey, Charge, Intent, Record, Seq, Unit, Word, WriteOff};

/// How long a closed attempt is remembered, to tell a double settlement from one without an intent.
const CLOSED_MEMORY_MICROS: i64 = 2 * 86_400_000_000;
/// How long a window is kept after its end, when nothing is reserved from it any more.
const WINDOW_MEMORY_MICROS: i64 = 86_400_000_000;

/// What contradicts the invariants; `I1` to `I6` as documented for `outrigger ledger verify`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// I6: the bytes are not what was chained.
    #[error("I6 record {seq} is damaged: {what}")]
    Damaged {
        /// The record.
        seq: Seq,
        /// What is wrong with it.
        what: String,
    },
    /// I6: records are missing.
    #[error("I6 records {from} to {to} are missing")]
    Missing {
        /// The first missing.
        from: Seq,
        /// The last missing.
        to: Seq,
    },
    /// I6: the log ends before its signed head.
    #[error("I6 the log ends at record {last}, but its head was signed at record {signed}")]
    CutTail {
        /// The last record there is.
        last: Seq,
        /// The signed head.
        signed: Seq,
    },
    /// I6: a signature or a signed hash does not hold.
    #[error("I6 the signature of {0} does not hold")]
    Signature(String),
    /// I2: a settlement of something that has no open intent.
    #[error("I2 record {seq} closes attempt {id}, which has no open intent")]
    NoIntent {
        /// The settlement.
        seq: Seq,
        /// The attempt.
        id: AttemptKey,
    },
    /// I3: an attempt closed twice.
    #[error("I3 record {seq} closes attempt {id} a second time")]
    ClosedTwice {
        /// The second settlement.
        seq: Seq,
        /// The attempt.
        id: AttemptKey,
    },
    /// I3: two intents of one attempt.
    #[error("I3 record {seq} is a second intent of attempt {id}")]
    IntentTwice {
        /// The second intent.
        seq: Seq,
        /// The attempt.
        id: AttemptKey,
    },
    /// I3: the stored snapshot is not the sum of the rows.
    #[error("I3 the balances snapshot at record {seq} is not the sum of the rows")]
    Snapshot {
        /// Where it was taken.
        seq: Seq,
    },
    /// I4: a hard limit was passed.
    #[error(
        "I4 record {seq}: budget `{budget}` in the window from {start} held {held} of {limit} {unit}"
    )]
    OverLimit {
        /// The intent that passed it.
        seq: Seq,
        /// The budget.
        budget: Arc<str>,
        /// The window's start.
        start: UnixMicros,
        /// Settled + reserved after the intent.
        held: i128,
        /// The limit.
        limit: i128,
        /// Of what.
        unit: &'static str,
    },
    /// I5: reserved is not settled + released.
    #[error(
        "I5 record {seq}: attempt {id} reserved {reserved} {unit}, but charged {charged} and released {released}"
    )]
    NotConserved {
        /// The settlement.
        seq: Seq,
        /// The attempt.
        id: AttemptKey,
        /// Of what.
        unit: &'static str,
        /// Reserved by the intent.
        reserved: i128,
        /// Charged by the settlement.
        charged: i128,
        /// Released by it.
        released: i128,
    },
    /// I5: a reservation outlived its deadline while the process ran.
    #[error("I5 attempt {id} of record {seq} is open past its deadline {deadline}")]
    Stale {
        /// The intent.
        seq: Seq,
        /// The attempt.
        id: AttemptKey,
        /// Its deadline.
        deadline: UnixMicros,
    },
}

/// An attempt that nobody closed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its intent's place.
    pub seq: Seq,
    /// Its intent.
    pub intent: Intent,
}

impl Open {
    /// The record that gives this attempt up: charging its whole reservation, or nothing.
    pub fn write_off(&self, charge: bool, why: Word, by: Word, at: UnixMicros) -> Record {
        let (charged, released) = if charge {
            (self.intent.reserved, Amount::ZERO)
        } else {
            (Amount::ZERO, self.intent.reserved)
        };
        let id = self.intent.id;
        Record::WriteOff(Box::new(WriteOff { id, at, charged, released, why, by }))
    }
}

/// A budget window's balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The terms at the latest admission.
    pub terms: Charge,
    /// Charged by settlements: pico-USD, tokens or requests.
    pub settled: i128,
    /// Held by open attempts.
    pub reserved: i128,
}

/// The state after some prefix of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The last record that was applied.
    pub seq: Seq,
    /// The newest process start.
    pub started: Seq,
    /// By budget name and window start.
    pub windows: BTreeMap<(Arc<str>, UnixMicros), Window>,
    /// Attempts that nobody closed.
    pub open: BTreeMap<AttemptKey, Open>,
    /// Settlements that charged more than was reserved: a provider reported more than the bound.
    pub over_bound: u64,
    closed: Option<BTreeSet<AttemptKey>>,
}

impl Replay {
    /// Nothing yet. With `track_closed`, closed attempts are remembered for two days of log time, so that a
    /// second settlement is named as one; costs 32 bytes an attempt.
    pub fn new(track_closed: bool) -> Self {
        Self { closed: track_closed.then(BTreeSet::new), ..Self::default() }
    }

    /// This state, remembering closed attempts from here on.
    pub fn tracking(self) -> Self {
        Self { closed: Some(BTreeSet::new()), ..self }
    }

    /// Whether both hold the same sums; windows that one has forgotten already don't count.
    pub fn same_sums(&self, other: &Self) -> bool {
        let known = |key, window| other.windows.get(key).is_none_or(|it: &Window| it == window);
        self.seq == other.seq
            && self.open == other.open
            && self.windows.iter().all(|(key, window)| known(key, window))
    }

    /// Open intents of earlier processes: billed or not, nobody knows.
    pub fn unsettled(&self) -> impl Iterator<Item = &Open> {
        self.open.values().filter(|open| open.seq < self.started)
    }

    /// Takes the next record.
    pub fn apply(&mut self, seq: Seq, record: Record, fault: &mut dyn FnMut(Fault)) {
        self.seq = seq;
        match record {
            Record::Start(_) => self.started = seq,
            Record::Intent(intent) => self.reserve(seq, *intent, fault),
            Record::Settlement(it) => self.close(seq, it.id, &it.charged, &it.released, fault),
            Record::WriteOff(it) => self.close(seq, it.id, &it.charged, &it.released, fault),
            Record::Stop(_)
            | Record::Config(_)
            | Record::Key(_)
            | Record::Refusal(_)
            | Record::Checkpoint(_)
            | Record::Repair(_) => {}
        }
    }

    fn reserve(&mut self, seq: Seq, intent: Intent, fault: &mut dyn FnMut(Fault)) {
        let id = intent.id;
        if self.open.contains_key(&id) || self.was_closed(&id) {
            fault(Fault::IntentTwice { seq, id });
            return;
        }
        for charge in &intent.charges {
            let window = self.window(charge);
            window.reserved += in_unit(&intent.reserved, charge.unit);
            let held = window.settled + window.reserved;
            // Someone who reserves nothing of this unit passes no limit, even where it was lowered before.
            if charge.hard && held > charge.limit && in_unit(&intent.reserved, charge.unit) > 0 {
                let unit = charge.unit.as_str();
                let (budget, start, limit) = (charge.budget.clone(), charge.start, charge.limit);
                fault(Fault::OverLimit { seq, budget, start, held, limit, unit });
            }
        }
        self.open.insert(id, Open { seq, intent });
    }

    fn window(&mut self, charge: &Charge) -> &mut Window {
        let key = (charge.budget.clone(), charge.start);
        let empty = || Window { terms: charge.clone(), settled: 0, reserved: 0 };
        let window = self.windows.entry(key).or_insert_with(empty);
        if window.terms != *charge {
            window.terms = charge.clone();
        }
        window
    }

    fn close(
        &mut self,
        seq: Seq,
        id: AttemptKey,
        charged: &Amount,
        released: &Amount,
        fault: &mut dyn FnMut(Fault),
    ) {
        let Some(Open { intent, .. }) = self.open.remove(&id) else {
            let twice = self.was_closed(&id);
            fault(if twice { Fault::ClosedTwice { seq, id } } else { Fault::NoIntent { seq, id } });
            return;
        };
        self.conserved(seq, &intent, charged, released, fault);
        for charge in &intent.charges {
            // The window is the admission's, whatever the time is now.
            let window = self.window(charge);
            window.reserved -= in_unit(&intent.reserved, charge.unit);
            window.settled += in_unit(charged, charge.unit);
        }
        if let Some(closed) = &mut self.closed {
            closed.insert(id);
        }
    }

    fn conserved(
        &mut self,
        seq: Seq,
        intent: &Intent,
        charged: &Amount,
        released: &Amount,
        fault: &mut dyn FnMut(Fault),
    ) {
        let mut over = false;
        for unit in [Unit::Money, Unit::Tokens, Unit::Requests] {
            let reserved = in_unit(&intent.reserved, unit);
            let (charged, released) = (in_unit(charged, unit), in_unit(released, unit));
            over |= charged > reserved;
            if released != (reserved - charged).max(0) || charged < 0 {
                let (id, unit) = (intent.id, unit.as_str());
                fault(Fault::NotConserved { seq, id, unit, reserved, charged, released });
            }
        }
        self.over_bound += u64::from(over);
    }

    fn was_closed(&self, id: &AttemptKey) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.contains(id))
    }

    /// Forgets what later records can't refer to: windows that ended a day before `now` with nothing reserved,
    /// and closed attempts of requests made more than two days before.
    pub fn forget(&mut self, now: UnixMicros) {
        let past = |end: UnixMicros| end.plus_micros(WINDOW_MEMORY_MICROS) < now;
        self.windows.retain(|_, window| window.reserved != 0 || !past(window.terms.end));
        if let Some(closed) = &mut self.closed {
            let horizon = RequestId::new(now.plus_micros(-CLOSED_MEMORY_MICROS), 0);
            let first = AttemptKey { request: horizon, call: 0, attempt: 0 };
            *closed = closed.split_off(&first);
        }
    }

    /// As stored in a snapshot or a checkpoint: without the memory of closed attempts.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.u8(1);
        out.uint(self.seq);
        out.uint(self.started);
        out.uint(self.over_bound);
        out.uint(self.windows.len() as u64);
        for window in self.windows.values() {
            write_charge(&mut out, &window.terms);
            out.wide_int(window.settled);
            out.wide_int(window.reserved);
        }
        out.uint(self.open.len() as u64);
        for (id, open) in &self.open {
            out.uint(open.seq);
            out.raw(&id.request.bits().to_be_bytes());
            out.uint(id.call.into());
            out.uint(id.attempt.into());
            write_intent(&mut out, &open.intent);
        }
        out.0
    }

    /// From stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = In(bytes);
        match from.u8("version")? {
            1 => {}
            later => return Err(DecodeError::Version(later)),
        }
        let mut replay = Self {
            seq: from.uint("seq")?,
            started: from.uint("started")?,
            over_bound: from.uint("over_bound")?,
            ..Self::default()
        };
        for _ in 0..from.uint("windows")? {
            let terms = read_charge(&mut from)?;
            let (settled, reserved) = (from.wide_int("settled")?, from.wide_int("reserved")?);
            let key = (terms.budget.clone(), terms.start);
            replay.windows.insert(key, Window { terms, settled, reserved });
        }
        for _ in 0..from.uint("open")? {
            let seq = from.uint("seq")?;
            let request = RequestId::from_bits(u128::from_be_bytes(from.array("request")?));
            let id =
                AttemptKey { request, call: from.small("call")?, attempt: from.small("attempt")? };
            let intent = read_intent(&mut from, id)?;
            replay.open.insert(id, Open { seq, intent });
        }
        from.end()?;
        Ok(replay)
    }
}

/// A snapshot as stored: the state, bound to the chain at its place.
pub fn encode_snapshot(replay: &Replay, chain: &Hash) -> Vec<u8> {
    let state = replay.encode();
    let mut bytes = crate::chain::link(chain, &state).to_vec();
    bytes.extend_from_slice(&state);
    bytes
}

/// The state in a snapshot, if it is whole; `chain` gives the stored chain hash of a record.
pub fn decode_snapshot(bytes: &[u8], chain: impl FnOnce(Seq) -> Option<Hash>) -> Option<Replay> {
    let (sum, state) = bytes.split_at_checked(32)?;
    let replay = Replay::decode(state).ok()?;
    let hash = chain(replay.seq)?;
    (crate::chain::link(&hash, state) == *sum).then_some(replay)
}

/// The part of an amount that a budget of this unit counts.
pub fn in_unit(amount: &Amount, unit: Unit) -> i128 {
    match unit {
        Unit::Money => amount.money.pico().into(),
        Unit::Tokens => amount.tokens.into(),
        Unit::Requests => amount.requests.into(),
    }
}
