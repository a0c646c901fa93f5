//! What a request uses: for filters and the ledger.

use domain::{Feature, Features};
use serde_json::Value;

use crate::exchange::{
    Exchange, Media, Message, OutputFormat, Part, PartKind, Speaker, Tool, ToolChoice,
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
            (Feature::MediaOutput, self.asks_for_media()),
            (Feature::HostedTools, self.has_hosted_servers()),
            (Feature::ServerState, self.has_server_state()),
            (Feature::Beta, !self.betas.is_empty()),
            (Feature::Prefill, self.prefill().is_some()),
            (Feature::CacheHints, self.auto_cache.is_some()),
            (Feature::ToolChoice, self.has_tool_choice()),
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

    fn has_tool_choice(&self) -> bool {
        let typed = !matches!(self.tool_choice, None | Some(ToolChoice::Auto));
        typed || self.extras.contains_key("tool_choice")
    }

    fn asks_for_media(&self) -> bool {
        let modalities = self.extras.get("generationConfig.responseModalities");
        let modalities = modalities.and_then(Value::as_array);
        self.extras.contains_key("audio")
            || modalities.is_some_and(|all| all.iter().any(|it| it != "TEXT"))
    }

    fn has_hosted_servers(&self) -> bool {
        ["web_search_options", "mcp_servers"]
            .iter()
            .any(|name| self.extras.get(name).is_some_and(|value| value != &Value::Array(vec![])))
    }

    fn has_server_state(&self) -> bool {
        self.extras.contains_key("container")
            || self.extras.contains_key("diagnostics")
            || self.extras.contains_key("cachedContent")
            || self.extras.get("store") == Some(&Value::Bool(true))
    }

    /// The trailing assistant turn that the model is to go on from, if there is one.
    pub fn prefill(&self) -> Option<&Message> {
        self.messages.last().filter(|last| last.speaker == Speaker::Assistant)
    }

    /// Whether a text of system prompt or conversation holds that word, in small or capital letters.
    pub(crate) fn says(&self, word: &str) -> bool {
        self.parts().any(|part| match &part.kind {
            PartKind::Text(text) => text.to_ascii_lowercase().contains(word),
            _ => false,
        })
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
