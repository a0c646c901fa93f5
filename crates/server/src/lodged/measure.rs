//! The most that the requests of a batch can use: each is read as one sent by itself would be.

use std::sync::Arc;

use bytes::Bytes;
use catalog::Mode;
use dialect::batches::{self, Line};
use dialect::{DialectId, PathFacts, gate};
use domain::{
    CapabilityName, Endpoint, Features, ModelName, Money, MoneyError, OfferId, UnixMicros,
    WorstCase,
};
use http::HeaderMap;
use serde_json::{Value, json};

use super::at::{self, Place};
use crate::accept::Cx;
use crate::admit;
use crate::errors::{self, Failure};
use crate::read::{self, bad_field};
use crate::snapshot::{Offer, Snapshot};

/// Requests that are read before others get their turn on this thread.
const TURN: usize = 64;

/// What the requests of a batch can use together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// The model of all of them, by the provider's own id.
    pub(super) model: String,
    /// The dialect of their bodies.
    pub(super) dialect: DialectId,
    /// What each asks for.
    pub(super) endpoint: Endpoint,
    /// The path that each is for.
    pub(super) url: String,
    /// How many there are.
    pub(super) count: u64,
    /// Their tokens, all together.
    pub(super) tokens: WorstCase,
    /// Most input tokens of one of them.
    pub(super) longest: u64,
    /// What they use.
    pub(super) features: Features,
}

impl Measured {
    /// As it is kept beside a file or a batch.
    pub(super) fn json(&self) -> Value {
        json!({"model": self.model, "dialect": self.dialect.as_str(), "endpoint": self.endpoint as u8, "url": self.url,
            "count": self.count, "input": self.tokens.input, "output": self.tokens.output, "longest": self.longest,
            "features": self.features.bits()})
    }

    /// The same as text.
    pub(super) fn to_note(&self) -> String {
        self.json().to_string()
    }

    /// Back from there.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let dialect = text("dialect")?;
        Some(Self {
            model: text("model")?.to_owned(),
            dialect: DialectId::ALL.iter().copied().find(|it| it.as_str() == dialect)?,
            endpoint: Endpoint::from_code(u8::try_from(number("endpoint")?).ok()?)?,
            url: text("url")?.to_owned(),
            count: number("count")?,
            tokens: WorstCase { input: number("input")?, output: number("output") },
            longest: number("longest")?,
            features: Features::from_bits(number("features")?),
        })
    }

    /// The offer that runs them.
    pub(super) fn offer(
        &self,
        snapshot: &Snapshot,
        provider: &domain::ProviderName,
    ) -> Option<Arc<Offer>> {
        let model = ModelName::new(&self.model).ok()?;
        snapshot.offer(&OfferId::new(provider.clone(), model))
    }

    /// The most they can cost by any price in force until `until`: that of batches, where there is one. `None` where
    /// nothing bounds them or no price is known.
    pub(super) fn worst_case(
        &self,
        offer: &Offer,
        span: (UnixMicros, UnixMicros),
    ) -> Result<Option<Money>, MoneyError> {
        let Some(prices) = &offer.prices else { return Ok(None) };
        let of =
            |mode| prices.worst_case_of_many(span, mode, &self.tokens, self.longest, self.features);
        if prices.at(span.0, Mode::Batch).is_some() { of(Mode::Batch) } else { of(Mode::Standard) }
    }
}

/// Measures the requests of an uploaded file, one a line.
pub(super) async fn file(cx: &Cx, place: &Place, file: &Bytes) -> Result<Measured, Failure> {
    let mut sum = Sum { cx, place, so_far: None };
    let mut at = 0;
    for (number, text) in file.split(|byte| *byte == b'\n').enumerate() {
        let start = at;
        at += text.len() + 1;
        if text.trim_ascii().is_empty() {
            continue;
        }
        if number % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        let line = || -> Result<Line, Failure> {
            gate::scan(text, gate::GateLimits::default()).map_err(|error| read::refused(&error))?;
            batches::input_line(text).map_err(bad_field)
        };
        let added = line().and_then(|line| {
            let body = line.body.start + start..line.body.end + start;
            sum.add(&line, file.slice(body))
        });
        added.map_err(|failure| placed(&format!("line {}", number + 1), failure))?;
    }
    sum.so_far
        .ok_or_else(|| Failure::new(&errors::BAD_FIELD, "the file holds no request").field("file"))
}

