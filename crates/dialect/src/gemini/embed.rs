//! `:embedContent` and `:batchEmbedContents` to and from the canonical embedding exchange (protocols A5).

use domain::{DialectId, LossReport};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::usage::{self, WireUsage};
use super::{blob, names};
use crate::embedding::{
    self, EmbeddingAnswer, EmbeddingContext, EmbeddingCorner, EmbeddingDialect, EmbeddingInput,
    EmbeddingPart, EmbeddingRequest, Purpose, VectorFormat,
};
use crate::exchange::Media;
use crate::json::{Fields, Object, str_at};
use crate::wire::{BadAnswer, FieldError, Incoming, Target, UpstreamRequest};

/// Most requests of one batch.
const INPUTS_MAX: usize = 100;

/// Google's half of the exchange.
pub(super) struct Embed;

impl EmbeddingDialect for Embed {
    fn read_request(&self, request: &Incoming<'_>) -> Result<EmbeddingRequest, FieldError> {
        let body: Value = serde_json::from_slice(request.body)
            .map_err(|error| FieldError::new("", format!("the body is not valid JSON: {error}")))?;
        let mut top = names::fields(body, String::new())?;
        let model = top.model(request.path.model)?;
        let mut out = EmbeddingRequest::new(DialectId::Gemini, model, "requests");
        out.formats = vec![VectorFormat::Float];
        if let Some(requests) = top.array("requests")? {
            let mut asked = None;
            for (at, item) in requests.into_iter().enumerate() {
                let place = format!("requests[{at}]");
                let mut fields = names::fields(item, place.clone())?;
                fields.value("model");
                let own = one(fields, &mut out)?;
                // Other APIs say these once for all inputs.
                if *asked.get_or_insert_with(|| own.clone()) != own {
                    let why = "taskType and outputDimensionality must be the same in every request of the batch";
                    return Err(FieldError::new(place, why));
                }
            }
            top.finish(&mut out.unknown);
        } else {
            out.list = "content";
            out.single = true;
            one(top, &mut out)?;
        }
        if out.inputs.is_empty() {
            return Err(FieldError::new("requests", "at least one content is required"));
        }
        Ok(out)
    }

    fn write_request(
        &self,
        request: &EmbeddingRequest,
        target: &Target<'_>,
        loss: &mut LossReport,
    ) -> Result<UpstreamRequest, FieldError> {
        request.at_most(INPUTS_MAX)?;
        let model = format!("models/{}", target.model);
        let task = write_purpose(request, loss);
        let mut requests = Vec::with_capacity(request.inputs.len());
        for (at, input) in request.inputs.iter().enumerate() {
            let mut one = Object::default();
            one.put("model", model.as_str());
            one.put("content", json!({"parts": parts(request, at, input)?}));
            one.put_some("taskType", task);
            one.put_some("title", input.title.as_deref());
            one.put_some("outputDimensionality", request.dimensions);
            requests.push(one.into_value());
        }
        request.note_rest(loss)?;
        let mut body = Object::default();
        body.put("requests", requests);
        Ok(UpstreamRequest { body: body.into_bytes(), headers: Vec::new(), cut_at: Vec::new() })
    }

    fn read_answer(&self, body: &[u8]) -> Result<EmbeddingAnswer, BadAnswer> {
        let answer: WireAnswer = embedding::parse(body)?;
        let vectors = answer.embeddings.into_iter().flatten().chain(answer.embedding);
        Ok(EmbeddingAnswer {
            id: None,
            model: None,
            vectors: vectors.map(|it| it.values).collect(),
            usage: answer.usage_metadata.and_then(|usage| usage.to_usage()),
        })
    }

    fn write_answer(&self, answer: &EmbeddingAnswer, context: &EmbeddingContext<'_>) -> Vec<u8> {
        let mut vectors = answer.vectors.iter().map(|values| VectorOut { values });
        let usage_metadata = answer.usage.as_ref().map(usage::write);
        let out = if context.request.single {
            AnswerOut { embedding: vectors.next(), embeddings: None, usage_metadata }
        } else {
            AnswerOut { embedding: None, embeddings: Some(vectors.collect()), usage_metadata }
        };
        let mut bytes = Vec::new();
        crate::json::append(&mut bytes, &out);
        bytes
    }

    fn spell(&self, corner: EmbeddingCorner) -> &'static str {
        use EmbeddingCorner as C;
        match corner {
            C::Purpose | C::PurposeNearest | C::PurposeAbsent => "taskType",
            C::Title => "title",
            C::SeveralParts => "content.parts",
            C::Formats => "embeddings",
            C::User => "user",
            C::Unknown => "unknown_fields",
        }
    }
}

/// What one request of a batch says beside its content.
type Asked = (Option<Purpose>, Option<u64>);

