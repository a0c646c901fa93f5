//! How the corners of the loss table are spelled in Cohere's v2 chat.

use crate::loss::Corner;

/// The field that a client of this dialect finds them under.
pub(super) fn spell(corner: Corner) -> &'static str {
    use Corner as C;
    match corner {
        C::MidSystem | C::DeveloperRole => "messages[].role",
        C::AllowedTools | C::ToolChoice | C::ToolChoiceNone => "tool_choice",
        C::CustomTools | C::HostedTools => "tools[].type",
        C::Citations | C::VendorBlocks | C::GuardedText => "messages[].citations",
        C::SearchResults
        | C::DocumentText
        | C::DocumentFields
        | C::DocumentTitle
        | C::DocumentName
        | C::RemoteDocument => "documents",
        C::ToolFields => "tools[].function",
        C::StrictTools | C::StrictSubset => "strict_tools",
        C::StrictFormat | C::OpenSchema | C::JsonSchema => "response_format.json_schema",
        C::ToolError | C::ToolResultMedia | C::AssistantMedia | C::Refusal => "messages[].content",
        C::ToolIds => "messages[].tool_calls[].id",
        C::ToolInput => "messages[].tool_calls[].function.arguments",
        C::ParallelTools => "parallel_tool_calls",
        C::JsonObject => "response_format",
        C::Temperature | C::TemperatureRange => "temperature",
        C::TopP => "p",
        C::TopK => "k",
        C::FrequencyPenalty => "frequency_penalty",
        C::PresencePenalty => "presence_penalty",
        C::Seed => "seed",
        C::ManyAnswers => "n",
        C::Logprobs => "logprobs",
        C::Stop | C::StopSome => "stop_sequences",
        C::MaxTokensAbsent => "max_tokens",
        C::Prefill => "messages[-1]",
        C::Budget | C::EffortAsBudget => "thinking.token_budget",
        C::EffortRange
        | C::EffortCeiling
        | C::EffortAsSwitch
        | C::ThinkingBetween
        | C::NoReasoning => "thinking",
        C::SignedReasoning | C::ThoughtSignature | C::PlainReasoning => {
            "messages[].content[].thinking"
        }
        C::CacheBreakpoints | C::CacheLifetime => "cache_control",
        C::User => "user",
        C::Tier => "priority",
        C::Name => "messages[].name",
        C::RemoteImage => "messages[].content[].image_url",
        C::ImageDetail => "messages[].content[].image_url.detail",
        C::Betas => "anthropic-beta",
        C::Unknown => "unknown_fields",
    }
}
