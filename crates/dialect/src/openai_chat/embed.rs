//! `/v1/embeddings` to and from the canonical embedding exchange (protocols A3).

use domain::{DialectId, LossReport, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::usage::WireUsage;
use crate::embedding::{
    self, EmbeddingAnswer, EmbeddingContext, EmbeddingCorner, EmbeddingDialect, EmbeddingInput,
    EmbeddingPart, EmbeddingRequest, Purpose, VectorFormat,
};
use crate::json::{Fields, Object};
use crate::wire::{BadAnswer, FieldError, Incoming, Target, UpstreamRequest};

/// Most inputs of one call (the API reference's `input`).
const INPUTS_MAX: usize = 2_048;

/// OpenAI's half of the exchange.
pub(super) struct Embed;

impl EmbeddingDialect for Embed {
    fn read_request(&self, request: &Incoming<'_>) -> Result<EmbeddingRequest, FieldError> {
        let mut fields = Fields::parse(request.body)?;
        let model = fields.model(request.path.model)?;
        let mut out = EmbeddingRequest::new(DialectId::OpenaiChat, model, "input");
        out.inputs = inputs(&mut fields)?;
        out.dimensions = fields.unsigned("dimensions")?;
        out.formats = match fields.string("encoding_format")?.as_deref() {
            None | Some("float") => vec![VectorFormat::Float],
            Some("base64") => vec![VectorFormat::Base64],
            Some(_) => return Err(fields.wrong("encoding_format", "expected `float` or `base64`")),
        };
        // No field of OpenAI's own; hosts whose models know purposes take it (NVIDIA, Voyage and others).
        out.purpose = fields.string("input_type")?.map(purpose);
        out.user = fields.string("user")?.is_some();
        fields.finish(&mut out.unknown);
        Ok(out)
    }

    fn write_request(
        &self,
        request: &EmbeddingRequest,
        target: &Target<'_>,
        loss: &mut LossReport,
    ) -> Result<UpstreamRequest, FieldError> {
        request.at_most(INPUTS_MAX)?;
        let mut body = Object::default();
        body.put("model", target.model);
        body.put("input", request.texts(loss)?);
        body.put_some("dimensions", request.dimensions);
        if request.purpose.is_some() {
            request.note(loss, EmbeddingCorner::Purpose);
        }
        request.note_rest(loss)?;
        Ok(UpstreamRequest { body: body.into_bytes(), headers: Vec::new(), cut_at: Vec::new() })
    }

    fn read_answer(&self, body: &[u8]) -> Result<EmbeddingAnswer, BadAnswer> {
        let mut answer: WireAnswer = embedding::parse(body)?;
        answer.data.sort_by_key(|row| row.index);
        let vectors = answer.data.into_iter().map(|row| row.embedding.numbers()).collect();
        let vectors: Option<Vec<_>> = vectors;
        Ok(EmbeddingAnswer {
            id: answer.id,
            model: answer.model,
            vectors: vectors.ok_or_else(|| BadAnswer::Malformed("no base64 of floats".into()))?,
            usage: answer.usage.and_then(|usage| usage.to_usage()),
        })
    }

    fn write_answer(&self, answer: &EmbeddingAnswer, context: &EmbeddingContext<'_>) -> Vec<u8> {
        let base64 = context.request.formats.contains(&VectorFormat::Base64);
        let rows = answer.vectors.iter().enumerate();
        let data = rows.map(|(index, vector)| RowOut {
            object: "embedding",
            index,
            embedding: if base64 {
                VectorOut::Base64(embedding::to_base64(vector))
            } else {
                VectorOut::Numbers(vector)
            },
        });
        let out = AnswerOut {
            object: "list",
            data: data.collect(),
            model: answer.model.as_deref().unwrap_or(context.model),
            usage: answer
                .usage
                .as_ref()
                .map(Usage::input_total)
                .map(|tokens| UsageOut { prompt_tokens: tokens, total_tokens: tokens }),
        };
        let mut bytes = Vec::new();
        crate::json::append(&mut bytes, &out);
        bytes
    }

    fn spell(&self, corner: EmbeddingCorner) -> &'static str {
        use EmbeddingCorner as C;
        match corner {
            C::Purpose | C::PurposeNearest | C::PurposeAbsent => "input_type",
            C::Title | C::SeveralParts => "input",
            C::Formats => "encoding_format",
            C::User => "user",
            C::Unknown => "unknown_fields",
        }
    }
}

fn purpose(word: String) -> Purpose {
    match word.as_str() {
        "query" | "search_query" => Purpose::Query,
        "passage" | "document" | "search_document" => Purpose::Document,
        "classification" => Purpose::Classification,
        "clustering" => Purpose::Clustering,
        _ => Purpose::Other(word),
    }
}

fn inputs(fields: &mut Fields) -> Result<Vec<EmbeddingInput>, FieldError> {
    let one = |part| EmbeddingInput { title: None, parts: vec![part] };
    let all = match fields.value("input") {
        Some(Value::String(text)) => return Ok(vec![one(EmbeddingPart::Text(text))]),
        Some(Value::Array(all)) => all,
        Some(_) => return Err(fields.wrong("input", "expected a string or an array")),
        None => return Err(fields.wrong("input", "this field is required")),
    };
    if all.first().is_some_and(Value::is_number) {
        return Ok(vec![one(EmbeddingPart::Tokens)]);
    }
    let parts = all.into_iter().enumerate().map(|(at, item)| match item {
        Value::String(text) => Ok(one(EmbeddingPart::Text(text))),
        Value::Array(_) => Ok(one(EmbeddingPart::Tokens)),
        Value::Object(_) => Ok(one(EmbeddingPart::Vendor)),
        _ => Err(FieldError::new(
            format!("input[{at}]"),
            "expected a string or an array of token ids",
        )),
    });
    parts.collect()
}

#[derive(Deserialize)]
struct WireAnswer {
    id: Option<String>,
    model: Option<String>,
    data: Vec<WireRow>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireRow {
    #[serde(default)]
    index: u64,
    embedding: WireVector,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireVector {
    Numbers(Vec<f64>),
    Base64(String),
}

impl WireVector {
    fn numbers(self) -> Option<Vec<f64>> {
        match self {
            Self::Numbers(numbers) => Some(numbers),
            Self::Base64(text) => embedding::of_base64(&text),
        }
    }
}

#[derive(Serialize)]
struct AnswerOut<'a> {
    object: &'static str,
    data: Vec<RowOut<'a>>,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageOut>,
}

#[derive(Serialize)]
struct RowOut<'a> {
    object: &'static str,
    index: usize,
    embedding: VectorOut<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum VectorOut<'a> {
    Numbers(&'a [f64]),
    Base64(String),
}

#[derive(Serialize)]
struct UsageOut {
    prompt_tokens: u64,
    total_tokens: u64,
}
