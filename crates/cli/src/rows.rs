//! Which rows of the ledger a command is about.

use clap_complete::engine::ArgValueCandidates;
use domain::UnixMicros;
use ledger::query::Filter;

use crate::exit::{Exit, Failure};
use crate::{clock, names};

/// Flags that choose rows.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Choice {
    /// Only since then: a duration such as 7d, or a time such as 2026-11-01T00:00:00Z.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only before then.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only this application.
    #[arg(long, add = ArgValueCandidates::new(names::apps))]
    app: Option<String>,
    /// Only this team.
    #[arg(long, add = ArgValueCandidates::new(names::teams))]
    team: Option<String>,
    /// Only this virtual key (its public part).
    #[arg(long, add = ArgValueCandidates::new(names::keys))]
    key: Option<String>,
    /// Only what was asked for by this name.
    #[arg(long, add = ArgValueCandidates::new(names::models))]
    capability: Option<String>,
    /// Only attempts at this offer, provider/model.
    #[arg(long, add = ArgValueCandidates::new(names::offers))]
    offer: Option<String>,
    /// Only attempts at this provider.
    #[arg(long, add = ArgValueCandidates::new(names::providers))]
    provider: Option<String>,
    /// Only attempts at this model.
    #[arg(long)]
    model: Option<String>,
}

impl Choice {
    /// What it comes to.
    pub(crate) fn filter(&self) -> Result<Filter, Failure> {
        Ok(Filter {
            since: self.since.as_deref().map(when).transpose()?,
            until: self.until.as_deref().map(when).transpose()?,
            app: self.app.clone(),
            team: self.team.clone(),
            key: self.key.clone(),
            capability: self.capability.clone(),
            offer: self.offer.clone(),
            provider: self.provider.clone(),
            model: self.model.clone(),
            ..Filter::default()
        })
    }
}

/// A moment: so long ago, a time with its zone, or a day in UTC.
pub(crate) fn when(text: &str) -> Result<UnixMicros, Failure> {
    if let Ok(ago) = limits::units::parse_duration(text) {
        return Ok(
            clock::now().plus_micros(i64::try_from(ago).unwrap_or(i64::MAX).saturating_neg())
        );
    }
    let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    if let Ok(time) = full.parse::<jiff::Timestamp>() {
        return Ok(UnixMicros::from_micros(time.as_microsecond()));
    }
    let hint = "such as `7d`, `2026-11-01` or `2026-11-01T12:00:00Z`";
    Err(Failure::new(Exit::Usage, format!("`{text}` is not a time")).hint(hint))
}

/// The calendar day of a moment in a zone.
pub(crate) fn day(at: UnixMicros, zone: &jiff::tz::TimeZone) -> String {
    match jiff::Timestamp::from_microsecond(at.micros()) {
        Ok(time) => zone.to_datetime(time).date().to_string(),
        Err(_) => "-".into(),
    }
}
