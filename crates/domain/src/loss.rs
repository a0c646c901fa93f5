//! What a translation could not carry.

use std::fmt;

/// What was done with a feature that the target can't carry as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Fate {
    /// Carried by other means, without loss of meaning.
    Emulated = 1,
    /// Carried with some loss of meaning.
    Approximated = 2,
    /// Left out.
    Dropped = 3,
}

impl Fate {
    /// The word used in headers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emulated => "emulated",
            Self::Approximated => "approximated",
            Self::Dropped => "dropped",
        }
    }
}

/// One thing that was not carried natively.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loss {
    /// The client's field, in the client dialect's own spelling: `top_k`, `tools[].strict`.
    pub field: &'static str,
    /// What was done.
    pub fate: Fate,
    /// Why, and what stands in its place; one clause, fit for a person.
    pub note: &'static str,
}

/// Everything one translation did not carry natively: sorted, each field once with its worst fate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LossReport {
    losses: Vec<Loss>,
}

/// Whether a lossy translation may go ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// Go ahead; the header and the ledger say what was lost.
    #[default]
    Allow,
    /// Refuse what would be approximated or dropped. What is emulated is carried and passes.
    Reject,
}

impl LossReport {
    /// Notes a loss. A field noted twice keeps the worse fate.
    pub fn note(&mut self, field: &'static str, fate: Fate, note: &'static str) {
        match self.losses.iter_mut().find(|loss| loss.field == field) {
            Some(loss) if loss.fate < fate => {
                loss.fate = fate;
                loss.note = note;
            }
            Some(_) => {}
            None => {
                let loss = Loss { field, fate, note };
                let at = self.losses.binary_search(&loss).unwrap_or_else(|at| at);
                self.losses.insert(at, loss);
            }
        }
    }

    /// All losses, sorted by field.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Whether everything was carried natively.
    pub fn is_empty(&self) -> bool {
        self.losses.is_empty()
    }

    /// Whether meaning was lost: anything approximated or dropped.
    pub fn is_lossy(&self) -> bool {
        self.losses.iter().any(|loss| loss.fate > Fate::Emulated)
    }

    /// Adds everything of another report.
    pub fn merge(&mut self, other: &Self) {
        for loss in &other.losses {
            self.note(loss.field, loss.fate, loss.note);
        }
    }
}

impl fmt::Display for LossReport {
    /// The value of `x-outrigger-loss`: `seed=dropped, tools[].strict=approximated`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, loss) in self.losses.iter().enumerate() {
            if index > 0 {
                out.write_str(", ")?;
            }
            write!(out, "{}={}", loss.field, loss.fate.as_str())?;
        }
        Ok(())
    }
}
