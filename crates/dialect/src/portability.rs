//! How well a feature of a client's dialect is carried to a provider. There is no table beside the code for that: a
//! request that uses the feature and nothing else is written for the provider, and what the writer notes is the answer.

use std::collections::BTreeMap;

use domain::{DialectId, Fate, Feature, LossReport};
use serde_json::{Value, json};

use crate::exchange::{
    CacheHint, Document, Exchange, Image, Media, Message, OutputFormat, Part, PartKind, Speaker,
    Thinking, Tier, Tool, ToolChoice, ToolResult, ToolUse,
};
use crate::quirks::Quirks;
use crate::reasoning::Effort;
use crate::registry::dialect;
use crate::wire::Target;

/// How well something is carried, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carried {
    /// As it is.
    Natively,
    /// By other means, without loss of meaning.
    Emulated,
    /// With some loss of meaning.
    Lossily,
    /// Left out, or refused.
    NotAtAll,
}

impl Carried {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Natively => "native",
            Self::Emulated => "emulated",
            Self::Lossily => "lossy",
            Self::NotAtAll => "impossible",
        }
    }

    /// Whether nothing of the meaning is lost.
    pub fn is_whole(self) -> bool {
        self <= Self::Emulated
    }
}

impl From<Fate> for Carried {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Emulated => Self::Emulated,
            Fate::Approximated => Self::Lossily,
            Fate::Dropped => Self::NotAtAll,
        }
    }
}

/// How a feature of `from`'s clients is carried to a provider that is asked in `to`, and what is said about it.
pub fn carried(
    feature: Feature,
    from: DialectId,
    to: DialectId,
    quirks: &Quirks,
) -> (Carried, String) {
    if from == to {
        return (Carried::Natively, String::new());
    }
    let (without, with) = probes(feature, from);
    let (Ok(before), Ok(after)) = (noted(&without, to, quirks), noted(&with, to, quirks)) else {
        return (Carried::NotAtAll, "the provider can't be sent such a request".to_owned());
    };
    let added = after.losses().iter().filter(|loss| !before.losses().contains(loss));
    let worst = added.max_by_key(|loss| loss.fate);
    worst
        .map_or((Carried::Natively, String::new()), |loss| (loss.fate.into(), loss.note.to_owned()))
}

/// Whether it is bound to the vendor that issued or runs it, also where others speak its dialect.
pub fn is_bound_to_vendor(feature: Feature) -> bool {
    matches!(
        feature,
        Feature::SignedReasoning | Feature::ServerState | Feature::FileIds | Feature::HostedTools
    )
}

fn noted(exchange: &Exchange, to: DialectId, quirks: &Quirks) -> Result<LossReport, ()> {
    let target = Target {
        model: "model",
        max_output: Some(1_000),
        quirks,
        anthropic_version: "2023-06-01",
        ask_usage: false,
        compartment: None,
    };
    let mut loss = LossReport::default();
    dialect(to).write_request(exchange, &target, &mut loss).map_err(drop)?;
    Ok(loss)
}

/// A request without the feature, and the same with it.
fn probes(feature: Feature, from: DialectId) -> (Exchange, Exchange) {
    let mut without = Exchange::new(from, "model".to_owned());
    without.max_output = Some(8_000);
    without.messages = vec![said(Speaker::User, vec![Part::text("x")])];
    prepare(feature, &mut without);
    let mut with = without.clone();
    apply(feature, &mut with);
    (without, with)
}

fn said(speaker: Speaker, parts: Vec<Part>) -> Message {
    Message { at: 0, speaker, name: None, parts }
}

fn function() -> Tool {
    Tool::Function {
        name: "f".to_owned(),
        description: None,
        schema: Some(json!({"type": "object", "properties": {}})),
        strict: None,
        cache: None,
        extras: BTreeMap::default(),
    }
}

fn document(source: Media) -> Document {
    Document { source, title: None, extras: BTreeMap::default() }
}

