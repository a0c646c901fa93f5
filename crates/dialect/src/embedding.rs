//! The canonical embedding exchange: what the embedding endpoints of every dialect are read into and written from.
//!
//! Only requests that a provider of another dialect serves come through here; a provider of the client's own gets the
//! client's bytes ([`crate::Dialect::forward`]).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{DialectId, Fate, LossReport, Usage};
use serde_json::Value;

use crate::exchange::Media;
use crate::registry::dialect;
use crate::wire::{BadAnswer, FieldError, Incoming, Target, UpstreamRequest};
use Fate::{Approximated, Dropped};

/// A dialect that has an endpoint for embeddings.
pub trait EmbeddingDialect: Sync + Send {
    /// A client's request. Never panics on any bytes.
    fn read_request(&self, request: &Incoming<'_>) -> Result<EmbeddingRequest, FieldError>;

    /// The request for a provider of this dialect; notes in `loss` what isn't carried natively. Fails where the provider
    /// would embed something else than was asked for.
    fn write_request(
        &self,
        request: &EmbeddingRequest,
        target: &Target<'_>,
        loss: &mut LossReport,
    ) -> Result<UpstreamRequest, FieldError>;

    /// A provider's success body.
    fn read_answer(&self, body: &[u8]) -> Result<EmbeddingAnswer, BadAnswer>;

    /// The answer as this dialect's clients expect it.
    fn write_answer(&self, answer: &EmbeddingAnswer, context: &EmbeddingContext<'_>) -> Vec<u8>;

    /// The field that a client of this dialect finds a corner under.
    fn spell(&self, corner: EmbeddingCorner) -> &'static str;
}

/// A request for embeddings in no vendor's words.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingRequest {
    /// The client's dialect.
    pub from: DialectId,
    /// The model as the client wrote it.
    pub model: String,
    /// What is embedded; one vector each.
    pub inputs: Vec<EmbeddingInput>,
    /// Where the inputs stand in the client's request, for errors: `input`, `texts`.
    pub list: &'static str,
    /// Wanted length of each vector.
    pub dimensions: Option<u64>,
    /// What the vectors are for.
    pub purpose: Option<Purpose>,
    /// The forms in which the client wants each vector.
    pub formats: Vec<VectorFormat>,
    /// One vector is wanted, in the form of a single one (Gemini's `embedContent`).
    pub single: bool,
    /// A stable, opaque id of the end user.
    pub user: bool,
    /// Fields of the client's dialect that no other dialect has.
    pub extras: BTreeMap<&'static str, Value>,
    /// Top-level fields that we don't know, by name. They are not carried.
    pub unknown: Vec<String>,
}

/// One thing to embed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingInput {
    /// The document's title (Gemini).
    pub title: Option<String>,
    /// What it consists of; all of it becomes one vector.
    pub parts: Vec<EmbeddingPart>,
}

/// A piece of an input.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingPart {
    /// Text.
    Text(String),
    /// Token ids of one vendor's tokenizer: no other provider can read them.
    Tokens,
    /// An image.
    Image(Media),
    /// Something that only the client's dialect knows.
    Vendor,
}

/// What vectors are for. Where a provider knows fewer, the nearest is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Documents to be found.
    Document,
    /// A question that finds documents.
    Query,
    /// A question that finds an answer.
    QuestionAnswering,
    /// A claim that finds its evidence.
    FactVerification,
    /// A description that finds code.
    CodeQuery,
    /// Texts compared with each other.
    Similarity,
    /// Input of a classifier.
    Classification,
    /// Groups of like texts.
    Clustering,
    /// An image (Cohere's older models).
    Image,
    /// A purpose of the client's vendor that we don't know.
    Other(String),
}

/// How a vector is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorFormat {
    /// Numbers.
    Float,
    /// Base64 of little-endian 32-bit floats.
    Base64,
    /// Whole numbers or bits, by a rule that only the client's vendor knows.
    Vendor,
}

