//! The choice: a snapshot and an ask in, an ordered plan and its explanation out.
//!
//! First form: a capability is a list of offers; the first that fits and is well serves, the next take over. The
//! caller builds [`OfferView`]s in the order of the list. Roles and shares refine the order behind this function.

use domain::{Endpoint, Feature, Features, OnLoss, Role, UnixMicros};
use limits::Unpriced;
use smallvec::SmallVec;

use crate::reason::{Reason, Taken, Verdict};
use crate::{Availability, OfferIx};

/// Most offers in one plan: more attempts than this never help a client that waits.
const PLAN_LEN_MAX: usize = 8;

/// Tags as bits; the configuration assigns them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags(pub u64);

/// One offer of the capability, as it is for this request's client dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferView {
    /// Which.
    pub ix: OfferIx,
    /// Its part in the capability.
    pub role: Role,
    /// Whether it may be asked now; see [`crate::Health::view`].
    pub availability: Availability,
    /// The operations it serves: bit `1 << endpoint`.
    pub endpoints: u32,
    /// What it can do at all.
    pub can: Features,
    /// What reaches it without loss of meaning from the client's dialect; every bit, if that is its own; none, if
    /// this request as a whole would lose something.
    pub carries: Features,
    /// Tokens it holds, input and output together.
    pub max_context: Option<u64>,
    /// Whether the most that an attempt there can cost is known.
    pub priced: bool,
    /// Whether a money budget applies to an attempt there; see [`limits::Limits::has_money_budget`].
    pub money_budget: bool,
    /// Where data stays if it goes there.
    pub residency: Tags,
    /// When its model goes, if announced.
    pub retires_at: Option<UnixMicros>,
    /// When it begins, if not yet.
    pub starts_at: Option<UnixMicros>,
}

impl OfferView {
    /// An offer without any known limit.
    pub const fn unlimited(ix: OfferIx) -> Self {
        Self {
            ix,
            role: Role::Core,
            availability: Availability::Ready,
            endpoints: u32::MAX,
            can: Features::from_bits(u64::MAX),
            carries: Features::from_bits(u64::MAX),
            max_context: None,
            priced: true,
            money_budget: false,
            residency: Tags(0),
            retires_at: None,
            starts_at: None,
        }
    }
}

/// What is known at the moment of choice.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// Wall-clock time.
    pub now: UnixMicros,
    /// The capability's offers, best first.
    pub offers: &'a [OfferView],
}

/// Which offers a key may use.
#[derive(Clone, Copy, Debug, Default)]
pub enum Allowed<'a> {
    /// Every one.
    #[default]
    All,
    /// Only these.
    Only(&'a [OfferIx]),
}

/// What the request needs.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The operation.
    pub endpoint: Endpoint,
    /// What it uses.
    pub features: Features,
    /// Tokens its input surely has; 0 if nobody counted. An upper bound must not stand here: it would exclude
    /// offers that fit.
    pub input_at_least: u64,
    /// Whether a lossy translation may go ahead.
    pub on_loss: OnLoss,
    /// What an unknown cost means where a money budget applies.
    pub unpriced: Unpriced,
    /// Residency tags of which an offer must have one; none set: anywhere.
    pub residency: Tags,
    /// What the key may use.
    pub allowed: Allowed<'a>,
}

/// One offer and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub offer: OfferIx,
    /// What became of it.
    pub verdict: Verdict,
}

/// Every candidate, in the capability's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The candidates.
    pub candidates: SmallVec<[Candidate; 8]>,
}

impl Explanation {
    /// The ledger's form: offers with their codes.
    pub fn codes(&self) -> impl Iterator<Item = (OfferIx, u8)> {
        self.candidates.iter().map(|it| (it.offer, it.verdict.code()))
    }
}

/// Whom to ask, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The offers, first to last. Claim each with [`crate::Health::claim`] before it is asked.
    pub attempts: SmallVec<[OfferIx; 8]>,
    /// Why.
    pub explanation: Explanation,
    /// With an empty plan: the earliest time at which one of the offers may be asked again, where it is a matter of
    /// time. For `Retry-After`; spread it at random, or all who read it come back together.
    pub retry_at: Option<UnixMicros>,
}

/// Chooses. Cannot fail: the worst case is an empty plan with reasons.
pub fn plan(snapshot: &Snapshot<'_>, ask: &Ask<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut resorts: SmallVec<[u8; 8]> = SmallVec::new();
    for (at, offer) in snapshot.offers.iter().enumerate() {
        let verdict = match consider(snapshot.now, offer, ask) {
            Ok(how) => take(&mut plan.attempts, offer.ix, how),
            Err((reason, resort)) => {
                if let (true, Ok(at)) = (resort, u8::try_from(at)) {
                    resorts.push(at);
                }
                Verdict::Left(reason)
            }
        };
        plan.explanation.candidates.push(Candidate { offer: offer.ix, verdict });
    }
    last_resorts(&mut plan, &resorts);
    if plan.attempts.is_empty() {
        plan.retry_at = earliest(snapshot, &plan.explanation);
    }
    plan
}

