//! How the corners of the loss table are spelled in Gemini's protocol.

use crate::loss::Corner;

/// The field that a client of this dialect finds them under.
pub(super) fn spell(corner: Corner) -> &'static str {
    use Corner as C;
    match corner {
        C::MidSystem | C::DeveloperRole | C::Name => "contents[].role",
        C::AllowedTools => "toolConfig.functionCallingConfig.allowedFunctionNames",
        C::CustomTools | C::HostedTools | C::ToolFields => "tools[]",
        C::VendorBlocks | C::GuardedText | C::SearchResults | C::Refusal => "contents[].parts[]",
        C::Citations => "contents[].parts[].text",
        C::ToolChoice | C::ToolChoiceNone | C::ParallelTools | C::StrictTools | C::StrictSubset => {
            "toolConfig.functionCallingConfig.mode"
        }
        C::StrictFormat | C::OpenSchema | C::JsonSchema => "generationConfig.responseJsonSchema",
        C::JsonObject => "generationConfig.responseMimeType",
        C::ToolError | C::ToolResultMedia => "contents[].parts[].functionResponse",
        C::RemoteImage | C::RemoteDocument => "contents[].parts[].fileData",
        C::AssistantMedia
        | C::DocumentText
        | C::DocumentFields
        | C::DocumentTitle
        | C::DocumentName
        | C::ImageDetail => "contents[].parts[].inlineData",
        C::ToolIds | C::ToolInput => "contents[].parts[].functionCall",
        C::Temperature | C::TemperatureRange => "generationConfig.temperature",
        C::TopP => "generationConfig.topP",
        C::TopK => "generationConfig.topK",
        C::FrequencyPenalty => "generationConfig.frequencyPenalty",
        C::PresencePenalty => "generationConfig.presencePenalty",
        C::Seed => "generationConfig.seed",
        C::ManyAnswers => "generationConfig.candidateCount",
        C::Logprobs => "generationConfig.responseLogprobs",
        C::Stop | C::StopSome => "generationConfig.stopSequences",
        C::MaxTokensAbsent => "generationConfig.maxOutputTokens",
        C::Prefill => "contents[-1]",
        C::EffortRange | C::EffortCeiling | C::EffortAsBudget | C::EffortAsSwitch => {
            "generationConfig.thinkingConfig.thinkingLevel"
        }
        C::Budget | C::ThinkingBetween => "generationConfig.thinkingConfig.thinkingBudget",
        C::NoReasoning => "generationConfig.thinkingConfig",
        C::SignedReasoning | C::ThoughtSignature => "contents[].parts[].thoughtSignature",
        C::PlainReasoning => "contents[].parts[].thought",
        C::CacheBreakpoints | C::CacheLifetime => "cachedContent",
        C::User => "labels",
        C::Tier => "serviceTier",
        C::Betas => "anthropic-beta",
        C::Unknown => "unknown_fields",
    }
}
