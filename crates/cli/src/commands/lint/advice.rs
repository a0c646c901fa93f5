//! What to change where a feature ties an application to a vendor.

use domain::Feature;

/// One sentence for each.
pub(super) fn of(feature: Feature) -> &'static str {
    match feature {
        Feature::HostedTools => "give the model a function instead, run by the application",
        Feature::CustomTools => "use a function with one string field",
        Feature::ServerState => "send the conversation with each request",
        Feature::SignedReasoning => {
            "nothing, if sessions may end: reasoning of the past is left out when the vendor changes"
        }
        Feature::FileIds => "send files inline instead of by a vendor's id",
        Feature::RemoteMedia => "send images and documents inline instead of by URL",
        Feature::Logprobs => "do without, or name only offers that give them in the capability",
        Feature::LogitBias => "use a schema or an enum for the answer",
        Feature::ManyAnswers => "ask several times; the input is billed each time",
        Feature::Prediction => "leave it out: it only saves time at one vendor",
        Feature::Prefill => "say in the prompt how the answer begins, or ask for a schema",
        Feature::MediaOutput => "name only offers that speak or draw in the capability",
        Feature::AudioInput => "write down what is said first, or name only offers that listen",
        Feature::Images | Feature::Documents => "name only offers that see in the capability",
        Feature::Beta => "keep betas out of what must be portable",
        Feature::Citations => "ask for quotes within a schema",
        Feature::ServiceTier => "leave the tier to the capability's offers",
        Feature::CacheHints => "keep them: providers that cache by themselves need none",
        Feature::TopK => "leave it out: temperature and top_p are understood by more",
        Feature::Seed => "leave it out: no vendor promises the same answer twice",
        Feature::Sampling => "leave it out for models that reason",
        Feature::StopSequences => "keep them: they are cut here where a provider takes none",
        Feature::JsonObject | Feature::JsonSchema => {
            "check the answer in the application, or name only offers that hold to a schema"
        }
        Feature::ToolChoice => "let the model choose, or offer only the tool that is to be called",
        Feature::Reasoning => "name only offers that reason in the capability",
        Feature::Stream | Feature::Tools | Feature::ToolResults | Feature::System => {
            "name only offers that have it in the capability"
        }
    }
}