/// What a provider answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingAnswer {
    /// The provider's id of the answer.
    pub id: Option<String>,
    /// The model the provider named.
    pub model: Option<String>,
    /// In the order of the inputs.
    pub vectors: Vec<Vec<f64>>,
    /// What the provider says was used.
    pub usage: Option<Usage>,
}

/// What an answer is written with.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingContext<'a> {
    /// Our request id.
    pub request_id: &'a str,
    /// The model to name where the provider named none.
    pub model: &'a str,
    /// What the client asked.
    pub request: &'a EmbeddingRequest,
}

/// Something that a target may not be able to carry as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingCorner {
    /// A purpose at a host that knows none.
    Purpose,
    /// A purpose that the host does not know.
    PurposeNearest,
    /// No purpose at a host that insists on one.
    PurposeAbsent,
    /// A document's title.
    Title,
    /// Several texts that make one vector.
    SeveralParts,
    /// Forms of vectors beyond those that can be made.
    Formats,
    /// A user id.
    User,
    /// Unknown fields.
    Unknown,
}

impl EmbeddingCorner {
    /// Every corner.
    pub const ALL: &'static [Self] = &[
        Self::Purpose,
        Self::PurposeNearest,
        Self::PurposeAbsent,
        Self::Title,
        Self::SeveralParts,
        Self::Formats,
        Self::User,
        Self::Unknown,
    ];

    /// What is done with it, and what a person reads.
    fn row(self) -> (Fate, &'static str) {
        match self {
            Self::Purpose => (Dropped, "the provider makes the same vector for every purpose"),
            Self::PurposeNearest => (Approximated, "the provider's nearest purpose is sent"),
            Self::PurposeAbsent => (
                Approximated,
                "the provider insists on a purpose: documents to be found are assumed",
            ),
            Self::Title => (Approximated, "the title is sent as the first line of the text"),
            Self::SeveralParts => {
                (Approximated, "several texts of one input are joined by line ends")
            }
            Self::Formats => (Dropped, "the provider makes vectors of floats only"),
            Self::User => (Dropped, "the provider takes no user id"),
            Self::Unknown => (Dropped, "fields that are not known here are left out"),
        }
    }
}

impl EmbeddingRequest {
    /// An empty request of that dialect.
    pub(crate) fn new(from: DialectId, model: String, list: &'static str) -> Self {
        Self {
            from,
            model,
            inputs: Vec::new(),
            list,
            dimensions: None,
            purpose: None,
            formats: Vec::new(),
            single: false,
            user: false,
            extras: BTreeMap::new(),
            unknown: Vec::new(),
        }
    }

    /// Notes that a corner was met, in the client's spelling.
    pub(crate) fn note(&self, loss: &mut LossReport, corner: EmbeddingCorner) {
        let (fate, sentence) = corner.row();
        if let Some(own) = dialect(self.from).embeddings() {
            loss.note(own.spell(corner), fate, sentence);
        }
    }

    /// Notes what no writer of another dialect carries. Fails where nothing would be left of what was asked for.
    pub(crate) fn note_rest(&self, loss: &mut LossReport) -> Result<(), FieldError> {
        if self.formats.contains(&VectorFormat::Vendor) {
            if self.formats.iter().all(|it| *it == VectorFormat::Vendor) {
                let field = dialect(self.from)
                    .embeddings()
                    .map_or("", |own| own.spell(EmbeddingCorner::Formats));
                let why = "only this vendor makes such vectors: ask for floats, or for a model of its own";
                return Err(FieldError::new(field, why));
            }
            self.note(loss, EmbeddingCorner::Formats);
        }
        for field in self.extras.keys() {
            loss.note(field, Dropped, "the provider has nothing like it");
        }
        if self.user {
            self.note(loss, EmbeddingCorner::User);
        }
        if !self.unknown.is_empty() {
            self.note(loss, EmbeddingCorner::Unknown);
        }
        Ok(())
    }

    /// A mistake in one of the inputs.
    pub(crate) fn wrong_input(&self, at: usize, message: impl Into<String>) -> FieldError {
        let place = if self.single { self.list.to_owned() } else { format!("{}[{at}]", self.list) };
        FieldError::new(place, message)
    }

