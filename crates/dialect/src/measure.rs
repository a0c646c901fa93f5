//! What a request uses and how large it is: for filters, reservations and the ledger.

use domain::{Feature, Features};
use serde_json::Value;

use crate::exchange::{
    Document, Exchange, Media, Message, OutputFormat, Part, PartKind, Speaker, Tool, ToolChoice,
};

impl Exchange {
    /// What the request uses.
    pub fn features(&self) -> Features {
        let mut set = Features::NONE;
        let flags = [
            (Feature::Stream, self.stream),
            (Feature::System, !self.system.is_empty()),
            (Feature::ManyAnswers, self.answers > 1),
            (Feature::Logprobs, self.logprobs.is_some()),
            (Feature::StopSequences, !self.stop.is_empty()),
            (Feature::Seed, self.sampling.seed.is_some()),
            (Feature::TopK, self.sampling.top_k.is_some()),
            (Feature::Sampling, self.sampling.is_set()),
            (Feature::Reasoning, self.reasoning.is_on()),
            (Feature::ServiceTier, self.tier.is_some()),
            (Feature::LogitBias, self.extras.contains_key("logit_bias")),
            (Feature::Prediction, self.extras.contains_key("prediction")),
            (Feature::MediaOutput, self.extras.contains_key("audio")),
            (Feature::ServerState, self.has_server_state()),
            (Feature::Beta, !self.betas.is_empty()),
            (Feature::Prefill, self.prefill().is_some()),
            (Feature::CacheHints, self.auto_cache.is_some()),
            (Feature::ToolChoice, !matches!(self.tool_choice, None | Some(ToolChoice::Auto))),
        ];
        for (feature, on) in flags {
            if on {
                set.insert(feature);
            }
        }
        match self.format {
            Some(OutputFormat::JsonObject) => set.insert(Feature::JsonObject),
            Some(OutputFormat::JsonSchema { .. }) => set.insert(Feature::JsonSchema),
            None => {}
        }
        self.tools.iter().for_each(|tool| tool_features(tool, &mut set));
        self.parts().for_each(|part| part_features(part, &mut set));
        set
    }

    fn has_server_state(&self) -> bool {
        self.extras.contains_key("container")
            || self.extras.contains_key("diagnostics")
            || self.extras.get("store") == Some(&Value::Bool(true))
    }

    /// The trailing assistant turn that the model is to go on from, if there is one.
    pub fn prefill(&self) -> Option<&Message> {
        self.messages.last().filter(|last| last.speaker == Speaker::Assistant)
    }

    /// Every part of system prompt and conversation, tool results opened.
    fn parts(&self) -> impl Iterator<Item = &Part> {
        let said = self.messages.iter().flat_map(|message| &message.parts);
        self.system.iter().chain(said).flat_map(|part| {
            let inner = match &part.kind {
                PartKind::ToolResult(result) => result.parts.as_slice(),
                _ => &[],
            };
            std::iter::once(part).chain(inner)
        })
    }

    /// UTF-8 bytes of everything that becomes text input, with an allowance per message and tool: no byte-level
    /// tokenizer makes more tokens.
    pub fn text_bytes(&self) -> u64 {
        let tools: usize = self.tools.iter().map(|tool| ALLOWANCE + tool_bytes(tool)).sum();
        let parts: usize = self.parts().map(part_bytes).sum();
        let format = match &self.format {
            Some(OutputFormat::JsonSchema { schema, .. }) => ALLOWANCE + value_bytes(schema),
            Some(OutputFormat::JsonObject) => ALLOWANCE,
            None => 0,
        };
        let names: usize =
            self.messages.iter().filter_map(|message| message.name.as_ref()).map(String::len).sum();
        (ALLOWANCE * (self.messages.len() + 1) + names + tools + parts + format) as u64
    }
}

/// Bytes allowed per message, tool or part for the markers around it.
const ALLOWANCE: usize = 16;

fn value_bytes(value: &Value) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

fn tool_bytes(tool: &Tool) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    match tool {
        Tool::Function { name, description, schema, .. } => {
            name.len() + text(description) + schema.as_ref().map_or(0, value_bytes)
        }
        Tool::Custom { name, description, format } => {
            name.len() + text(description) + format.as_ref().map_or(0, value_bytes)
        }
        Tool::Hosted(raw) => value_bytes(raw),
    }
}

/// Text bytes of a part itself; the parts within a tool result are walked apart.
fn part_bytes(part: &Part) -> usize {
    ALLOWANCE
        + match &part.kind {
            PartKind::Text(text)
            | PartKind::Refusal(text)
            | PartKind::Redacted(text)
            | PartKind::Document(Document { source: Media::Text(text), .. }) => text.len(),
            PartKind::ToolUse(call) => call.name.len() + call.input.len(),
            PartKind::Thinking(thinking) => thinking.text.len(),
            PartKind::Vendor(raw) => value_bytes(raw),
            PartKind::ToolResult(result) => result.id.len(),
            PartKind::Image(_) | PartKind::Document(_) | PartKind::Audio { .. } => 0,
        }
}

fn tool_features(tool: &Tool, set: &mut Features) {
    set.insert(match tool {
        Tool::Function { .. } => Feature::Tools,
        Tool::Custom { .. } => Feature::CustomTools,
        Tool::Hosted(_) => Feature::HostedTools,
    });
    if let Tool::Function { cache: Some(_), .. } = tool {
        set.insert(Feature::CacheHints);
    }
}

fn media_features(media: &Media, set: &mut Features) {
    match media {
        Media::Url(_) => set.insert(Feature::RemoteMedia),
        Media::FileId(_) => set.insert(Feature::FileIds),
        Media::Base64 { .. } | Media::Text(_) => {}
    }
}

fn part_features(part: &Part, set: &mut Features) {
    if part.cache.is_some() {
        set.insert(Feature::CacheHints);
    }
    match &part.kind {
        PartKind::Image(image) => {
            set.insert(Feature::Images);
            media_features(&image.source, set);
        }
        PartKind::Document(document) => {
            set.insert(Feature::Documents);
            media_features(&document.source, set);
            if document.extras.contains_key("citations") {
                set.insert(Feature::Citations);
            }
        }
        PartKind::Audio { .. } => set.insert(Feature::AudioInput),
        PartKind::ToolResult(_) => set.insert(Feature::ToolResults),
        PartKind::Redacted(_) => set.insert(Feature::SignedReasoning),
        PartKind::Thinking(thinking) if thinking.signature.is_some() => {
            set.insert(Feature::SignedReasoning);
        }
        PartKind::Text(_)
        | PartKind::ToolUse(_)
        | PartKind::Thinking(_)
        | PartKind::Refusal(_)
        | PartKind::Vendor(_) => {}
    }
}
