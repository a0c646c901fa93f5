//! One request's account as JSON.

use domain::{ErrorClass, Money, MoneySum, OutcomeClass, RequestId, Usage, UsageQuality};
use ledger::query::{Attempt, Closed, What};
use ledger::{AttemptKey, Intent, Settlement, WriteOff};
use serde_json::{Value, json};

/// What the ledger says about one request.
#[derive(Debug)]
pub struct Account {
    id: RequestId,
    complete: bool,
    /// Each with whether an earlier process left it open.
    attempts: Vec<(bool, Attempt)>,
    pub(super) candidates: Vec<(String, u8)>,
}

impl Account {
    pub(super) fn new(id: RequestId, complete: bool, attempts: Vec<(bool, Attempt)>) -> Self {
        Self { id, complete, attempts, candidates: Vec::new() }
    }

    /// The public part of the key that made it.
    pub fn key(&self) -> Option<&str> {
        self.attempts.first().and_then(|(_, it)| it.key())
    }

    /// The intent of one of its attempts that nobody closed.
    pub fn open_intent(&self, id: AttemptKey) -> Option<&Intent> {
        let (_, attempt) = self.attempts.iter().find(|(_, it)| it.id == id)?;
        match &attempt.what {
            What::Tried { intent, closed: None } => Some(intent),
            _ => None,
        }
    }

    /// The code of its refusal, where it was refused before any attempt.
    fn refusal(&self) -> Option<&str> {
        match &self.attempts.first()?.1.what {
            What::Refused(refusal) => Some(refusal.code.as_ref()),
            What::Tried { .. } => None,
        }
    }

    /// Its attempts, oldest first.
    pub(super) fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().map(|(_, attempt)| attempt)
    }

    fn outcome(&self, held: bool, attempt: &Attempt) -> &'static str {
        match attempt.outcome() {
            // The ledger alone can't tell these apart.
            OutcomeClass::Unsettled if held => OutcomeClass::Unsettled.as_str(),
            OutcomeClass::Unsettled if self.complete => "in_flight",
            OutcomeClass::Unsettled => "unknown",
            other => other.as_str(),
        }
    }

    /// How its newest attempt ended; of several calls, one that did not end well.
    fn last_outcome(&self) -> Option<&'static str> {
        let newest = self.attempts.iter().map(|(_, it)| it.id.attempt).max();
        let words = self
            .attempts
            .iter()
            .filter(|(_, it)| Some(it.id.attempt) == newest)
            .map(|(held, it)| self.outcome(*held, it));
        let ok = OutcomeClass::Ok.as_str();
        words.fold(
            None,
            |worst, word| if worst.is_none_or(|it| it == ok) { Some(word) } else { worst },
        )
    }

    /// Everything.
    pub fn json(&self) -> Value {
        let Some((_, first)) = self.attempts.first() else { return Value::Null };
        let settled = || self.attempts.iter().filter_map(|(_, it)| it.settlement());
        let cost: Option<MoneySum> =
            settled().map(|it| it.cost).try_fold(MoneySum::ZERO, |sum, cost| {
                cost.map(|cost| MoneySum::from_pico(sum.pico() + i128::from(cost.pico())))
            });
        let closed = self.attempts.iter().all(|(_, it)| it.outcome() != OutcomeClass::Unsettled);
        let quality = settled().map(|it| it.quality).max();
        let (endpoint, dialect) = match &first.what {
            What::Refused(it) => (it.endpoint, it.client_dialect.as_ref()),
            What::Tried { intent, .. } => (intent.endpoint, intent.client_dialect.as_ref()),
        };
        let attempts = self.attempts.iter().filter(|(_, it)| it.intent().is_some());
        json!({
            "object": "outrigger.request",
            "id": self.id.to_string(),
            "at": first.at.to_string(),
            "app": first.app(),
            "team": first.team(),
            "key": first.key(),
            "capability": first.capability(),
            "endpoint": endpoint.as_str(),
            "client_dialect": dialect,
            "stream": first.intent().is_some_and(|it| it.marks.stream),
            "outcome": self.last_outcome(),
            "refusal": self.refusal(),
            "cost_usd": cost.filter(|_| closed).map(|it| it.to_string()),
            "cost_quality": quality.filter(|_| closed).map(UsageQuality::as_str),
            "complete": self.complete,
            "attempts": attempts.map(|(held, it)| self.attempt(*held, it)).collect::<Vec<_>>(),
            "candidates": self.candidates_json(),
        })
    }

    /// Why it went where it went.
    pub fn decision(&self) -> Value {
        let tried: Vec<String> = self
            .attempts
            .iter()
            .filter_map(|(held, it)| {
                let facts = it.settlement().map(settled_facts).unwrap_or_default();
                Some(format!("`{}` {}{facts}", it.intent()?.offer, self.outcome(*held, it)))
            })
            .collect();
        let asked = self.attempts.first().and_then(|(_, it)| it.capability()).unwrap_or("-");
        let summary = if tried.is_empty() {
            let code = self.refusal().unwrap_or("for no reason on record");
            format!("{} asked for `{asked}` and was refused before any attempt: {code}", self.id)
        } else {
            format!("{} asked for `{asked}`: {}", self.id, tried.join(", then "))
        };
        json!({
            "requested": asked,
            "request": self.id.to_string(),
            "summary": summary,
            "candidates": self.candidates_json(),
        })
    }

    fn attempt(&self, held: bool, attempt: &Attempt) -> Value {
        let Some(intent) = attempt.intent() else { return Value::Null };
        let settled = attempt.settlement();
        let written_off = match &attempt.what {
            What::Tried { closed: Some(Closed::WrittenOff(it)), .. } => Some(write_off_json(it)),
            _ => None,
        };
        let losses =
            intent.losses.iter().map(|it| json!({"field": it.field, "fate": it.fate.as_str()}));
        json!({
            "call": attempt.id.call,
            "attempt": attempt.id.attempt,
            "offer": intent.offer.to_string(),
            "provider": intent.offer.provider().as_str(),
            "model": intent.offer.model().as_str(),
            "provider_dialect": intent.provider_dialect,
            "outcome": self.outcome(held, attempt),
            "error": settled.map(|it| it.error.as_str()),
            "retry": intent.marks.retry,
            "failover": intent.marks.failover,
            "admitted_at": intent.admitted_at.to_string(),
            "dispatched_at": settled.map_or(intent.dispatched_at, |it| it.dispatched_at).to_string(),
            "first_byte_at": settled.and_then(|it| it.first_byte_at).map(|it| it.to_string()),
            "done_at": settled.map(|it| it.done_at.to_string()),
            "usage": settled.map(|it| usage_json(&it.usage)),
            "usage_quality": settled.map(|it| it.quality.as_str()),
            "cost_usd": settled.and_then(|it| it.cost).map(|it| it.to_string()),
            "reserved_usd": intent.reserved.money.to_string(),
            "reserved_tokens": intent.reserved.tokens,
            "budgets": intent.charges.iter().map(|it| &*it.budget).collect::<Vec<_>>(),
            "losses": losses.collect::<Vec<_>>(),
            "answer": settled.map(answer_json),
            "written_off": written_off,
            "config_revision": intent.config_revision,
        })
    }

    fn candidates_json(&self) -> Vec<Value> {
        let known = self.known();
        let candidates = self.candidates.iter();
        let shown = candidates.map(|(offer, code)| {
            let word = policy::code_word(*code);
            let verdict = if is_taken(word) { "taken" } else { "left" };
            let reason = policy::past_sentence(offer, *code, &known);
            json!({"offer": offer, "verdict": verdict, "code": word, "reason": reason})
        });
        shown.collect()
    }

    /// What is still known of the request.
    fn known(&self) -> policy::Known {
        let key = self.key().map(str::to_owned);
        let tried = self.attempts().filter_map(|it| Some(it.intent()?.offer.to_string())).collect();
        match self.attempts.first().map(|(_, it)| &it.what) {
            Some(What::Tried { intent, .. }) => policy::Known {
                endpoint: Some(intent.endpoint),
                features: intent.features,
                context_bound: Some(intent.context_bound),
                residency: intent.residency.join(", "),
                key,
                tried,
            },
            Some(What::Refused(refusal)) => {
                policy::Known { endpoint: Some(refusal.endpoint), key, ..policy::Known::default() }
            }
            None => policy::Known::default(),
        }
    }
}

