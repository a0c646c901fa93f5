//! Entries that outlive a reload: found by identity, addressed by a slot that stays theirs while anything is
//! open on them.

use std::collections::BTreeMap;

use domain::UnixMicros;

use crate::scope::{Matches, Scope, ScopeFilter, ScopeIndex};

/// One limit with its state.
pub(crate) trait Entry: Sized {
    /// What the configuration says about it.
    type Spec;
    /// Two specs of one identity share their state across a reload.
    type Ident: Ord + Clone;
    fn ident(spec: &Self::Spec) -> Self::Ident;
    fn new(spec: Self::Spec, now: UnixMicros) -> Self;
    fn respec(&mut self, spec: Self::Spec);
    fn scope(&self) -> &ScopeFilter;
    /// Whether its state can be forgotten once no spec names it.
    fn disposable(&self, now: UnixMicros) -> bool;
}

#[derive(Clone, Debug)]
struct Slot<T> {
    entry: T,
    live: bool,
}

/// All limits of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Table<T: Entry> {
    slots: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    by_ident: BTreeMap<T::Ident, u32>,
    index: ScopeIndex,
}

impl<T: Entry> Default for Table<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_ident: BTreeMap::new(),
            index: ScopeIndex::default(),
        }
    }
}

impl<T: Entry> Table<T> {
    /// Makes `specs` the limits in force. State is kept by identity; what is no longer named stops applying but
    /// is kept until it can be forgotten, so that a limit which comes back finds its state.
    pub(crate) fn reload(&mut self, now: UnixMicros, specs: Vec<T::Spec>) {
        for slot in self.slots.iter_mut().flatten() {
            slot.live = false;
        }
        for spec in specs {
            let ident = T::ident(&spec);
            let known = self.by_ident.get(&ident).copied();
            match known.and_then(|at| self.slots.get_mut(at as usize)).and_then(Option::as_mut) {
                Some(slot) => {
                    slot.entry.respec(spec);
                    slot.live = true;
                }
                None => self.insert(ident, T::new(spec, now)),
            }
        }
        self.forget(now);
        self.index = ScopeIndex::default();
        for (at, slot) in self.slots.iter().enumerate() {
            if let Some(slot) = slot.as_ref().filter(|slot| slot.live) {
                self.index.insert(slot.entry.scope(), slot_number(at));
            }
        }
    }

    fn insert(&mut self, ident: T::Ident, entry: T) {
        let slot = Some(Slot { entry, live: true });
        let reused = self.free.pop();
        let place = reused.and_then(|at| Some((at, self.slots.get_mut(at as usize)?)));
        let at = if let Some((at, place)) = place {
            *place = slot;
            at
        } else {
            self.slots.push(slot);
            slot_number(self.slots.len() - 1)
        };
        self.by_ident.insert(ident, at);
    }

    fn forget(&mut self, now: UnixMicros) {
        let (slots, free) = (&mut self.slots, &mut self.free);
        self.by_ident.retain(|_, at| {
            let Some(place) = slots.get_mut(*at as usize) else { return false };
            let gone = place.as_ref().is_none_or(|slot| !slot.live && slot.entry.disposable(now));
            if gone {
                *place = None;
                free.push(*at);
            }
            !gone
        });
    }

    /// Slots of the limits in force for `scope`, ascending.
    pub(crate) fn matching(&self, scope: &Scope<'_>) -> Matches {
        let mut found = Matches::new();
        self.index.candidates(scope, |at| {
            if self.get(at).is_some_and(|entry| entry.scope().matches(scope)) {
                found.push(at);
            }
        });
        found.sort_unstable();
        found
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.slots.get(at as usize).and_then(Option::as_ref).map(|slot| &slot.entry)
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.slots.get_mut(at as usize).and_then(Option::as_mut).map(|slot| &mut slot.entry)
    }

    /// Every entry in force.
    pub(crate) fn live_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten().filter(|slot| slot.live).map(|slot| &mut slot.entry)
    }

    /// The slots in force whose entries `wanted` picks.
    pub(crate) fn slots_where(&self, wanted: impl Fn(&T) -> bool) -> Matches {
        let chosen =
            self.slots.iter().enumerate().filter(|(_, slot)| {
                slot.as_ref().is_some_and(|slot| slot.live && wanted(&slot.entry))
            });
        chosen.map(|(at, _)| slot_number(at)).collect()
    }
}

fn slot_number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
