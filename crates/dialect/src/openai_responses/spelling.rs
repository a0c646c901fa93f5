//! How a client of this dialect spells what may be lost.

use crate::loss::Corner;

/// The field that a corner is about.
pub(super) fn spell(corner: Corner) -> &'static str {
    match corner {
        Corner::MidSystem | Corner::DeveloperRole => "input[].role",
        Corner::AllowedTools | Corner::ToolChoice | Corner::ToolChoiceNone => "tool_choice",
        Corner::CustomTools => "tools[].custom",
        Corner::HostedTools => "tools[].type",
        Corner::ToolFields => "tools[].defer_loading",
        Corner::StrictTools | Corner::StrictSubset => "tools[].strict",
        Corner::ParallelTools => "parallel_tool_calls",
        Corner::VendorBlocks | Corner::GuardedText => "input[].type",
        Corner::SearchResults => "input[].content[].search_result",
        Corner::Citations => "input[].content[].annotations",
        Corner::ToolError | Corner::ToolResultMedia => "input[].output",
        Corner::AssistantMedia => "input[].content",
        Corner::ToolIds => "input[].call_id",
        Corner::ToolInput => "input[].arguments",
        Corner::Prefill => "input[-1]",
        Corner::Name => "input[].name",
        Corner::Refusal => "input[].content[].refusal",
        Corner::DocumentText | Corner::DocumentFields | Corner::DocumentTitle => {
            "input[].content[].input_file"
        }
        Corner::RemoteImage => "input[].content[].image_url",
        Corner::RemoteDocument => "input[].content[].file_url",
        Corner::ImageDetail => "input[].content[].detail",
        Corner::SignedReasoning | Corner::ThoughtSignature => "input[].encrypted_content",
        Corner::PlainReasoning => "input[].summary",
        Corner::CacheBreakpoints => "input[].content[].prompt_cache_breakpoint",
        Corner::CacheLifetime => "prompt_cache_options.ttl",
        Corner::JsonObject | Corner::JsonSchema => "text.format",
        Corner::StrictFormat => "text.format.strict",
        Corner::OpenSchema => "text.format.schema",
        Corner::Temperature | Corner::TemperatureRange => "temperature",
        Corner::TopP => "top_p",
        Corner::TopK => "top_k",
        Corner::FrequencyPenalty => "frequency_penalty",
        Corner::PresencePenalty => "presence_penalty",
        Corner::Seed => "seed",
        Corner::ManyAnswers => "n",
        Corner::Logprobs => "top_logprobs",
        Corner::Stop | Corner::StopSome => "stop",
        Corner::MaxTokensAbsent => "max_output_tokens",
        Corner::EffortRange
        | Corner::EffortCeiling
        | Corner::EffortAsBudget
        | Corner::EffortAsSwitch
        | Corner::Budget
        | Corner::ThinkingBetween
        | Corner::NoReasoning => "reasoning.effort",
        Corner::User => "safety_identifier",
        Corner::Tier => "service_tier",
        Corner::Betas => "anthropic-beta",
        Corner::DocumentName => "input[].content[].filename",
        Corner::Unknown => "unknown_fields",
    }
}
