//! What each dialect can't carry (protocols C1): the one table. A writer that meets such a corner calls
//! [`note`]; what is done with it, how the client spells it and what a person reads stands here.
//!
//! A dialect more is a column more: its spelling and what it does with what comes from others.

use domain::{Fate, LossReport};
use serde_json::Value;

use crate::exchange::Exchange;
use crate::openai_responses;
use crate::registry::DialectId;
use Fate::{Approximated, Dropped, Emulated};

/// One corner: the field in each client dialect's spelling, the fate and the sentence.
struct Row {
    chat: &'static str,
    messages: &'static str,
    fate: Fate,
    note: &'static str,
}

macro_rules! corners {
    ($($(#[$doc:meta])* $corner:ident = $chat:literal | $messages:literal => $fate:ident $note:literal,)*) => {
        /// Something that a target may not be able to carry as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Corner { $($(#[$doc])* $corner,)* }

        impl Corner {
            fn row(self) -> Row {
                match self {
                    $(Self::$corner => Row { chat: $chat, messages: $messages, fate: $fate, note: $note },)*
                }
            }
        }
    };
}

corners! {
    /// A system message after the conversation has begun.
    MidSystem = "messages[].role" | "messages[].role"
        => Emulated "a system message within the conversation is sent as marked user text",
    /// A developer message at a host that knows only system messages.
    DeveloperRole = "messages[].role" | "messages[].role"
        => Emulated "the developer message is sent as a system message",
    /// A choice among some of the tools.
    AllowedTools = "tool_choice.allowed_tools" | "tool_choice"
        => Emulated "only the allowed tools are sent",
    /// A free-text tool.
    CustomTools = "tools[].custom" | "tools[]"
        => Approximated "sent as a function with one string field; a grammar is not enforced",
    /// A tool that the vendor runs.
    HostedTools = "tools[].type" | "tools[].type"
        => Dropped "a tool run by one vendor does not exist at another",
    /// A block that only the client's vendor knows.
    VendorBlocks = "messages[].content[].type" | "messages[].content[].type"
        => Dropped "a block that only its vendor knows is left out",
    /// Search results given as blocks.
    SearchResults = "messages[].content[].search_result" | "messages[].content[].search_result"
        => Approximated "search results are sent as text",
    /// Citations within earlier answers.
    Citations = "messages[].content[].annotations" | "messages[].content[].citations"
        => Approximated "citations of earlier answers are left out",
    /// A forced choice of a tool that isn't sent.
    ToolChoice = "tool_choice" | "tool_choice"
        => Dropped "the provider takes no such choice, or the tool can't be sent to it",
    /// Tool fields that only the client's vendor knows.
    ToolFields = "tools[].function" | "tools[].defer_loading"
        => Dropped "tool options that only their vendor knows are left out",
    /// Strict tools where the host has none.
    StrictTools = "tools[].function.strict" | "tools[].strict"
        => Dropped "the provider does not hold tool input to the schema",
    /// Strict tools whose schema the host does not take strictly.
    StrictSubset = "tools[].function.strict" | "tools[].strict"
        => Dropped "the provider holds input to a schema only if every object is closed and every property required",
    /// A format whose schema the host does not take strictly.
    StrictFormat = "response_format.json_schema.strict" | "output_config.format.schema"
        => Approximated "sent as a guide: the provider enforces only closed schemas whose every property is required",
    /// A failed tool.
    ToolError = "messages[].content" | "messages[].content[].is_error"
        => Approximated "that the tool failed is said in the text of its result",
    /// Images or documents in a tool's result.
    ToolResultMedia = "messages[].content" | "messages[].content[].content"
        => Approximated "images and documents of a tool result follow in a user message",
    /// Images or documents in a turn of the model.
    AssistantMedia = "messages[].content" | "messages[].content[].source"
        => Dropped "the provider takes no images or documents in assistant messages",
    /// Ids that must be rewritten.
    ToolIds = "messages[].tool_calls[].id" | "messages[].content[].id"
        => Emulated "tool call ids are rewritten to the shape that the provider takes",
    /// Arguments that are no JSON object.
    ToolInput = "messages[].tool_calls[].function.arguments" | "messages[].content[].input"
        => Approximated "arguments that are not a JSON object are wrapped in one",
    /// Parallel calls can't be forbidden.
    ParallelTools = "parallel_tool_calls" | "tool_choice.disable_parallel_tool_use"
        => Dropped "the provider can't be told to call one tool at a time",
    /// Some JSON object.
    JsonObject = "response_format" | "output_config.format"
        => Approximated "JSON is asked for in the system prompt",
    /// A schema at a host that has none.
    JsonSchema = "response_format" | "output_config.format"
        => Approximated "the schema is given in the system prompt",
    /// Objects that the schema leaves open.
    OpenSchema = "response_format.json_schema.schema" | "output_config.format.schema"
        => Approximated "objects of the schema are closed (additionalProperties: false)",
    /// Sampling at a model or API version that refuses it.
    Temperature = "temperature" | "temperature" => Dropped "the provider takes no temperature here",
    /// Above the target's range.
    TemperatureRange = "temperature" | "temperature"
        => Approximated "the provider's range ends at 1",
    /// Nucleus sampling.
    TopP = "top_p" | "top_p" => Dropped "the provider takes no top_p here",
    /// The k most likely.
    TopK = "top_k" | "top_k" => Dropped "the provider has no top_k",
    /// A penalty.
    FrequencyPenalty = "frequency_penalty" | "frequency_penalty" => Dropped "the provider has no such penalty",
    /// A penalty.
    PresencePenalty = "presence_penalty" | "presence_penalty" => Dropped "the provider has no such penalty",
    /// A seed.
    Seed = "seed" | "seed" => Dropped "the provider takes no seed",
    /// Several answers.
    ManyAnswers = "n" | "n" => Emulated "one call for each answer; the input is billed each time",
    /// Log probabilities.
    Logprobs = "logprobs" | "logprobs" => Dropped "the provider gives no log probabilities",
    /// Stop sequences at a model that refuses them.
    Stop = "stop" | "stop_sequences" => Dropped "the provider takes no stop sequences",
    /// More stop sequences than the target takes, or blank ones.
    StopSome = "stop" | "stop_sequences"
        => Approximated "blank stop sequences, and those beyond the provider's number, are left out",
    /// No output limit.
    MaxTokensAbsent = "max_completion_tokens" | "max_tokens"
        => Emulated "the provider requires a limit: the model's own is sent",
    /// A trailing assistant turn.
    Prefill = "messages[-1]" | "messages[-1]"
        => Approximated "whether a trailing assistant message is continued depends on the model",
    /// Effort below the target's least.
    EffortRange = "reasoning_effort" | "output_config.effort"
        => Approximated "the provider's least effort is low",
    /// Effort as budget.
    EffortAsBudget = "reasoning_effort" | "output_config.effort"
        => Approximated "sent as a thinking budget by the effort table",
    /// Effort as a switch.
    EffortAsSwitch = "reasoning_effort" | "output_config.effort"
        => Approximated "thinking can only be switched on or off",
    /// A budget as effort.
    Budget = "reasoning_effort" | "thinking.budget_tokens"
        => Approximated "sent as an effort by the effort table",
    /// Thinking between tool calls.
    ThinkingBetween = "reasoning_effort" | "thinking.type"
        => Approximated "when to think is left to the model",
    /// Reasoning that the model or the rest of the request rules out.
    NoReasoning = "reasoning_effort" | "thinking"
        => Dropped "this model, limit or forced tool choice allows no reasoning",
    /// Signed reasoning in the history.
    SignedReasoning = "messages[].reasoning_details" | "messages[].content[].signature"
        => Dropped "signed reasoning is bound to the vendor that issued it",
    /// Plain reasoning in the history.
    PlainReasoning = "messages[].reasoning_content" | "messages[].content[].thinking"
        => Dropped "the provider takes no unsigned reasoning back",
    /// Explicit breakpoints at a host that caches by itself.
    CacheBreakpoints = "messages[].content[].prompt_cache_breakpoint" | "cache_control"
        => Emulated "the provider caches prefixes by itself",
    /// The long lifetime.
    CacheLifetime = "prompt_cache_options.ttl" | "cache_control.ttl"
        => Approximated "the provider's cache lifetimes differ",
    /// Fields of OpenAI that a compatible host refuses.
    User = "safety_identifier" | "metadata.user_id" => Dropped "the provider takes no user id",
    /// A tier.
    Tier = "service_tier" | "service_tier" => Dropped "the provider has no such tier",
    /// A participant's name.
    Name = "messages[].name" | "messages[].name" => Dropped "the provider takes no participant names",
    /// A refusal in the history.
    Refusal = "messages[].refusal" | "messages[].content[]"
        => Emulated "an earlier refusal is sent as assistant text",
    /// A text document.
    DocumentText = "messages[].content[].file" | "messages[].content[].source"
        => Emulated "a text document is sent as text",
    /// Options of a document.
    DocumentFields = "messages[].content[].file" | "messages[].content[].citations"
        => Dropped "context and citations of documents are left out",
    /// Detail of an image.
    ImageDetail = "messages[].content[].image_url.detail" | "messages[].content[].source"
        => Dropped "the provider has no image detail",
    /// Beta headers.
    Betas = "anthropic-beta" | "anthropic-beta" => Dropped "beta features belong to one vendor",
    /// Unknown fields.
    Unknown = "unknown_fields" | "unknown_fields" => Dropped "fields that are not known here are left out",
}

/// Notes that a corner was met, in the client's spelling.
pub(crate) fn note(loss: &mut LossReport, exchange: &Exchange, corner: Corner) {
    let row = corner.row();
    let field = match exchange.from {
        DialectId::OpenaiChat => row.chat,
        DialectId::AnthropicMessages => row.messages,
        DialectId::OpenaiResponses => openai_responses::spell(corner),
    };
    loss.note(field, row.fate, row.note);
}

/// Notes what every writer of another dialect than the client's leaves out: the extras and unknown fields.
pub(crate) fn note_extras(loss: &mut LossReport, exchange: &Exchange) {
    for (field, value) in &exchange.extras {
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
        "logit_bias" | "metadata" => value.as_object().is_some_and(serde_json::Map::is_empty),
        "mcp_servers" => value.as_array().is_some_and(Vec::is_empty),
        // Typed as well, but for what the vendor's own tools would give.
        "include" => value.as_array().is_some_and(|all| all.iter().all(is_typed)),
        // Reasoning is shown as it comes.
        "reasoning.summary" => value == "auto",
        "truncation" => value == "disabled",
        _ => false,
    };
    if asks_nothing {
        return None;
    }
    Some(match field {
        "store" | "diagnostics" | "container" => {
            "state kept by one vendor does not exist at another"
        }
        "prompt_cache_key" => "a routing hint of one vendor",
        "audio" | "modalities" => "the provider answers in text only",
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