    /// Fails where there are more inputs than a provider takes in one call.
    pub(crate) fn at_most(&self, most: usize) -> Result<(), FieldError> {
        if self.inputs.len() <= most {
            return Ok(());
        }
        let count = self.inputs.len();
        let why = format!("{count} inputs, and the provider takes at most {most} in one call");
        Err(FieldError::new(self.list, why))
    }

    /// Every input as text, for a provider that embeds nothing else.
    pub(crate) fn texts(&self, loss: &mut LossReport) -> Result<Vec<String>, FieldError> {
        self.inputs.iter().enumerate().map(|(at, input)| self.text(at, input, loss)).collect()
    }

    /// One input as text.
    pub(crate) fn text(
        &self,
        at: usize,
        input: &EmbeddingInput,
        loss: &mut LossReport,
    ) -> Result<String, FieldError> {
        let mut texts = Vec::with_capacity(input.parts.len());
        for part in &input.parts {
            match part {
                EmbeddingPart::Text(text) => texts.push(text.as_str()),
                EmbeddingPart::Tokens => return Err(self.wrong_input(at, TOKENS)),
                EmbeddingPart::Image(_) => return Err(self.wrong_input(at, IMAGE)),
                EmbeddingPart::Vendor => return Err(self.wrong_input(at, VENDOR)),
            }
        }
        if texts.len() > 1 {
            self.note(loss, EmbeddingCorner::SeveralParts);
        }
        if let Some(title) = &input.title {
            self.note(loss, EmbeddingCorner::Title);
            texts.insert(0, title);
        }
        Ok(texts.join("\n"))
    }
}

/// Why token ids can't go to another vendor.
pub(crate) const TOKENS: &str =
    "token ids are of one vendor's tokenizer, and this provider is another's: send text";
/// Why an image can't go to a provider.
pub(crate) const IMAGE: &str = "the provider embeds text only";
/// Why something else can't.
pub(crate) const VENDOR: &str = "only the vendor of this API can embed this";

impl EmbeddingAnswer {
    /// Fails where there is not one vector for each input.
    pub fn check(&self, request: &EmbeddingRequest) -> Result<(), BadAnswer> {
        let (got, asked) = (self.vectors.len(), request.inputs.len());
        if got == asked {
            return Ok(());
        }
        Err(BadAnswer::Malformed(format!("{got} vectors for {asked} inputs")))
    }
}

/// A vector in base64, as both vendors that have it write it.
pub(crate) fn to_base64(vector: &[f64]) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the format has 32 bits, and no vendor computes more"
    )]
    let bytes: Vec<u8> = vector.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// Such a vector as numbers; `None` for what is none.
pub(crate) fn of_base64(text: &str) -> Option<Vec<f64>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (floats, rest) = bytes.as_chunks::<4>();
    let numbers = floats.iter().map(|it| f64::from(f32::from_le_bytes(*it)));
    let numbers: Vec<f64> = numbers.filter(|number| number.is_finite()).collect();
    (rest.is_empty() && numbers.len() == floats.len()).then_some(numbers)
}

/// The image in a `data:` URL, or the URL.
pub(crate) fn image_of_url(url: &str) -> Media {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => {
            Media::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
        }
        None => Media::Url(url.to_owned()),
    }
}

/// A provider's body as a tree.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, BadAnswer> {
    serde_json::from_slice(body).map_err(|error| BadAnswer::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_holds_what_32_bits_hold() {
        assert_eq!(to_base64(&[1.0, -0.5]), "AACAPwAAAL8=");
        assert_eq!(of_base64("AACAPwAAAL8="), Some(vec![1.0, -0.5]));
        assert_eq!(of_base64("AACAPwA="), None);
        assert_eq!(of_base64("!"), None);
    }

    #[test]
    fn an_image_is_inline_or_elsewhere() {
        let inline = Media::Base64 { media_type: "image/png".into(), data: "AAEC".into() };
        assert_eq!(image_of_url("data:image/png;base64,AAEC"), inline);
        assert_eq!(image_of_url("https://x/y.png"), Media::Url("https://x/y.png".into()));
    }
}