/// What has to be there before the feature can be used.
fn prepare(feature: Feature, it: &mut Exchange) {
    match feature {
        Feature::ToolChoice | Feature::ToolResults => it.tools = vec![function()],
        Feature::Citations => {
            let text = document(Media::Text("x".to_owned()));
            add(it, PartKind::Document(text));
        }
        Feature::SignedReasoning => {
            it.reasoning.effort = Some(Effort::High);
            it.messages.push(said(Speaker::Assistant, vec![Part::text("y")]));
            it.messages.push(said(Speaker::User, vec![Part::text("z")]));
        }
        _ => {}
    }
}

fn add(it: &mut Exchange, kind: PartKind) {
    if let Some(message) = it.messages.first_mut() {
        message.parts.push(Part::new(kind));
    }
}

fn inline(media_type: &str, data: &str) -> Media {
    Media::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
}

fn image(source: Media) -> PartKind {
    PartKind::Image(Image { source, detail: None })
}

fn apply(feature: Feature, it: &mut Exchange) {
    match feature {
        Feature::Stream => it.stream = true,
        Feature::System => it.system = vec![Part::text("x")],
        Feature::Images => add(it, image(inline("image/png", "iVBORw0KGgo="))),
        Feature::RemoteMedia => add(it, image(Media::Url("https://example.org/a.png".to_owned()))),
        Feature::FileIds => add(it, image(Media::FileId("file-1".to_owned()))),
        Feature::Documents => {
            add(it, PartKind::Document(document(inline("application/pdf", "JVBERi0="))));
        }
        Feature::AudioInput => {
            add(it, PartKind::Audio { data: "UklGRg==".to_owned(), format: "wav".to_owned() });
        }
        Feature::Citations => cite(it),
        Feature::CacheHints => {
            let parts = it.messages.iter_mut().flat_map(|message| &mut message.parts);
            parts.for_each(|part| part.cache = Some(CacheHint::Default));
        }
        Feature::Prefill => it.messages.push(said(Speaker::Assistant, vec![Part::text("y")])),
        Feature::Tools
        | Feature::CustomTools
        | Feature::HostedTools
        | Feature::ToolChoice
        | Feature::ToolResults => apply_tools(feature, it),
        Feature::SignedReasoning => {
            let thinking =
                Thinking { text: "t".to_owned(), signature: Some("c2lnbmVk".to_owned()) };
            if let Some(turn) = it.messages.get_mut(1) {
                turn.parts.insert(0, Part::new(PartKind::Thinking(thinking)));
            }
        }
        _ => apply_field(feature, it),
    }
}

fn cite(it: &mut Exchange) {
    for part in it.messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let PartKind::Document(document) = &mut part.kind {
            document.extras.insert("citations", json!({"enabled": true}));
        }
    }
}

fn apply_tools(feature: Feature, it: &mut Exchange) {
    match feature {
        Feature::CustomTools => {
            it.tools = vec![Tool::Custom { name: "f".to_owned(), description: None, format: None }];
        }
        Feature::HostedTools => it.tools = vec![Tool::Hosted(json!({"type": "web_search"}))],
        Feature::ToolChoice => it.tool_choice = Some(ToolChoice::Named("f".to_owned())),
        Feature::ToolResults => {
            let id = "call_1".to_owned();
            let (name, input) = ("f".to_owned(), "{}".to_owned());
            let call = ToolUse { id: id.clone(), name, input, custom: false };
            let call = Part::new(PartKind::ToolUse(call));
            let result = ToolResult { id, parts: vec![Part::text("1")], is_error: false };
            it.messages.push(said(Speaker::Assistant, vec![call]));
            it.messages.push(said(Speaker::User, vec![Part::new(PartKind::ToolResult(result))]));
        }
        _ => it.tools = vec![function()],
    }
}