/// " (timeout, HTTP 504) after 120 ms", " after 830 ms for 0.0012 USD".
fn settled_facts(settled: &Settlement) -> String {
    let mut facts = String::new();
    if settled.error != ErrorClass::None {
        let status = match settled.upstream_code {
            0 => String::new(),
            status => format!(", HTTP {status}"),
        };
        facts = format!(" ({}{status})", settled.error);
    }
    let millis = settled.done_at.micros().saturating_sub(settled.dispatched_at.micros()) / 1000;
    facts = format!("{facts} after {millis} ms");
    match settled.cost {
        Some(cost) if cost != Money::ZERO => format!("{facts} for {cost} USD"),
        Some(_) => facts,
        None => format!("{facts}, at an unknown price"),
    }
}

fn answer_json(settled: &Settlement) -> Value {
    json!({
        "model": settled.model,
        "finish": settled.finish,
        "status": Some(settled.upstream_code).filter(|it| *it != 0),
        "upstream_request_id": settled.upstream_id,
    })
}

fn write_off_json(it: &WriteOff) -> Value {
    json!({"at": it.at.to_string(), "why": it.why, "by": it.by, "charged_usd": it.charged.money.to_string()})
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "input": usage.input,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "cache_write_long": usage.cache_write_long,
        "output": usage.output,
        "reasoning": usage.reasoning,
        "audio_input": usage.audio_input,
        "audio_output": usage.audio_output,
        "image_input": usage.image_input,
        "input_total": usage.input_total(),
        "output_total": usage.output_total(),
    })
}

fn is_taken(word: &str) -> bool {
    matches!(word, "first" | "next" | "probe" | "last_resort")
}
