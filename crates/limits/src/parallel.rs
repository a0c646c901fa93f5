//! Caps on how many requests run at the same time.

use std::sync::Arc;

use domain::UnixMicros;

use crate::denied::{Denied, ParallelDenied};
use crate::scope::ScopeFilter;
use crate::table::{Entry, Table};

/// What the configuration says about a cap.
#[derive(Clone, Debug, PartialEq)]
pub struct ParallelSpec {
    /// Its name: the identity that keeps its count across reloads.
    pub name: Arc<str>,
    /// Whom it applies to.
    pub scope: ScopeFilter,
    /// Most requests at the same time.
    pub limit: u32,
}

/// A cap and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ParallelState {
    /// What it is.
    pub spec: ParallelSpec,
    /// Requests running now.
    pub running: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Cap {
    spec: ParallelSpec,
    running: u32,
}

impl Entry for Cap {
    type Spec = ParallelSpec;
    type Ident = Arc<str>;

    fn ident(spec: &ParallelSpec) -> Self::Ident {
        spec.name.clone()
    }

    fn new(spec: ParallelSpec, _now: UnixMicros) -> Self {
        Self { spec, running: 0 }
    }

    fn respec(&mut self, spec: ParallelSpec) {
        self.spec = spec;
    }

    fn scope(&self) -> &ScopeFilter {
        &self.spec.scope
    }

    fn disposable(&self, _now: UnixMicros) -> bool {
        self.running == 0
    }
}

/// A place under one cap. `attempt` is set where the cap is about one provider: the place is free again when that
/// attempt ends, not when the request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slot: u32,
    pub(crate) attempt: Option<u16>,
    pub(crate) open: bool,
}

/// All caps.
#[derive(Clone, Debug, Default)]
pub struct ParallelCaps {
    pub(crate) table: Table<Cap>,
}

impl ParallelCaps {
    /// Puts `specs` in force; what runs stays counted by name.
    pub fn reload(&mut self, now: UnixMicros, specs: Vec<ParallelSpec>) {
        self.table.reload(now, specs);
    }

    /// Where every cap in force stands.
    pub fn report(&mut self) -> Vec<ParallelState> {
        let caps = self.table.live_mut();
        caps.map(|cap| ParallelState { spec: cap.spec.clone(), running: cap.running }).collect()
    }

    pub(crate) fn check(&self, slots: &[u32], held: &[Place]) -> Result<(), Denied> {
        for slot in slots {
            let Some(cap) = self.table.get(*slot) else { continue };
            if !holds(held, *slot) && cap.running >= cap.spec.limit {
                return Err(Denied::Parallel(Box::new(ParallelDenied {
                    cap: cap.spec.name.clone(),
                    limit: cap.spec.limit,
                })));
            }
        }
        Ok(())
    }

    pub(crate) fn acquire(
        &mut self,
        slots: &[u32],
        attempt: u16,
        places: &mut smallvec::SmallVec<[Place; 4]>,
    ) {
        for slot in slots {
            if holds(places, *slot) {
                continue;
            }
            let Some(cap) = self.table.get_mut(*slot) else { continue };
            cap.running = cap.running.saturating_add(1);
            let attempt = cap.spec.scope.provider.is_some().then_some(attempt);
            places.push(Place { slot: *slot, attempt, open: true });
        }
    }

    pub(crate) fn release(&mut self, place: &Place) {
        if let Some(cap) = self.table.get_mut(place.slot) {
            cap.running = cap.running.saturating_sub(1);
        }
    }
}

fn holds(places: &[Place], slot: u32) -> bool {
    places.iter().any(|place| place.open && place.slot == slot)
}