/// Measures the requests that stand in the body of a batch.
pub(super) async fn inline(cx: &Cx, place: &Place, body: &Bytes) -> Result<Measured, Failure> {
    gate::scan(body, gate::GateLimits::default()).map_err(|error| read::refused(&error))?;
    let lines = batches::inline_lines(body).map_err(bad_field)?;
    let mut sum = Sum { cx, place, so_far: None };
    for (number, line) in lines.iter().enumerate() {
        if number % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        let added = sum.add(line, body.slice(line.body.clone()));
        added.map_err(|failure| placed(&format!("requests[{number}]"), failure))?;
    }
    sum.so_far.ok_or_else(|| Failure::new(&errors::BAD_FIELD, "the batch holds no request"))
}

fn placed(place: &str, failure: Failure) -> Failure {
    Failure { message: format!("{place}: {}", failure.message), ..failure }
}

struct Sum<'a> {
    cx: &'a Cx,
    place: &'a Place,
    so_far: Option<Measured>,
}

impl Sum<'_> {
    fn add(&mut self, line: &Line, body: Bytes) -> Result<(), Failure> {
        let client = dialect::dialect(line.dialect);
        let headers = HeaderMap::new();
        let ask = read::read(client, line.endpoint, body, &headers, PathFacts::default())?;
        let (offer, name) = self.offer(&ask.peek.model)?;
        let resolved = at::resolved(&self.cx.snapshot, Arc::clone(&offer), name);
        let limit = admit::output_limit(&ask, &resolved, &offer);
        let tokens = admit::tokens(&ask, &offer, limit);
        let Some(sum) = &mut self.so_far else {
            self.so_far = Some(Measured {
                model: ask.peek.model,
                dialect: line.dialect,
                endpoint: line.endpoint,
                url: line.url.to_owned(),
                count: 1,
                tokens,
                longest: tokens.input,
                features: ask.peek.features,
            });
            return Ok(());
        };
        if sum.url != line.url {
            let message = format!("`{}` and `{}` in one batch", sum.url, line.url);
            return Err(Failure::new(&errors::BAD_FIELD, message).field("url"));
        }
        if sum.model != ask.peek.model {
            let (one, other) = (&sum.model, crate::resolve::shown(&ask.peek.model));
            let message = format!("`{one}` and `{other}` in one batch: a batch has one model");
            return Err(Failure::new(&errors::BAD_FIELD, message)
                .fix("Make a batch for each model.")
                .field("model"));
        }
        sum.count += 1;
        sum.tokens.input = sum.tokens.input.saturating_add(tokens.input);
        let both = sum.tokens.output.zip(tokens.output);
        sum.tokens.output = both.map(|(sum, more)| sum.saturating_add(more));
        sum.longest = sum.longest.max(tokens.input);
        sum.features = Features::from_bits(sum.features.bits() | ask.peek.features.bits());
        Ok(())
    }

    /// The offer of a line's model. The provider reads the line as it is, so it must know the name.
    fn offer(&self, model: &str) -> Result<(Arc<Offer>, CapabilityName), Failure> {
        let provider = &self.place.provider;
        let shown = crate::resolve::shown(model);
        let refused = |why: &str| {
            Failure::new(&errors::BAD_FIELD, format!("`{shown}` {why}"))
                .fix(format!(
                    "A batch is read by `{}` itself: name the model by its own id there.",
                    provider.name
                ))
                .field("model")
        };
        if self.cx.snapshot.capabilities.contains_key(model) {
            return Err(refused("is a capability of this gateway"));
        }
        if model.strip_prefix(provider.name.as_str()).is_some_and(|rest| rest.starts_with('/')) {
            return Err(refused("is an offer of this gateway"));
        }
        let offer = ModelName::new(model)
            .ok()
            .and_then(|model| self.cx.snapshot.offer(&OfferId::new(provider.name.clone(), model)))
            .ok_or_else(|| refused("is no name of a model"))?;
        let name = at::asked_as(self.cx, provider, Some(&offer)).ok_or_else(|| {
            Failure::new(&errors::MODEL_NOT_ALLOWED, format!("this key may not use `{}`", offer.id))
                .field("model")
        })?;
        Ok((offer, name))
    }
}
