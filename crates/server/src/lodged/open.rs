//! Batches that run: what each holds of the budgets, and where it is asked for.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dialect::DialectId;
use domain::{AppName, Endpoint, OfferId, ProviderName, UnixMicros};
use ledger::replay::Replay;
use ledger::{Amount, AttemptKey, Intent, Marks};
use limits::Ticket;

use super::measure::Measured;

/// How long nobody may have asked for a batch before the gateway does.
const LOOK_EVERY_MICROS: i64 = 600 * 1_000_000;

/// The batches of this gateway that have not ended, of this process and of earlier ones.
#[derive(Debug, Default)]
pub struct OpenBatches(Mutex<BTreeMap<AttemptKey, Slot>>);

#[derive(Debug)]
struct Slot {
    /// Not here while somebody closes its row.
    running: Option<Running>,
    restored: bool,
    /// When it was last asked for.
    looked: UnixMicros,
}

/// A batch whose row is open.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) key: AttemptKey,
    pub(super) offer: OfferId,
    pub(super) reserved: Amount,
    pub(super) marks: Marks,
    pub(super) dispatched_at: UnixMicros,
    pub(super) deadline: UnixMicros,
    /// What it holds of the limits; nothing of one that an earlier process began: the limits know that by its key.
    pub(super) ticket: Option<Ticket>,
    pub(super) lies: Option<Lies>,
}

/// Where a batch lies.
#[derive(Clone, Debug)]
pub(super) struct Lies {
    pub(super) id: String,
    pub(super) app: AppName,
    pub(super) provider: ProviderName,
    pub(super) client: DialectId,
    pub(super) credential: Option<u64>,
    pub(super) measured: Measured,
}

impl OpenBatches {
    /// Those that earlier processes began; where they lie is told later.
    pub fn restored(replay: &Replay) -> Self {
        let open = replay.open.values().filter(|it| it.intent.endpoint == Endpoint::Batches);
        let slots = open.map(|it| (it.intent.id, Slot::restored(&it.intent)));
        Self(Mutex::new(slots.collect()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AttemptKey, Slot>> {
        // Whole between any two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// How many of them an earlier process began.
    pub fn restored_count(&self) -> usize {
        self.lock().values().filter(|slot| slot.restored).count()
    }

    /// Whether that attempt is one of them.
    pub fn holds(&self, key: AttemptKey) -> bool {
        self.lock().contains_key(&key)
    }

    pub(super) fn insert(&self, running: Running, now: UnixMicros) {
        let slot = Slot { restored: false, looked: now, running: None };
        let key = running.key;
        self.lock().insert(key, Slot { running: Some(running), ..slot });
    }

    /// Takes one, to close its row; nobody else gets it until it is put back.
    pub(super) fn take(&self, key: AttemptKey) -> Option<Running> {
        self.lock().get_mut(&key)?.running.take()
    }

    /// Puts one back whose row can't be closed yet.
    pub(super) fn put_back(&self, running: Running) {
        if let Some(slot) = self.lock().get_mut(&running.key) {
            slot.running = Some(running);
        }
    }

    /// Its row is closed.
    pub(super) fn forget(&self, key: AttemptKey) {
        self.lock().remove(&key);
    }

    /// Says where one lies.
    pub(super) fn lies(&self, key: AttemptKey, lies: Lies) {
        if let Some(running) = self.lock().get_mut(&key).and_then(|slot| slot.running.as_mut()) {
            running.lies = Some(lies);
        }
    }

    /// Where one lies, and when its time is over; nothing of one whose row is just being closed.
    pub(super) fn view(&self, key: AttemptKey) -> Option<(Option<Lies>, UnixMicros)> {
        let slots = self.lock();
        let running = slots.get(&key)?.running.as_ref()?;
        Some((running.lies.clone(), running.deadline))
    }

    /// What one has reserved.
    pub(super) fn reserved(&self, key: AttemptKey) -> domain::Money {
        let slots = self.lock();
        let running = slots.get(&key).and_then(|slot| slot.running.as_ref());
        running.map_or(domain::Money::ZERO, |running| running.reserved.money)
    }

    /// Somebody asked for it.
    pub(super) fn looked(&self, key: AttemptKey, now: UnixMicros) {
        if let Some(slot) = self.lock().get_mut(&key) {
            slot.looked = now;
        }
    }

    /// Those that are to be asked for, or whose time is over.
    pub(super) fn due(&self, now: UnixMicros) -> Vec<AttemptKey> {
        let slots = self.lock();
        let due = slots.iter().filter(|(_, slot)| {
            let over = |running: &Running| running.deadline <= now;
            slot.running.as_ref().is_some_and(|running| {
                slot.looked.plus_micros(LOOK_EVERY_MICROS) <= now || over(running)
            })
        });
        due.map(|(key, _)| *key).collect()
    }
}

impl Slot {
    fn restored(intent: &Intent) -> Self {
        let running = Running {
            key: intent.id,
            offer: intent.offer.clone(),
            reserved: intent.reserved,
            marks: intent.marks,
            dispatched_at: intent.dispatched_at,
            deadline: intent.deadline,
            ticket: None,
            lies: None,
        };
        Self { running: Some(running), restored: true, looked: UnixMicros::default() }
    }
}
