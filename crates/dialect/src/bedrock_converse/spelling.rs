//! How the corners of the loss table are spelled in Converse.

use crate::loss::Corner;

/// The field that a client of this dialect finds them under.
pub(super) fn spell(corner: Corner) -> &'static str {
    use Corner as C;
    match corner {
        C::GuardedText => "messages[].content[].guardContent",
        C::MidSystem | C::DeveloperRole => "messages[].role",
        C::AllowedTools | C::ToolChoice | C::ToolChoiceNone => "toolConfig.toolChoice",
        C::CustomTools => "toolConfig.tools[]",
        C::HostedTools => "toolConfig.tools[].systemTool",
        C::VendorBlocks | C::AssistantMedia | C::Refusal => "messages[].content[]",
        C::SearchResults => "messages[].content[].searchResult",
        C::Citations => "messages[].content[].citationsContent",
        C::ToolFields => "toolConfig.tools[].toolSpec",
        C::StrictTools | C::StrictSubset => "toolConfig.tools[].toolSpec.strict",
        C::StrictFormat | C::JsonObject | C::JsonSchema | C::OpenSchema => {
            "outputConfig.textFormat"
        }
        C::ToolError => "messages[].content[].toolResult.status",
        C::ToolResultMedia => "messages[].content[].toolResult.content",
        C::ToolIds => "messages[].content[].toolUse.toolUseId",
        C::ToolInput => "messages[].content[].toolUse.input",
        C::ParallelTools => "toolConfig",
        C::Temperature | C::TemperatureRange => "inferenceConfig.temperature",
        C::TopP => "inferenceConfig.topP",
        C::TopK => "additionalModelRequestFields.top_k",
        C::FrequencyPenalty | C::PresencePenalty | C::Seed | C::ManyAnswers | C::Logprobs => {
            "inferenceConfig"
        }
        C::Stop | C::StopSome => "inferenceConfig.stopSequences",
        C::MaxTokensAbsent => "inferenceConfig.maxTokens",
        C::Prefill => "messages[-1]",
        C::EffortRange
        | C::EffortCeiling
        | C::EffortAsBudget
        | C::EffortAsSwitch
        | C::NoReasoning => "outputConfig.effort",
        C::Budget | C::ThinkingBetween => "additionalModelRequestFields.thinking",
        C::SignedReasoning | C::ThoughtSignature | C::PlainReasoning => {
            "messages[].content[].reasoningContent"
        }
        C::CacheBreakpoints => "cachePoint",
        C::CacheLifetime => "cachePoint.ttl",
        C::User => "requestMetadata",
        C::Tier => "serviceTier",
        C::Name => "messages[]",
        C::DocumentText | C::DocumentFields | C::RemoteDocument => "messages[].content[].document",
        C::ImageDetail | C::RemoteImage => "messages[].content[].image",
        C::Betas => "additionalModelRequestFields.anthropic_beta",
        C::Unknown => "unknown_fields",
        C::DocumentName | C::DocumentTitle => "messages[].content[].document.name",
    }
}
