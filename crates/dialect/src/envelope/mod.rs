//! Messages requests and answers in what the clouds put around them (protocols A6, B): a placement of the dialect
//! `anthropic-messages`, not a dialect of its own.
//!
//! At either edge the envelope is taken off or put on; between the edges there is only the dialect. What stands in it is
//! never rewritten: the members of the body keep their bytes, those that the envelope itself holds are taken out or put
//! in front, and each event of a stream keeps the bytes of its JSON.
//!
//! | | Bedrock InvokeModel | Vertex `rawPredict` |
//! | --- | --- | --- |
//! | model, stream | path | path (`stream` in the body too) |
//! | version | `anthropic_version` in the body | the same |
//! | betas | `anthropic_beta` in the body | header |
//! | stream | `chunk` frames that hold events in base64 | events |
//! | errors | AWS's | Anthropic's, or Google's |
//! | token count | within `input.invokeModel.body`, in base64 | a model's name of its own |

mod count;
mod frames;
mod request;

use bytes::Bytes;
use domain::{DialectId, Endpoint, Envelope};

use crate::registry::dialect;
use crate::wire::{FieldError, Headers, PathFacts, UpstreamFault};

pub use count::{Count, rename as rename_count};
pub use frames::{Framer, Unframer};

/// The API version that Bedrock and Vertex call by names of their own.
const FIRST_VERSION: &str = "2023-06-01";
const BEDROCK_VERSION: &str = "bedrock-2023-05-31";
const VERTEX_VERSION: &str = "vertex-2023-10-16";
/// The last version of Azure's API that is generally available and has deployments in its paths.
const AZURE_VERSION: &str = "2024-10-21";

/// The name under which Vertex counts tokens for every model.
pub const VERTEX_COUNTER: &str = "count-tokens";

/// A request out of its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// As Anthropic's own API takes it.
    pub body: Bytes,
    /// For the header `anthropic-version`.
    pub version: String,
    /// For the header `anthropic-beta`, in addition to what it says; may be empty.
    pub betas: String,
}

/// Takes a client's request out of its envelope. The body must have passed [`crate::gate::scan`]; what comes out may hold
/// what that has not seen.
///
/// # Errors
/// What the cloud would refuse too.
pub fn unpack(
    envelope: Envelope,
    endpoint: Endpoint,
    body: &Bytes,
    path: PathFacts<'_>,
) -> Result<Unpacked, FieldError> {
    if envelope == Envelope::BedrockInvoke && endpoint == Endpoint::CountTokens {
        let within = count::within(body)?;
        return request::unpack(envelope, endpoint, &within, path);
    }
    request::unpack(envelope, endpoint, body, path)
}

/// Whether a request to count tokens at Bedrock holds a Claude body rather than a Converse request.
pub fn is_invoke_count(body: &[u8]) -> bool {
    count::is_invoke(body)
}

/// Puts a request into the envelope: `version` and `betas` are what its headers say.
pub fn pack(
    envelope: Envelope,
    endpoint: Endpoint,
    body: &Bytes,
    version: &str,
    betas: &str,
) -> Bytes {
    if !envelope.wraps() {
        return body.clone();
    }
    let packed = request::pack(envelope, endpoint, body, version, betas);
    if envelope == Envelope::BedrockInvoke && endpoint == Endpoint::CountTokens {
        return count::around(&packed);
    }
    packed
}

/// Where a provider takes requests in the envelope, relative to its base URL; `None`: where the dialect says.
pub fn path(envelope: Envelope, endpoint: Endpoint, model: &str, stream: bool) -> Option<String> {
    let segment = crate::bedrock_converse::encoded(model);
    match (envelope, endpoint) {
        (Envelope::BedrockInvoke, Endpoint::Chat) if stream => {
            Some(format!("/model/{segment}/invoke-with-response-stream"))
        }
        (Envelope::BedrockInvoke, Endpoint::Chat) => Some(format!("/model/{segment}/invoke")),
        (Envelope::BedrockInvoke, Endpoint::CountTokens) => {
            Some(format!("/model/{segment}/count-tokens"))
        }
        (Envelope::VertexRawPredict, Endpoint::Chat) => {
            let verb = if stream { "streamRawPredict" } else { "rawPredict" };
            // Versions are said as `model@20260101`, which Google's own clients leave as it is.
            Some(format!("/models/{}:{verb}", segment.replace("%40", "@")))
        }
        (Envelope::VertexRawPredict, Endpoint::CountTokens) => {
            Some(format!("/models/{VERTEX_COUNTER}:rawPredict"))
        }
        (Envelope::AzureDeployment, Endpoint::Chat) => Some(deployed(&segment, "chat/completions")),
        (Envelope::AzureDeployment, Endpoint::Embeddings) => Some(deployed(&segment, "embeddings")),
        // Nothing else travels in an envelope.
        _ => None,
    }
}

/// Azure's path for a deployment: <https://learn.microsoft.com/azure/ai-services/openai/reference>.
fn deployed(deployment: &str, operation: &str) -> String {
    format!("/deployments/{deployment}/{operation}?api-version={AZURE_VERSION}")
}

/// The dialect whose errors travel in the envelope.
pub fn errors(envelope: Envelope, id: DialectId) -> DialectId {
    match envelope {
        Envelope::BedrockInvoke => DialectId::BedrockConverse,
        Envelope::None | Envelope::VertexRawPredict | Envelope::AzureDeployment => id,
    }
}

/// What a provider's error answer means. On Vertex the model's own errors are Anthropic's, those of the platform Google's.
pub fn classify(
    envelope: Envelope,
    id: DialectId,
    status: u16,
    headers: &dyn Headers,
    body: &[u8],
) -> UpstreamFault {
    let said_in = match envelope {
        Envelope::VertexRawPredict if !dialect(id).is_own_error(body) => DialectId::Gemini,
        _ => errors(envelope, id),
    };
    dialect(said_in).classify(status, headers, body)
}

/// The content type of a stream in the envelope; `None`: the dialect's.
pub fn stream_media_type(envelope: Envelope) -> Option<&'static str> {
    (envelope == Envelope::BedrockInvoke).then_some(crate::event_stream::MEDIA_TYPE)
}

/// The version as the cloud calls it.
fn outer_version(envelope: Envelope, version: &str) -> &str {
    match (envelope, version) {
        (Envelope::BedrockInvoke, FIRST_VERSION) => BEDROCK_VERSION,
        (Envelope::VertexRawPredict, FIRST_VERSION) => VERTEX_VERSION,
        (_, other) => other,
    }
}

/// The inverse of [`outer_version`], of either cloud.
fn inner_version(version: &str) -> &str {
    if matches!(version, BEDROCK_VERSION | VERTEX_VERSION) { FIRST_VERSION } else { version }
}

#[cfg(test)]
mod tests;