/// Reads one request; newer clients put the options into an object of their own.
fn one(mut fields: Fields, out: &mut EmbeddingRequest) -> Result<Asked, FieldError> {
    let mut options = match fields.value("embedContentConfig") {
        Some(config) => Some(names::fields(config, fields.at("embedContentConfig"))?),
        None => None,
    };
    let mut input = EmbeddingInput { title: fields.string("title")?, parts: Vec::new() };
    let place = fields.at("content");
    let content = fields
        .value("content")
        .ok_or_else(|| FieldError::new(&*place, "this field is required"))?;
    let parts = names::get(&content, "parts").and_then(Value::as_array);
    let parts =
        parts.ok_or_else(|| FieldError::new(format!("{place}.parts"), "expected an array"))?;
    input.parts = parts.iter().map(read_part).collect();
    let mut asked = options_of(&mut fields)?;
    if let Some(options) = &mut options {
        let (purpose, dimensions) = options_of(options)?;
        asked = (purpose.or(asked.0), dimensions.or(asked.1));
        input.title = options.string("title")?.or(input.title);
        if let Some(value) = options.value("autoTruncate") {
            out.extras.insert("embedContentConfig.autoTruncate", value);
        }
    }
    if let Some(value) = fields.value("autoTruncate") {
        out.extras.insert("autoTruncate", value);
    }
    out.inputs.push(input);
    (out.purpose, out.dimensions) = asked.clone();
    fields.finish(&mut out.unknown);
    if let Some(options) = options {
        options.finish(&mut out.unknown);
    }
    Ok(asked)
}

fn options_of(fields: &mut Fields) -> Result<Asked, FieldError> {
    let purpose = fields.string("taskType")?.and_then(read_purpose);
    Ok((purpose, fields.unsigned("outputDimensionality")?))
}

fn read_part(part: &Value) -> EmbeddingPart {
    let inline = names::get(part, "inlineData");
    match (str_at(part, "text"), inline) {
        (Some(text), _) => EmbeddingPart::Text(text.to_owned()),
        (None, Some(inline)) => {
            let media_type = names::get(inline, "mimeType").and_then(Value::as_str);
            match (media_type, str_at(inline, "data")) {
                (Some(media_type), Some(data)) if media_type.starts_with("image/") => {
                    let data = blob::standard(data).into_owned();
                    EmbeddingPart::Image(Media::Base64 { media_type: media_type.to_owned(), data })
                }
                _ => EmbeddingPart::Vendor,
            }
        }
        _ => EmbeddingPart::Vendor,
    }
}

fn read_purpose(word: String) -> Option<Purpose> {
    Some(match word.as_str() {
        "TASK_TYPE_UNSPECIFIED" => return None,
        "RETRIEVAL_DOCUMENT" => Purpose::Document,
        "RETRIEVAL_QUERY" => Purpose::Query,
        "QUESTION_ANSWERING" => Purpose::QuestionAnswering,
        "FACT_VERIFICATION" => Purpose::FactVerification,
        "CODE_RETRIEVAL_QUERY" => Purpose::CodeQuery,
        "SEMANTIC_SIMILARITY" => Purpose::Similarity,
        "CLASSIFICATION" => Purpose::Classification,
        "CLUSTERING" => Purpose::Clustering,
        _ => Purpose::Other(word),
    })
}

fn write_purpose(request: &EmbeddingRequest, loss: &mut LossReport) -> Option<&'static str> {
    Some(match request.purpose.as_ref()? {
        Purpose::Document => "RETRIEVAL_DOCUMENT",
        Purpose::Query => "RETRIEVAL_QUERY",
        Purpose::QuestionAnswering => "QUESTION_ANSWERING",
        Purpose::FactVerification => "FACT_VERIFICATION",
        Purpose::CodeQuery => "CODE_RETRIEVAL_QUERY",
        Purpose::Similarity => "SEMANTIC_SIMILARITY",
        Purpose::Classification => "CLASSIFICATION",
        Purpose::Clustering => "CLUSTERING",
        // That it is an image, its part says.
        Purpose::Image => return None,
        Purpose::Other(_) => {
            request.note(loss, EmbeddingCorner::Purpose);
            return None;
        }
    })
}

fn parts(
    request: &EmbeddingRequest,
    at: usize,
    input: &EmbeddingInput,
) -> Result<Vec<Value>, FieldError> {
    let written = input.parts.iter().map(|part| match part {
        EmbeddingPart::Text(text) => Ok(json!({"text": text})),
        EmbeddingPart::Image(Media::Base64 { media_type, data }) => {
            Ok(json!({"inlineData": {"mimeType": media_type, "data": data}}))
        }
        EmbeddingPart::Image(_) => {
            Err(request.wrong_input(at, "the provider fetches no images: send it inline"))
        }
        EmbeddingPart::Tokens => Err(request.wrong_input(at, embedding::TOKENS)),
        EmbeddingPart::Vendor => Err(request.wrong_input(at, embedding::VENDOR)),
    });
    written.collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAnswer {
    embeddings: Option<Vec<WireVector>>,
    embedding: Option<WireVector>,
    usage_metadata: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireVector {
    #[serde(default)]
    values: Vec<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<VectorOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<VectorOut<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<Value>,
}

#[derive(Serialize)]
struct VectorOut<'a> {
    values: &'a [f64],
}
