//! How many retries there may be: a share of the requests, so that trouble never multiplies load.

/// One retry, in the bucket's units.
const RETRY: u64 = 10_000;
/// Retries that a quiet system may always make.
const FLOOR: u64 = 2 * RETRY;
/// Most retries saved up.
const CEILING: u64 = 100 * RETRY;

/// A bucket that requests fill and retries empty.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    /// What a request adds: the share in hundredths of a percent.
    share_basis_points: u64,
    level: u64,
}

impl RetryBudget {
    /// A budget of that share of requests, in hundredths of a percent: 1,000 is 10 %.
    pub fn new(share_basis_points: u32) -> Self {
        let level = if share_basis_points == 0 { 0 } else { FLOOR };
        Self { share_basis_points: share_basis_points.into(), level }
    }

    /// A request came in.
    pub fn request(&mut self) {
        self.level = (self.level + self.share_basis_points).min(CEILING);
    }

    /// Takes one retry, if there is one left.
    pub fn take(&mut self) -> bool {
        let enough = self.level >= RETRY;
        if enough {
            self.level -= RETRY;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_stay_below_their_share_of_requests() {
        let mut budget = RetryBudget::new(1_000);
        let mut retries = 0;
        for _ in 0..10_000 {
            budget.request();
            retries += u32::from(budget.take());
        }
        assert!((1_000..=1_002).contains(&retries), "{retries}");
    }

    #[test]
    fn a_share_of_nothing_is_no_retry() {
        let mut budget = RetryBudget::new(0);
        budget.request();
        assert!(!budget.take());
    }
}
