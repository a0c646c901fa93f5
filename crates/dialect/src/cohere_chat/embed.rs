//! `/v2/embed` to and from the canonical embedding exchange (the SDK's `v2/raw_client.py` and
//! `types/embed_by_type_response.py`).

use domain::{DialectId, LossReport};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::read_answer::read_usage;
use crate::embedding::{
    self, EmbeddingAnswer, EmbeddingContext, EmbeddingCorner, EmbeddingDialect, EmbeddingInput,
    EmbeddingPart, EmbeddingRequest, Purpose, VectorFormat,
};
use crate::exchange::Media;
use crate::json::{Fields, Object, str_at};
use crate::wire::{BadAnswer, FieldError, Incoming, Target, UpstreamRequest};

/// Most inputs of one call (<https://docs.cohere.com/reference/embed>, `texts`).
const INPUTS_MAX: usize = 96;

/// Cohere's half of the exchange.
pub(super) struct Embed;

impl EmbeddingDialect for Embed {
    fn read_request(&self, request: &Incoming<'_>) -> Result<EmbeddingRequest, FieldError> {
        let mut fields = Fields::parse(request.body)?;
        let model = fields.model(request.path.model)?;
        let mut out = EmbeddingRequest::new(DialectId::CohereChat, model, "texts");
        inputs(&mut fields, &mut out)?;
        out.dimensions = fields.unsigned("output_dimension")?;
        out.purpose = fields.string("input_type")?.map(read_purpose);
        out.formats = formats(&mut fields)?;
        for name in ["max_tokens", "truncate", "priority"] {
            if let Some(value) = fields.value(name) {
                out.extras.insert(name, value);
            }
        }
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
        let is_text = |part: &EmbeddingPart| !matches!(part, EmbeddingPart::Image(_));
        if request.inputs.iter().flat_map(|input| &input.parts).all(is_text) {
            body.put("texts", request.texts(loss)?);
        } else {
            body.put("inputs", mixed(request, loss)?);
        }
        body.put("input_type", write_purpose(request, loss));
        body.put("embedding_types", json!(["float"]));
        body.put_some("output_dimension", request.dimensions);
        request.note_rest(loss)?;
        Ok(UpstreamRequest { body: body.into_bytes(), headers: Vec::new(), cut_at: Vec::new() })
    }

    fn read_answer(&self, body: &[u8]) -> Result<EmbeddingAnswer, BadAnswer> {
        let answer: WireAnswer = embedding::parse(body)?;
        let vectors = match answer.embeddings {
            WireVectors::ByType { float } | WireVectors::Float(float) => float,
        };
        Ok(EmbeddingAnswer {
            id: answer.id,
            model: None,
            vectors,
            usage: answer.meta.as_ref().and_then(read_usage),
        })
    }

    fn write_answer(&self, answer: &EmbeddingAnswer, context: &EmbeddingContext<'_>) -> Vec<u8> {
        let request = context.request;
        let wants = |format| request.formats.contains(&format);
        let texts = request.inputs.iter().filter_map(|input| match input.parts.as_slice() {
            [EmbeddingPart::Text(text)] => Some(text.as_str()),
            _ => None,
        });
        let mut meta = json!({"api_version": {"version": "2"}});
        if let (Some(usage), Some(meta)) = (&answer.usage, meta.as_object_mut()) {
            meta.insert("billed_units".to_owned(), json!({"input_tokens": usage.input_total()}));
        }
        let base64 = || answer.vectors.iter().map(|it| embedding::to_base64(it)).collect();
        let out = AnswerOut {
            id: answer.id.as_deref().unwrap_or(context.request_id),
            embeddings: VectorsOut {
                float: wants(VectorFormat::Float).then_some(&answer.vectors),
                base64: wants(VectorFormat::Base64).then(base64),
            },
            texts: texts.collect(),
            meta,
            response_type: "embeddings_by_type",
        };
        let mut bytes = Vec::new();
        crate::json::append(&mut bytes, &out);
        bytes
    }

    fn spell(&self, corner: EmbeddingCorner) -> &'static str {
        use EmbeddingCorner as C;
        match corner {
            C::Purpose | C::PurposeNearest | C::PurposeAbsent => "input_type",
            C::Title => "texts",
            C::SeveralParts => "inputs[].content",
            C::Formats => "embedding_types",
            C::User => "user",
            C::Unknown => "unknown_fields",
        }
    }
}

fn read_purpose(word: String) -> Purpose {
    match word.as_str() {
        "search_document" => Purpose::Document,
        "search_query" => Purpose::Query,
        "classification" => Purpose::Classification,
        "clustering" => Purpose::Clustering,
        "image" => Purpose::Image,
        _ => Purpose::Other(word),
    }
}

