//! How the corners of the loss table are spelled in Messages.

use crate::loss::Corner;

/// The field that a client of this dialect finds them under.
pub(super) fn spell(corner: Corner) -> &'static str {
    use Corner as C;
    match corner {
        C::MidSystem | C::DeveloperRole => "messages[].role",
        C::AllowedTools | C::ToolChoice | C::ToolChoiceNone => "tool_choice",
        C::CustomTools => "tools[]",
        C::HostedTools => "tools[].type",
        C::VendorBlocks | C::GuardedText => "messages[].content[].type",
        C::SearchResults => "messages[].content[].search_result",
        C::Citations | C::DocumentFields => "messages[].content[].citations",
        C::ToolFields => "tools[].defer_loading",
        C::StrictTools | C::StrictSubset => "tools[].strict",
        C::StrictFormat | C::OpenSchema => "output_config.format.schema",
        C::ToolError => "messages[].content[].is_error",
        C::ToolResultMedia => "messages[].content[].content",
        C::AssistantMedia
        | C::DocumentText
        | C::ImageDetail
        | C::RemoteImage
        | C::RemoteDocument => "messages[].content[].source",
        C::ToolIds => "messages[].content[].id",
        C::ToolInput => "messages[].content[].input",
        C::ParallelTools => "tool_choice.disable_parallel_tool_use",
        C::JsonObject | C::JsonSchema => "output_config.format",
        C::Temperature | C::TemperatureRange => "temperature",
        C::TopP => "top_p",
        C::TopK => "top_k",
        C::FrequencyPenalty => "frequency_penalty",
        C::PresencePenalty => "presence_penalty",
        C::Seed => "seed",
        C::ManyAnswers => "n",
        C::Logprobs => "logprobs",
        C::Stop | C::StopSome => "stop_sequences",
        C::MaxTokensAbsent => "max_tokens",
        C::Prefill => "messages[-1]",
        C::EffortRange | C::EffortCeiling | C::EffortAsBudget | C::EffortAsSwitch => {
            "output_config.effort"
        }
        C::Budget => "thinking.budget_tokens",
        C::ThinkingBetween => "thinking.type",
        C::NoReasoning => "thinking",
        C::SignedReasoning => "messages[].content[].signature",
        C::ThoughtSignature => "messages[].content[].tool_use",
        C::DocumentTitle | C::DocumentName => "messages[].content[].title",
        C::PlainReasoning => "messages[].content[].thinking",
        C::CacheBreakpoints => "cache_control",
        C::CacheLifetime => "cache_control.ttl",
        C::User => "metadata.user_id",
        C::Tier => "service_tier",
        C::Name => "messages[].name",
        C::Refusal => "messages[].content[]",
        C::Betas => "anthropic-beta",
        C::Unknown => "unknown_fields",
    }
}