/// Puts an offer at the end of the plan.
fn take(attempts: &mut SmallVec<[OfferIx; 8]>, offer: OfferIx, how: Taken) -> Verdict {
    let rank = attempts.len();
    if rank >= PLAN_LEN_MAX {
        return Verdict::Left(Reason::PlanFull);
    }
    attempts.push(offer);
    let how = if how == Taken::Next && rank == 0 { Taken::First } else { how };
    Verdict::Taken(u8::try_from(rank).unwrap_or(u8::MAX), how)
}

/// An offer that recovers stands behind those that are well. One whose breaker is open is tried early only when
/// nothing else is in the plan: otherwise an outage of everything would outlast its cause by minutes.
fn last_resorts(plan: &mut Plan, resorts: &[u8]) {
    let ramping = |verdict: &Verdict| matches!(verdict, Verdict::Left(Reason::Ramp { .. }));
    for want_ramping in [true, false] {
        if !want_ramping && !plan.attempts.is_empty() {
            return;
        }
        for at in resorts {
            let Some(it) = plan.explanation.candidates.get_mut(usize::from(*at)) else { continue };
            if ramping(&it.verdict) == want_ramping {
                it.verdict = take(&mut plan.attempts, it.offer, Taken::LastResort);
            }
        }
    }
}

/// When the first of them may be asked again. Only for an empty plan: then an offer whose breaker is open may be
/// tried before its time.
fn earliest(snapshot: &Snapshot<'_>, explanation: &Explanation) -> Option<UnixMicros> {
    let candidates = snapshot.offers.iter().zip(&explanation.candidates);
    let times =
        candidates.filter_map(|(offer, candidate)| match (candidate.verdict, offer.availability) {
            (
                Verdict::Left(Reason::BreakerOpen { until, .. }),
                Availability::Open { lone_at, .. },
            ) => Some(until.min(lone_at)),
            (Verdict::Left(Reason::Ramp { .. }), _) => Some(snapshot.now),
            (Verdict::Left(reason), _) => reason.retry_at(),
            (Verdict::Taken(..), _) => None,
        });
    times.min()
}

/// What of the request an offer lacks, then whether it is well. A reason with `true` may be overruled when nothing
/// else is left.
fn consider(now: UnixMicros, offer: &OfferView, ask: &Ask<'_>) -> Result<Taken, (Reason, bool)> {
    fits(now, offer, ask).map_err(|reason| (reason, false))?;
    match offer.availability {
        Availability::Ready => Ok(Taken::Next),
        Availability::Probe => Ok(Taken::Probe),
        Availability::Ramp { percent, lone } => Err((Reason::Ramp { percent }, lone)),
        Availability::Open { class, until, lone_at } => {
            Err((Reason::BreakerOpen { class, until }, now >= lone_at))
        }
        Availability::SetAside { until } => Err((Reason::SetAside { until }, false)),
        Availability::NoCredential { until } => Err((Reason::NoCredential { until }, false)),
    }
}

fn fits(now: UnixMicros, offer: &OfferView, ask: &Ask<'_>) -> Result<(), Reason> {
    if let Allowed::Only(allowed) = ask.allowed
        && !allowed.contains(&offer.ix)
    {
        return Err(Reason::NotAllowed);
    }
    if offer.endpoints & (1_u32 << (ask.endpoint as u8)) == 0 {
        return Err(Reason::Endpoint);
    }
    if let Some(feature) = missing(ask.features, offer.can) {
        return Err(Reason::Feature(feature));
    }
    if ask.on_loss == OnLoss::Reject {
        if offer.carries == Features::NONE {
            return Err(Reason::Lossy(None));
        }
        if let Some(feature) = missing(ask.features, offer.carries) {
            return Err(Reason::Lossy(Some(feature)));
        }
    }
    if let Some(holds) = offer.max_context
        && ask.input_at_least > holds
    {
        return Err(Reason::ContextTooLong { needs: ask.input_at_least, holds });
    }
    if ask.residency.0 != 0 && ask.residency.0 & offer.residency.0 == 0 {
        return Err(Reason::Residency);
    }
    if ask.unpriced == Unpriced::Reject && offer.money_budget && !offer.priced {
        return Err(Reason::Unpriced);
    }
    if let Some(at) = offer.retires_at.filter(|at| *at <= now) {
        return Err(Reason::Retired { at });
    }
    match offer.starts_at.filter(|at| *at > now) {
        Some(at) => Err(Reason::NotYet { at }),
        None => Ok(()),
    }
}

/// The first feature in `wanted` that is not in `given`.
fn missing(wanted: Features, given: Features) -> Option<Feature> {
    Features::from_bits(wanted.bits() & !given.bits()).iter().next()
}