fn apply_field(feature: Feature, it: &mut Exchange) {
    let mut extra = |name: &'static str, value: Value| drop(it.extras.insert(name, value));
    match feature {
        Feature::MediaOutput => extra("modalities", json!(["text", "audio"])),
        Feature::LogitBias => extra("logit_bias", json!({"1": 1})),
        Feature::Prediction => extra("prediction", json!({"type": "content", "content": "x"})),
        Feature::ServerState => extra("store", json!(true)),
        Feature::JsonObject => it.format = Some(OutputFormat::JsonObject),
        Feature::JsonSchema => {
            let schema = json!({"type": "object", "properties": {}, "required": [],
                "additionalProperties": false});
            let name = Some("s".to_owned());
            let strict = Some(true);
            it.format = Some(OutputFormat::JsonSchema { name, description: None, schema, strict });
        }
        Feature::Reasoning => it.reasoning.effort = Some(Effort::High),
        Feature::Sampling => it.sampling.temperature = Some(0.5),
        Feature::TopK => it.sampling.top_k = Some(5),
        Feature::Seed => it.sampling.seed = Some(1),
        Feature::ManyAnswers => it.answers = 2,
        Feature::Logprobs => it.logprobs = Some(Some(1)),
        Feature::StopSequences => it.stop = vec!["END".to_owned()],
        Feature::Beta => it.betas = vec!["beta".to_owned()],
        Feature::ServiceTier => it.tier = Some(Tier::Vendor("priority".to_owned())),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Carried::{Emulated, Lossily, Natively, NotAtAll};
    use DialectId::{
        AnthropicMessages as Messages, BedrockConverse as Converse, Gemini, OpenaiChat as Chat,
        OpenaiResponses as Responses,
    };

    /// Cells of the table of features by target protocol (protocols C1).
    #[test]
    fn the_writers_say_what_the_protocols_do() {
        let quirks = Quirks::default();
        let cells = [
            (Feature::Stream, Chat, Messages, Natively),
            (Feature::Tools, Chat, Converse, Natively),
            (Feature::System, Messages, Gemini, Natively),
            (Feature::CustomTools, Responses, Messages, Lossily),
            (Feature::HostedTools, Messages, Chat, NotAtAll),
            (Feature::ManyAnswers, Chat, Messages, Emulated),
            (Feature::ManyAnswers, Chat, Gemini, Natively),
            (Feature::StopSequences, Chat, Responses, Emulated),
            (Feature::StopSequences, Chat, Messages, Natively),
            (Feature::LogitBias, Chat, Messages, NotAtAll),
            (Feature::Prediction, Chat, Responses, NotAtAll),
            (Feature::TopK, Messages, Chat, NotAtAll),
            (Feature::TopK, Messages, Gemini, Natively),
            (Feature::Seed, Chat, Messages, NotAtAll),
            (Feature::Seed, Chat, Gemini, Natively),
            (Feature::SignedReasoning, Messages, Chat, NotAtAll),
            (Feature::AudioInput, Chat, Messages, NotAtAll),
            (Feature::ServerState, Responses, Messages, NotAtAll),
            (Feature::Beta, Messages, Chat, NotAtAll),
            (Feature::TopK, Messages, Messages, Natively),
        ];
        for (feature, from, to, expected) in cells {
            let (is, note) = carried(feature, from, to, &quirks);
            assert_eq!(is, expected, "{feature:?} {from:?} {to:?}: {note}");
            assert_eq!(note.is_empty(), is == Natively);
        }
    }

    #[test]
    fn a_host_without_it_is_known_by_its_quirks() {
        let quirks = Quirks::from_words(["no_json_schema"]).expect("known");
        let is = |quirks: &Quirks| carried(Feature::JsonSchema, Messages, Chat, quirks).0;
        assert_eq!(is(&Quirks::default()), Natively);
        assert_eq!(is(&quirks), Lossily);
    }

    /// A feature whose probe changes nothing would be found native everywhere.
    #[test]
    fn every_feature_has_a_probe() {
        for feature in Feature::ALL {
            let (without, with) = probes(*feature, Chat);
            assert_ne!(without, with, "{feature:?}");
        }
    }
}
