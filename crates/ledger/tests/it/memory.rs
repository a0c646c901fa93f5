//! A log in memory whose n-th operation can be made to fail.

use std::cell::Cell;
use std::collections::BTreeMap;

use ledger::Seq;
use ledger::storage::{Batch, Reads, Row, Storage, StorageError};

/// What a failing operation leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// The operation did nothing.
    Nothing,
    /// The operation was done, and then reported as failed (a failed fsync that had written).
    Done,
}

/// When operations fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The first operation that fails, from 1.
    pub(crate) at: u64,
    /// How many fail in a row.
    pub(crate) times: u64,
    pub(crate) harm: Harm,
}

#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) log: BTreeMap<Seq, Vec<u8>>,
    pub(crate) meta: BTreeMap<String, Vec<u8>>,
    pub(crate) damaged: Vec<Row>,
    pub(crate) operations: Cell<u64>,
    pub(crate) plan: Option<Plan>,
    /// Set by a failure: a handle that failed must not be used again before it is reopened.
    pub(crate) broken: Cell<bool>,
    pub(crate) used_broken: Cell<bool>,
}

impl Memory {
    pub(crate) fn failing(plan: Plan) -> Self {
        Self { plan: Some(plan), ..Self::default() }
    }

    pub(crate) fn operations(&self) -> u64 {
        self.operations.get()
    }

    pub(crate) fn fix(&mut self) {
        self.plan = None;
        self.broken.set(false);
    }

    fn operation(&self, reopening: bool) -> Result<(), Harm> {
        if self.broken.get() && !reopening {
            self.used_broken.set(true);
        }
        let now = self.operations.get() + 1;
        self.operations.set(now);
        match self.plan {
            Some(plan) if now >= plan.at && now < plan.at.saturating_add(plan.times) => {
                self.broken.set(true);
                Err(plan.harm)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn apply(&mut self, batch: &Batch<'_>) {
        for row in batch.append {
            assert!(self.log.insert(row.seq, row.body.clone()).is_none(), "number used twice");
        }
        for (key, value) in batch.meta {
            match value {
                Some(value) => self.meta.insert((*key).to_owned(), value.clone()),
                None => self.meta.remove(*key),
            };
        }
        if let Some(through) = batch.remove_through {
            self.log = self.log.split_off(&(through + 1));
        }
        for seq in batch.set_aside {
            if let Some(body) = self.log.remove(seq) {
                self.damaged.push(Row { seq: *seq, body });
            }
        }
    }
}

fn broken() -> StorageError {
    StorageError::Io("planned failure".into())
}

impl Reads for Memory {
    fn bounds(&self) -> Result<Option<(Seq, Seq)>, StorageError> {
        self.operation(false).map_err(|_| broken())?;
        let first = self.log.keys().next().copied();
        Ok(first.zip(self.log.keys().next_back().copied()))
    }

    fn read(&self, from: Seq, limit: usize) -> Result<Vec<Row>, StorageError> {
        self.operation(false).map_err(|_| broken())?;
        let rows = self.log.range(from..).take(limit);
        Ok(rows.map(|(seq, body)| Row { seq: *seq, body: body.clone() }).collect())
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.operation(false).map_err(|_| broken())?;
        Ok(self.meta.get(key).cloned())
    }
}

impl Storage for Memory {
    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StorageError> {
        match self.operation(false) {
            Ok(()) => self.apply(batch),
            Err(Harm::Done) => {
                self.apply(batch);
                return Err(broken());
            }
            Err(Harm::Nothing) => return Err(StorageError::Full),
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), StorageError> {
        self.operation(true).map_err(|_| broken())?;
        self.broken.set(false);
        Ok(())
    }
}
