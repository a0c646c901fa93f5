//! The exchange as a chat request in its envelope.

use domain::{DialectId, LossReport};
use serde_json::{Value, json};

use super::{cohere, generic};
use crate::exchange::Exchange;
use crate::json::Object;
use crate::loss::{self, Corner};
use crate::wire::{FieldError, Target, UpstreamRequest};

/// Sent where neither the client nor the catalog knows a limit: without one, some twenty tokens come. Every model takes
/// so many; Cohere's take no more.
const OUTPUT_FALLBACK: u64 = 4_000;
/// What the id of a dedicated endpoint begins with.
const ENDPOINT: &str = "ocid1.generativeaiendpoint.";

/// The dialect whose request the model takes, in Oracle's spelling.
pub(super) fn format(target: &Target<'_>) -> DialectId {
    if target.quirks.cohere_request { DialectId::CohereChat } else { DialectId::OpenaiChat }
}

pub(super) fn output_limit(exchange: &Exchange, target: &Target<'_>) -> u64 {
    exchange.max_output.or(target.max_output).unwrap_or(OUTPUT_FALLBACK)
}

pub(super) fn write(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<UpstreamRequest, FieldError> {
    let (mut chat, cut_at) = match format(target) {
        DialectId::CohereChat => cohere::request(exchange, target, loss)?,
        _ => generic::request(exchange, target, loss)?,
    };
    if exchange.max_output.is_none() {
        loss::note(loss, exchange, Corner::MaxTokensAbsent);
    }
    let limit = if target.quirks.completion_limit { "maxCompletionTokens" } else { "maxTokens" };
    chat.put(limit, output_limit(exchange, target));
    let mut body = Object::default();
    body.put_some("compartmentId", target.compartment);
    body.put("servingMode", serving_mode(target.model));
    body.put("chatRequest", chat.into_value());
    Ok(UpstreamRequest { body: body.into_bytes(), headers: Vec::new(), cut_at })
}

pub(super) fn serving_mode(model: &str) -> Value {
    if model.starts_with(ENDPOINT) {
        json!({"servingType": "DEDICATED", "endpointId": model})
    } else {
        json!({"servingType": "ON_DEMAND", "modelId": model})
    }
}
