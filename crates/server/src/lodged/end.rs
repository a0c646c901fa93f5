//! What a batch cost, once it has ended: by what the provider says all of it used, or by its results, line by line.

use std::rc::Rc;

use catalog::{Mode, PriceSheet};
use dialect::DialectId;
use dialect::batches::{self, BatchState};
use domain::{Endpoint, ErrorClass, Money, OutcomeClass, UnixMicros, Usage, UsageQuality};
use ledger::AttemptKey;
use tokio::time::Instant;

use super::at;
use super::open::{Lies, Running};
use super::row::{self, Bill};
use crate::snapshot::Offer;
use crate::worker::Worker;

/// Longest line of results that is read.
const LINE_MAX: usize = 64 << 20;

/// The price of a batch: its own where there is one, else that of any request. Never none because there is no price of
/// batches.
pub(super) fn price(offer: &Offer, at: UnixMicros) -> Option<&PriceSheet> {
    let prices = offer.prices.as_ref()?;
    prices.at(at, Mode::Batch).or_else(|| prices.at(at, Mode::Standard))
}

/// All that was reserved, as what was used.
pub(super) fn all_of(running: &Running) -> Usage {
    let measured = running.lies.as_ref().map(|lies| lies.measured.tokens);
    match measured {
        Some(most) => {
            Usage { input: most.input, output: most.output.unwrap_or(0), ..Usage::default() }
        }
        None => Usage { input: running.reserved.tokens, ..Usage::default() },
    }
}

/// What that costs; `None` where it was not known at the start.
pub(super) fn cost_of_all(running: &Running) -> Option<Money> {
    (!running.marks.unpriced).then_some(running.reserved.money)
}

/// Closes the row of a batch that has ended. One whose results can't be read stays open, until it is asked for again.
pub(super) async fn settle(worker: &Rc<Worker>, key: AttemptKey, state: &BatchState) {
    let gateway = &worker.gateway;
    let Some(running) = gateway.batches.take(key) else { return };
    let Some(lies) = running.lies.clone() else { return gateway.batches.put_back(running) };
    match used(worker, &lies, state).await {
        Ok((usage, cost, price_version)) => {
            let failed = state.status == "failed";
            let bill = Bill {
                outcome: if failed { OutcomeClass::Failed } else { OutcomeClass::Ok },
                error: if failed { ErrorClass::InvalidRequest } else { ErrorClass::None },
                usage,
                quality: UsageQuality::Reported,
                cost: if usage.is_zero() { cost.or(Some(Money::ZERO)) } else { cost },
                price_version,
                finish: Some(state.status.clone()),
                status: 200,
            };
            row::close(gateway, running, bill).await;
        }
        Err(why) => {
            tracing::warn!(request = %key.request, batch = lies.id, why, "what a batch used can't be read yet");
            gateway.batches.put_back(running);
        }
    }
}

/// Closes the row of a batch that is not known to have ended in time: what was reserved is charged.
pub(super) async fn give_up(worker: &Worker, key: AttemptKey) {
    let Some(running) = worker.gateway.batches.take(key) else { return };
    let bill = Bill {
        outcome: OutcomeClass::Interrupted,
        error: ErrorClass::Timeout,
        usage: all_of(&running),
        quality: UsageQuality::Bounded,
        cost: cost_of_all(&running),
        price_version: None,
        finish: None,
        status: 0,
    };
    row::close(&worker.gateway, running, bill).await;
}

type Used = (Usage, Option<Money>, Option<u64>);

async fn used(worker: &Worker, lies: &Lies, state: &BatchState) -> Result<Used, String> {
    let snapshot = worker.gateway.snapshot.load_full();
    let offer = lies.measured.offer(&snapshot, &lies.provider).ok_or("its offer is gone")?;
    let sheet = price(&offer, worker.gateway.now());
    let version = sheet.map(crate::admit::version);
    // A tier is chosen by each request's input, which the sum does not tell.
    let tiered = sheet.is_some_and(|sheet| {
        sheet.tiers.iter().any(|tier| lies.measured.longest > tier.above_input_tokens)
    });
    if let Some(usage) = state.usage.filter(|_| !tiered) {
        let cost = sheet.and_then(|sheet| sheet.cost_of_many(&usage, lies.measured.longest).ok());
        return Ok((usage, cost, version));
    }
    let (endpoint, path) = match (lies.client, &state.files) {
        (DialectId::AnthropicMessages, _) => {
            (Endpoint::Batches, format!("/messages/batches/{}/results", lies.id))
        }
        (_, [Some(file), _]) => (Endpoint::Files, format!("/files/{file}/content")),
        // No request was answered.
        (_, [None, _]) => return Ok((Usage::default(), Some(Money::ZERO), version)),
    };
    let mut sum = Sum { sheet, usage: Usage::default(), cost: Some(Money::ZERO) };
    let idle = offer.provider.idle;
    let mut reply = at::fetch(worker, &snapshot, lies, endpoint, path)
        .await
        .map_err(|fault| fault.fault.message)?;
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let due = Instant::now() + idle;
        match tokio::time::timeout_at(due, reply.source.data()).await {
            Ok(Some(Ok(chunk))) => {
                rest.extend_from_slice(&chunk);
                let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let lines: Vec<u8> = rest.drain(..whole).collect();
                sum.add(&lines, lies)?;
                if rest.len() > LINE_MAX {
                    return Err("a line of its results has no end".to_owned());
                }
            }
            Ok(Some(Err(error))) => return Err(error.message),
            Ok(None) => break,
            Err(_) => return Err("its results came too slowly".to_owned()),
        }
    }
    sum.add(&rest, lies)?;
    Ok((sum.usage, sum.cost, version))
}

struct Sum<'a> {
    sheet: Option<&'a PriceSheet>,
    usage: Usage,
    /// `None` once something has no price.
    cost: Option<Money>,
}

impl Sum<'_> {
    fn add(&mut self, lines: &[u8], lies: &Lies) -> Result<(), String> {
        let of = &lies.measured;
        for line in lines.split(|byte| *byte == b'\n').filter(|it| !it.trim_ascii().is_empty()) {
            let used = batches::result_usage(line, of.dialect, of.endpoint)
                .ok_or("a line of its results can't be read")?;
            let cost = self.sheet.and_then(|sheet| sheet.cost(&used).ok());
            self.cost = self.cost.zip(cost).and_then(|(sum, cost)| sum.checked_add(cost));
            self.usage = plus(self.usage, used);
        }
        Ok(())
    }
}

fn plus(a: Usage, b: Usage) -> Usage {
    Usage {
        input: a.input.saturating_add(b.input),
        cache_read: a.cache_read.saturating_add(b.cache_read),
        cache_write: a.cache_write.saturating_add(b.cache_write),
        cache_write_long: a.cache_write_long.saturating_add(b.cache_write_long),
        output: a.output.saturating_add(b.output),
        reasoning: a.reasoning.saturating_add(b.reasoning),
        audio_input: a.audio_input.saturating_add(b.audio_input),
        audio_output: a.audio_output.saturating_add(b.audio_output),
        image_input: a.image_input.saturating_add(b.image_input),
    }
}
