//! How the corners of the loss table are spelled in Chat Completions.

use crate::loss::Corner;

/// The field that a client of this dialect finds them under.
pub(super) fn spell(corner: Corner) -> &'static str {
    use Corner as C;
    match corner {
        C::MidSystem | C::DeveloperRole => "messages[].role",
        C::AllowedTools => "tool_choice.allowed_tools",
        C::CustomTools => "tools[].custom",
        C::HostedTools => "tools[].type",
        C::VendorBlocks | C::GuardedText => "messages[].content[].type",
        C::SearchResults => "messages[].content[].search_result",
        C::Citations => "messages[].content[].annotations",
        C::ToolChoice | C::ToolChoiceNone => "tool_choice",
        C::ToolFields => "tools[].function",
        C::StrictTools | C::StrictSubset => "tools[].function.strict",
        C::StrictFormat => "response_format.json_schema.strict",
        C::ToolError | C::ToolResultMedia | C::AssistantMedia => "messages[].content",
        C::ToolIds => "messages[].tool_calls[].id",
        C::ToolInput => "messages[].tool_calls[].function.arguments",
        C::ParallelTools => "parallel_tool_calls",
        C::JsonObject | C::JsonSchema => "response_format",
        C::OpenSchema => "response_format.json_schema.schema",
        C::Temperature | C::TemperatureRange => "temperature",
        C::TopP => "top_p",
        C::TopK => "top_k",
        C::FrequencyPenalty => "frequency_penalty",
        C::PresencePenalty => "presence_penalty",
        C::Seed => "seed",
        C::ManyAnswers => "n",
        C::Logprobs => "logprobs",
        C::Stop | C::StopSome => "stop",
        C::MaxTokensAbsent => "max_completion_tokens",
        C::Prefill => "messages[-1]",
        C::EffortRange
        | C::EffortCeiling
        | C::EffortAsBudget
        | C::EffortAsSwitch
        | C::Budget
        | C::ThinkingBetween
        | C::NoReasoning => "reasoning_effort",
        C::SignedReasoning => "messages[].reasoning_details",
        C::ThoughtSignature => "messages[].tool_calls[]",
        C::PlainReasoning => "messages[].reasoning_content",
        C::CacheBreakpoints => "messages[].content[].prompt_cache_breakpoint",
        C::CacheLifetime => "prompt_cache_options.ttl",
        C::User => "safety_identifier",
        C::Tier => "service_tier",
        C::Name => "messages[].name",
        C::Refusal => "messages[].refusal",
        C::RemoteImage => "messages[].content[].image_url",
        C::DocumentText | C::DocumentFields | C::DocumentTitle | C::RemoteDocument => {
            "messages[].content[].file"
        }
        C::ImageDetail => "messages[].content[].image_url.detail",
        C::Betas => "anthropic-beta",
        C::DocumentName => "messages[].content[].file.filename",
        C::Unknown => "unknown_fields",
    }
}
