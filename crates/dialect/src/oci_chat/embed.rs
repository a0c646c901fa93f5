//! `/20231130/actions/embedText`, the provider's side (`generative_ai_inference/models/embed_text_details.py` and
//! `embed_text_result.py` of Oracle's Python SDK 2.189).

use domain::{DialectId, LossReport, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

use super::read_answer::usage_of;
use super::words::text;
use super::write_request::serving_mode;
use crate::cohere_chat::embed::write_purpose;
use crate::cursor::Cursor;
use crate::embedding::{
    self, EmbeddingAnswer, EmbeddingContext, EmbeddingCorner, EmbeddingDialect, EmbeddingPart,
    EmbeddingRequest,
};
use crate::exchange::Media;
use crate::json::Object;
use crate::openai_chat::usage::WireUsage;
use crate::provider_only;
use crate::registry::Tee;
use crate::watch::{self, Reader};
use crate::wire::{BadAnswer, FieldError, Incoming, Seen, Target, TeeOptions, UpstreamRequest};

/// Most inputs of one call (<https://docs.oracle.com/en-us/iaas/Content/generative-ai/use-playground-embed.htm>).
const INPUTS_MAX: usize = 96;

/// Oracle's half of the exchange. No client speaks it.
pub(super) struct Embed;

impl EmbeddingDialect for Embed {
    fn read_request(&self, _request: &Incoming<'_>) -> Result<EmbeddingRequest, FieldError> {
        Err(provider_only::refused(DialectId::OciChat))
    }

    fn write_request(
        &self,
        request: &EmbeddingRequest,
        target: &Target<'_>,
        loss: &mut LossReport,
    ) -> Result<UpstreamRequest, FieldError> {
        request.at_most(INPUTS_MAX)?;
        let mut body = Object::default();
        body.put_some("compartmentId", target.compartment);
        body.put("servingMode", serving_mode(target.model));
        let is_text = |part: &EmbeddingPart| !matches!(part, EmbeddingPart::Image(_));
        if request.inputs.iter().flat_map(|input| &input.parts).all(is_text) {
            body.put("inputs", request.texts(loss)?);
        } else {
            body.put("embedContents", contents(request, loss)?);
        }
        // It insists on no purpose.
        if request.purpose.is_some() {
            body.put("inputType", write_purpose(request, loss).to_ascii_uppercase());
        }
        body.put_some("outputDimensions", request.dimensions);
        // Cohere's words, which are its own too.
        match request.extras.get("truncate") {
            Some(truncate) => {
                body.put("truncate", truncate.clone());
                let mut rest = request.clone();
                rest.extras.remove("truncate");
                rest.note_rest(loss)?;
            }
            None => request.note_rest(loss)?,
        }
        Ok(UpstreamRequest { body: body.into_bytes(), headers: Vec::new(), cut_at: Vec::new() })
    }

    fn read_answer(&self, body: &[u8]) -> Result<EmbeddingAnswer, BadAnswer> {
        let answer: WireAnswer = embedding::parse(body)?;
        Ok(EmbeddingAnswer {
            id: answer.id,
            model: answer.model,
            vectors: answer.embeddings,
            usage: answer.usage.and_then(|usage| read_usage(&usage)),
        })
    }

    fn write_answer(&self, _answer: &EmbeddingAnswer, _context: &EmbeddingContext<'_>) -> Vec<u8> {
        Vec::new()
    }

    fn spell(&self, _corner: EmbeddingCorner) -> &'static str {
        ""
    }
}

fn read_usage(usage: &Value) -> Option<Usage> {
    WireUsage::deserialize(usage_of(usage)).ok()?.to_usage()
}

/// Texts and images, a vector each: what consists of several can't be said here.
fn contents(request: &EmbeddingRequest, loss: &mut LossReport) -> Result<Vec<Value>, FieldError> {
    let inputs = request.inputs.iter().enumerate();
    let written = inputs.map(|(at, input)| match input.parts.as_slice() {
        [EmbeddingPart::Image(Media::Base64 { media_type, data })] => {
            if input.title.is_some() {
                request.note(loss, EmbeddingCorner::Title);
            }
            let url = format!("data:{media_type};base64,{data}");
            Ok(json!({"type": "IMAGE", "imageUrl": {"url": url}}))
        }
        [EmbeddingPart::Image(_)] => Err(request.wrong_input(at, embedding::VENDOR)),
        parts if parts.iter().any(|it| matches!(it, EmbeddingPart::Image(_))) => {
            let why = "the provider makes no vector of an image together with something else";
            Err(request.wrong_input(at, why))
        }
        _ => Ok(text(&request.text(at, input, loss)?)),
    });
    written.collect()
}

#[derive(Deserialize)]
struct WireAnswer {
    id: Option<String>,
    #[serde(rename = "modelId")]
    model: Option<String>,
    embeddings: Vec<Vec<f64>>,
    usage: Option<Value>,
}

/// A reader of the whole answer.
pub(super) fn tee() -> Box<dyn Tee> {
    watch::tee::<Embedded>(TeeOptions::default())
}

#[derive(Default)]
struct Embedded;

impl Reader for Embedded {
    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        if super::errors::is_own(body) {
            seen.error = Some(crate::fault::of_object(body));
            return;
        }
        let mut cursor = Cursor::new(body);
        let mut top = cursor.object();
        while let Some(key) = cursor.key(&mut top) {
            match &*key.bytes() {
                b"embeddings" => {
                    seen.complete = cursor.peek() == Some(b'[');
                    cursor.skip();
                }
                b"usage" => {
                    let usage = serde_json::from_slice(cursor.raw()).ok();
                    seen.usage = usage.and_then(|usage| read_usage(&usage));
                }
                b"id" => seen.upstream_id = cursor.text().map(|id| id.decode().into_owned()),
                b"modelId" => seen.model = cursor.text().map(|id| id.decode().into_owned()),
                _ => cursor.skip(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use smallvec::SmallVec;

    use super::*;

    #[test]
    fn usage_is_read_from_the_whole_answer() {
        let seen = |body: &'static str| {
            let mut tee = tee();
            let mut out = SmallVec::new();
            tee.feed(Bytes::from_static(body.as_bytes()), &mut out);
            assert_eq!(out.concat(), body.as_bytes());
            tee.finish()
        };
        let good = seen(
            r#"{"id":"e-1","embeddings":[[0.1]],"modelId":"cohere.embed-v4.0","modelVersion":"1.0",
                "usage":{"promptTokens":8,"completionTokens":0,"totalTokens":8}}"#,
        );
        assert!(good.complete);
        assert_eq!(good.usage.map(|usage| (usage.input, usage.output)), Some((8, 0)));
        assert_eq!(good.upstream_id.as_deref(), Some("e-1"));
        let bad = seen(r#"{"code":"404","message":"Entity with key x not found"}"#);
        assert!(!bad.complete && bad.error.is_some());
    }
}