/// The API refuses requests without a purpose.
pub(crate) fn write_purpose(request: &EmbeddingRequest, loss: &mut LossReport) -> &'static str {
    let (word, corner) = match &request.purpose {
        Some(Purpose::Document) => ("search_document", None),
        Some(Purpose::Query) => ("search_query", None),
        Some(Purpose::Classification) => ("classification", None),
        Some(Purpose::Clustering) => ("clustering", None),
        Some(Purpose::Image) => ("image", None),
        Some(Purpose::QuestionAnswering | Purpose::FactVerification | Purpose::CodeQuery) => {
            ("search_query", Some(EmbeddingCorner::PurposeNearest))
        }
        // Both compare like with like.
        Some(Purpose::Similarity) => ("clustering", Some(EmbeddingCorner::PurposeNearest)),
        Some(Purpose::Other(_)) => ("search_document", Some(EmbeddingCorner::Purpose)),
        None => ("search_document", Some(EmbeddingCorner::PurposeAbsent)),
    };
    if let Some(corner) = corner {
        request.note(loss, corner);
    }
    word
}

fn formats(fields: &mut Fields) -> Result<Vec<VectorFormat>, FieldError> {
    let words = fields.array("embedding_types")?.unwrap_or_default();
    if words.is_empty() {
        return Ok(vec![VectorFormat::Float]);
    }
    let format = |word: &Value| match word.as_str() {
        Some("float") => Ok(VectorFormat::Float),
        Some("base64") => Ok(VectorFormat::Base64),
        Some(_) => Ok(VectorFormat::Vendor),
        None => Err(fields.wrong("embedding_types", "expected an array of strings")),
    };
    words.iter().map(format).collect()
}

/// `texts`, `images` and `inputs`; the API takes one of them.
fn inputs(fields: &mut Fields, out: &mut EmbeddingRequest) -> Result<(), FieldError> {
    let one = |part| EmbeddingInput { title: None, parts: vec![part] };
    for list in ["texts", "images", "inputs"] {
        let Some(items) = fields.array(list)? else { continue };
        out.list = list;
        for (at, item) in items.into_iter().enumerate() {
            let wrong = |why| FieldError::new(format!("{list}[{at}]"), why);
            out.inputs.push(match (list, item) {
                ("texts", Value::String(text)) => one(EmbeddingPart::Text(text)),
                ("images", Value::String(url)) => {
                    one(EmbeddingPart::Image(embedding::image_of_url(&url)))
                }
                ("inputs", item) => {
                    let parts = item.get("content").and_then(Value::as_array);
                    let parts = parts.ok_or_else(|| wrong("expected an object with `content`"))?;
                    EmbeddingInput { title: None, parts: parts.iter().map(read_part).collect() }
                }
                _ => return Err(wrong("expected a string")),
            });
        }
    }
    if out.inputs.is_empty() {
        return Err(FieldError::new("texts", "this field is required"));
    }
    Ok(())
}

fn read_part(part: &Value) -> EmbeddingPart {
    let url = part.get("image_url").and_then(|it| str_at(it, "url"));
    match (str_at(part, "text"), url) {
        (Some(text), _) => EmbeddingPart::Text(text.to_owned()),
        (None, Some(url)) => EmbeddingPart::Image(embedding::image_of_url(url)),
        _ => EmbeddingPart::Vendor,
    }
}

/// Inputs of which some have images.
fn mixed(request: &EmbeddingRequest, loss: &mut LossReport) -> Result<Vec<Value>, FieldError> {
    let inputs = request.inputs.iter().enumerate();
    let written = inputs.map(|(at, input)| {
        let mut content = Vec::new();
        if let Some(title) = &input.title {
            request.note(loss, EmbeddingCorner::Title);
            content.push(json!({"type": "text", "text": title}));
        }
        for part in &input.parts {
            content.push(match part {
                EmbeddingPart::Text(text) => json!({"type": "text", "text": text}),
                EmbeddingPart::Image(Media::Base64 { media_type, data }) => {
                    let url = format!("data:{media_type};base64,{data}");
                    json!({"type": "image_url", "image_url": {"url": url}})
                }
                EmbeddingPart::Tokens => return Err(request.wrong_input(at, embedding::TOKENS)),
                EmbeddingPart::Image(_) | EmbeddingPart::Vendor => {
                    return Err(request.wrong_input(at, embedding::VENDOR));
                }
            });
        }
        Ok(json!({"content": content}))
    });
    written.collect()
}

#[derive(Deserialize)]
struct WireAnswer {
    id: Option<String>,
    embeddings: WireVectors,
    meta: Option<Value>,
}

/// By type, or a plain list as older hosts write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireVectors {
    ByType { float: Vec<Vec<f64>> },
    Float(Vec<Vec<f64>>),
}

#[derive(Serialize)]
struct AnswerOut<'a> {
    id: &'a str,
    embeddings: VectorsOut<'a>,
    texts: Vec<&'a str>,
    meta: Value,
    response_type: &'static str,
}

#[derive(Serialize)]
struct VectorsOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    float: Option<&'a Vec<Vec<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<Vec<String>>,
}
