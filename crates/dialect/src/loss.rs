//! What a dialect may not be able to carry (protocols C1): the one table. A writer that meets such a corner calls
//! [`note`]; what is done with it and what a person reads stands here. How a client spells the field is its dialect's
//! ([`crate::Dialect::spell`]).

use domain::{Fate, LossReport};
use serde_json::Value;

use crate::exchange::Exchange;
use crate::registry::dialect;
use Fate::{Approximated, Dropped, Emulated};

macro_rules! corners {
    ($($(#[$doc:meta])* $corner:ident => $fate:ident $note:literal,)*) => {
        /// Something that a target may not be able to carry as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Corner { $($(#[$doc])* $corner,)* }

        impl Corner {
            /// Every corner.
            pub const ALL: &'static [Self] = &[$(Self::$corner),*];

            /// What is done with it, and what a person reads.
            fn row(self) -> (Fate, &'static str) {
                match self { $(Self::$corner => ($fate, $note),)* }
            }
        }
    };
}

corners! {
    /// A system message after the conversation has begun.
    MidSystem => Emulated "a system message within the conversation is sent as marked user text",
    /// A developer message at a host that knows only system messages.
    DeveloperRole => Emulated "the developer message is sent as a system message",
    /// A choice among some of the tools.
    AllowedTools => Emulated "only the allowed tools are sent",
    /// A free-text tool.
    CustomTools => Approximated "sent as a function with one string field; a grammar is not enforced",
    /// A tool that the vendor runs.
    HostedTools => Dropped "a tool run by one vendor does not exist at another",
    /// A block that only the client's vendor knows.
    VendorBlocks => Dropped "a block that only its vendor knows is left out",
    /// Search results given as blocks.
    SearchResults => Approximated "search results are sent as text",
    /// Text marked for a guardrail.
    GuardedText => Approximated "text that is marked for a guardrail is sent unmarked",
    /// Citations within earlier answers.
    Citations => Approximated "citations of earlier answers are left out",
    /// A forced choice of a tool that isn't sent.
    ToolChoice => Dropped "the provider takes no such choice, or the tool can't be sent to it",
    /// No tool is to be called.
    ToolChoiceNone => Emulated "no tools are sent: the provider has no such choice",
    /// Tool fields that only the client's vendor knows.
    ToolFields => Dropped "tool options that only their vendor knows are left out",
    /// Strict tools where the host has none.
    StrictTools => Dropped "the provider does not hold tool input to the schema",
    /// Strict tools whose schema the host does not take strictly.
    StrictSubset
        => Dropped "the provider holds input to a schema only if every object is closed and every property required",
    /// A format whose schema the host does not take strictly.
    StrictFormat
        => Approximated "sent as a guide: the provider enforces only closed schemas whose every property is required",
    /// A failed tool.
    ToolError => Approximated "that the tool failed is said in the text of its result",
    /// Images or documents in a tool's result.
    ToolResultMedia => Approximated "images and documents of a tool result follow in a user message",
    /// Images or documents in a turn of the model.
    AssistantMedia => Dropped "the provider takes no images or documents in assistant messages",
    /// Ids that must be rewritten.
    ToolIds => Emulated "tool call ids are rewritten to the shape that the provider takes",
    /// Arguments that are no JSON object.
    ToolInput => Approximated "arguments that are not a JSON object are wrapped in one",
    /// Parallel calls can't be forbidden.
    ParallelTools => Dropped "the provider can't be told to call one tool at a time",
    /// Some JSON object.
    JsonObject => Approximated "JSON is asked for in the system prompt",
    /// A schema at a host that has none.
    JsonSchema => Approximated "the schema is given in the system prompt",
    /// Objects that the schema leaves open.
    OpenSchema => Approximated "objects of the schema are closed (additionalProperties: false)",
    /// Sampling at a model or API version that refuses it.
    Temperature => Dropped "the provider takes no temperature here",
    /// Above the target's range.
    TemperatureRange => Approximated "the provider's range ends at 1",
    /// Nucleus sampling.
    TopP => Dropped "the provider takes no top_p here",
    /// The k most likely.
    TopK => Dropped "the provider has no top_k",
    /// A penalty.
    FrequencyPenalty => Dropped "the provider has no such penalty",
    /// A penalty.
    PresencePenalty => Dropped "the provider has no such penalty",
    /// A seed.
    Seed => Dropped "the provider takes no seed",
    /// Several answers.
    ManyAnswers => Emulated "one call for each answer; the input is billed each time",
    /// Log probabilities.
    Logprobs => Dropped "the provider gives no log probabilities",
    /// Stop sequences at a protocol without them, or a model that refuses them.
    Stop => Emulated "the provider takes no stop sequences: its answer is cut at the first one",
    /// More stop sequences than the target takes, or blank ones.
    StopSome => Approximated "blank stop sequences, and those beyond the provider's number, are left out",
    /// No output limit.
    MaxTokensAbsent => Emulated "the provider requires a limit: the model's own is sent",
    /// A trailing assistant turn.
    Prefill => Approximated "whether a trailing assistant message is continued depends on the model",
    /// Effort below the target's least.
    EffortRange => Approximated "the provider's least effort is low",
    /// Effort above the target's most.
    EffortCeiling => Approximated "the provider's most is sent",
    /// Effort as budget.
    EffortAsBudget => Approximated "sent as a thinking budget by the effort table",
    /// Effort as a switch.
    EffortAsSwitch => Approximated "thinking can only be switched on or off",
    /// A budget as effort.
    Budget => Approximated "sent as an effort by the effort table",
    /// Thinking between tool calls.
    ThinkingBetween => Approximated "when to think is left to the model",
    /// Reasoning that the model or the rest of the request rules out.
    NoReasoning => Dropped "this model, limit or forced tool choice allows no reasoning",
    /// Signed reasoning in the history.
    SignedReasoning => Dropped "signed reasoning is bound to the vendor that issued it",
    /// A call in the history whose signature was lost on its way.
    ThoughtSignature
        => Approximated "the reasoning behind a tool call is not known here: the provider is told not to look for it",
    /// Plain reasoning in the history.
    PlainReasoning => Dropped "the provider takes no unsigned reasoning back",
    /// Explicit breakpoints at a host that caches by itself.
    CacheBreakpoints => Emulated "the provider caches prefixes by itself",
    /// The long lifetime.
    CacheLifetime => Approximated "the provider's cache lifetimes differ",
    /// Fields of OpenAI that a compatible host refuses.
    User => Dropped "the provider takes no user id",
    /// A tier.
    Tier => Dropped "the provider has no such tier",
    /// A participant's name.
    Name => Dropped "the provider takes no participant names",
    /// A refusal in the history.
    Refusal => Emulated "an earlier refusal is sent as assistant text",
    /// A text document.
    DocumentText => Emulated "a text document is sent as text",
    /// An image at a URL that the provider does not fetch.
    RemoteImage => Emulated "the gateway fetched the image and sends it inline: the provider takes none by URL here",
    /// A document at a URL that the provider does not fetch.
    RemoteDocument => Emulated "the gateway fetched the document and sends it inline: the provider takes none by URL here",
    /// A document's name.
    DocumentName => Emulated "the provider takes names of letters, digits and blanks, each once",
    /// Options of a document.
    DocumentFields => Dropped "context and citations of documents are left out",
    /// A document's name.
    DocumentTitle => Dropped "the provider takes no names of documents",
    /// Detail of an image.
    ImageDetail => Dropped "the provider has no image detail",
    /// Beta headers.
    Betas => Dropped "beta features belong to one vendor",
    /// Unknown fields.
    Unknown => Dropped "fields that are not known here are left out",
}

/// Notes that a corner was met, in the client's spelling.
pub(crate) fn note(loss: &mut LossReport, exchange: &Exchange, corner: Corner) {
    let (fate, sentence) = corner.row();
    loss.note(dialect(exchange.from).spell(corner), fate, sentence);
}

/// Notes what every writer of another dialect than the client's leaves out: the extras and unknown fields.
pub(crate) fn note_extras(loss: &mut LossReport, exchange: &Exchange) {
    note_other_extras(loss, exchange, &[]);
}

/// The same, but for extras that were carried.
pub(crate) fn note_other_extras(loss: &mut LossReport, exchange: &Exchange, carried: &[&str]) {
    for (field, value) in exchange.extras.iter().filter(|(field, _)| !carried.contains(field)) {
        note_extra(loss, field, value);
    }
    if !exchange.betas.is_empty() {
        note(loss, exchange, Corner::Betas);
    }
    note_unknown(loss, exchange);
}

/// Notes the unknown fields, which no writer carries.
pub(crate) fn note_unknown(loss: &mut LossReport, exchange: &Exchange) {
    if !exchange.unknown.is_empty() {
        note(loss, exchange, Corner::Unknown);
    }
}

/// What may be included in a response and is no loss, or is noted where it is written.
fn is_typed(included: &Value) -> bool {
    included == "reasoning.encrypted_content" || included == "message.output_text.logprobs"
}

/// Why a field that only one dialect has is missed; `None` when its value asks for nothing.
fn extra(field: &str, value: &Value) -> Option<&'static str> {
    let asks_nothing = match field {
        "store" => *value == Value::Bool(false),
        "modalities" => value.as_array().is_some_and(|all| all.iter().all(|it| it == "text")),
        "speed" => value == "standard",
        // Typed as well: what is lost of it is noted where breakpoints are written.
        "prompt_cache_options" => true,
        "performanceConfig" => value.get("latency").is_none_or(|it| it == "standard"),
        "labels" | "logit_bias" | "metadata" | "requestMetadata" => {
            value.as_object().is_some_and(serde_json::Map::is_empty)
        }
        "mcp_servers" | "safetySettings" => value.as_array().is_some_and(Vec::is_empty),
        // Typed as well, but for what the vendor's own tools would give.
        "include" => value.as_array().is_some_and(|all| all.iter().all(is_typed)),
        // Reasoning is shown as it comes.
        "reasoning.summary" => value == "auto",
        "truncation" => value == "disabled",
        "citation_options" => value.get("mode").is_some_and(|it| it == "OFF" || it == "DISABLED"),
        "priority" => *value == 0,
        _ => false,
    };
    if asks_nothing {
        return None;
    }
    Some(match field {
        "store" | "diagnostics" | "container" | "cachedContent" => {
            "state kept by one vendor does not exist at another"
        }
        "prompt_cache_key" => "a routing hint of one vendor",
        "audio"
        | "modalities"
        | "generationConfig.responseModalities"
        | "generationConfig.speechConfig"
        | "generationConfig.imageConfig" => "the provider answers in text only",
        "web_search_options" | "mcp_servers" | "tool_choice" | "include" | "max_tool_calls" => {
            "a tool run by one vendor does not exist at another"
        }
        _ => "the provider has nothing like it",
    })
}

/// Notes one field that only its own dialect has.
pub(crate) fn note_extra(loss: &mut LossReport, field: &'static str, value: &Value) {
    if let Some(sentence) = extra(field, value) {
        loss.note(field, Dropped, sentence);
    }
}
