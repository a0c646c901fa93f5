//! A provider's peculiarities as data: chosen by words in presets and config, read by the request writers.

/// A word that names no quirk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a known quirk")]
pub struct UnknownQuirk(pub String);

/// Which field carries thinking budget or effort to a Messages provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThinkingForm {
    /// `thinking: {type: adaptive}` and `output_config.effort` (current models).
    #[default]
    Adaptive,
    /// `thinking: {type: enabled, budget_tokens}` (models before adaptive thinking).
    Budget,
    /// The model doesn't think.
    None,
}

/// Which field of an assistant message carries plain reasoning text at a chat provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningField {
    /// None: the provider refuses or ignores it (OpenAI).
    #[default]
    None,
    /// `reasoning_content`: DeepSeek, xAI, Fireworks, SGLang, llama.cpp.
    ReasoningContent,
    /// `reasoning`: vLLM, Ollama, Groq, OpenRouter.
    Reasoning,
}

/// How reasoning is asked for at a chat provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EffortForm {
    /// `reasoning_effort`.
    #[default]
    Effort,
    /// `thinking: {type: enabled | disabled}` (DeepSeek).
    Switch,
    /// Not at all.
    None,
}

/// A provider's peculiarities. The default is the vendor's own service with a current model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// `max_tokens`: chat hosts that don't know `max_completion_tokens`.
    pub max_tokens: bool,
    /// `no_sampling`: temperature, top_p, top_k and penalties are refused (reasoning models).
    pub no_sampling: bool,
    /// `no_penalties`: frequency and presence penalty are refused.
    pub no_penalties: bool,
    /// `no_stop`: stop sequences are refused.
    pub no_stop: bool,
    /// `no_developer_role`: chat hosts that know only `system`.
    pub no_developer_role: bool,
    /// `mid_system`: a Messages model that takes `role: system` in the middle of a conversation.
    pub mid_system: bool,
    /// `no_stream_options`: usage can't be asked for in a stream.
    pub no_stream_options: bool,
    /// `no_json_schema`: chat hosts that know only `json_object`.
    pub no_json_schema: bool,
    /// `no_strict_tools`: `strict` on tools is refused.
    pub no_strict_tools: bool,
    /// `no_parallel_tool_calls`: the field `parallel_tool_calls` is refused.
    pub no_parallel_tool_calls: bool,
    /// `no_custom_tools`: chat hosts without custom tools.
    pub no_custom_tools: bool,
    /// `no_allowed_tools`: chat hosts without the `allowed_tools` choice.
    pub no_allowed_tools: bool,
    /// `no_logprobs`: neither logprobs nor logit_bias.
    pub no_logprobs: bool,
    /// `no_n`: one answer a call.
    pub no_n: bool,
    /// `random_seed`: the seed's name at Mistral.
    pub random_seed: bool,
    /// `tool_ids_9`: tool call ids of exactly nine letters and digits (Mistral).
    pub tool_ids_9: bool,
    /// `cache_breakpoints`: the chat model takes `prompt_cache_breakpoint` (gpt-5.6 and later).
    pub cache_breakpoints: bool,
    /// `no_openai_fields`: `metadata`, `store`, `service_tier`, `safety_identifier`, `prompt_cache_key`,
    /// `prediction` and `verbosity` are unknown to the host, which refuses unknown fields.
    pub no_openai_fields: bool,
    /// `text_content`: message content must be a string where it is only text.
    pub text_content: bool,
    /// `reasoning_content`, `reasoning`: the field that carries reasoning in the history.
    pub reasoning_field: ReasoningField,
    /// `reasoning_details`: the host takes signed reasoning back as `reasoning_details` (OpenRouter).
    pub reasoning_details: bool,
    /// `reasoning_echo`: assistant turns with tool calls need the reasoning field (DeepSeek).
    pub reasoning_echo: bool,
    /// `thinking_switch`, `no_effort`: how reasoning is asked for.
    pub effort: EffortForm,
    /// `thinking_budget`, `no_thinking`: how a Messages model is asked to think.
    pub thinking: ThinkingForm,
}

impl Quirks {
    /// The quirks of that list of words.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownQuirk> {
        let mut quirks = Self::default();
        for word in words {
            if !quirks.set(word) {
                return Err(UnknownQuirk(word.to_owned()));
            }
        }
        Ok(quirks)
    }

    /// Every word, sorted.
    pub const WORDS: &'static [&'static str] = &[
        "cache_breakpoints",
        "max_tokens",
        "mid_system",
        "no_allowed_tools",
        "no_custom_tools",
        "no_developer_role",
        "no_effort",
        "no_json_schema",
        "no_logprobs",
        "no_n",
        "no_openai_fields",
        "no_parallel_tool_calls",
        "no_penalties",
        "no_sampling",
        "no_stop",
        "no_stream_options",
        "no_strict_tools",
        "no_thinking",
        "random_seed",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "reasoning_echo",
        "text_content",
        "thinking_budget",
        "thinking_switch",
        "tool_ids_9",
    ];

    /// Sets one by its word; `false` when there is no such word.
    pub fn set(&mut self, word: &str) -> bool {
        let flag = match word {
            "max_tokens" => &mut self.max_tokens,
            "no_sampling" => &mut self.no_sampling,
            "no_penalties" => &mut self.no_penalties,
            "no_stop" => &mut self.no_stop,
            "no_developer_role" => &mut self.no_developer_role,
            "mid_system" => &mut self.mid_system,
            "no_stream_options" => &mut self.no_stream_options,
            "no_json_schema" => &mut self.no_json_schema,
            "no_strict_tools" => &mut self.no_strict_tools,
            "no_parallel_tool_calls" => &mut self.no_parallel_tool_calls,
            "no_custom_tools" => &mut self.no_custom_tools,
            "no_allowed_tools" => &mut self.no_allowed_tools,
            "no_logprobs" => &mut self.no_logprobs,
            "no_n" => &mut self.no_n,
            "random_seed" => &mut self.random_seed,
            "tool_ids_9" => &mut self.tool_ids_9,
            "cache_breakpoints" => &mut self.cache_breakpoints,
            "no_openai_fields" => &mut self.no_openai_fields,
            "text_content" => &mut self.text_content,
            "reasoning_details" => &mut self.reasoning_details,
            "reasoning_echo" => &mut self.reasoning_echo,
            _ => return self.set_form(word),
        };
        *flag = true;
        true
    }

    fn set_form(&mut self, word: &str) -> bool {
        match word {
            "reasoning_content" => self.reasoning_field = ReasoningField::ReasoningContent,
            "reasoning" => self.reasoning_field = ReasoningField::Reasoning,
            "thinking_switch" => self.effort = EffortForm::Switch,
            "no_effort" => self.effort = EffortForm::None,
            "thinking_budget" => self.thinking = ThinkingForm::Budget,
            "no_thinking" => self.thinking = ThinkingForm::None,
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_word_is_known_and_changes_something() {
        for word in Quirks::WORDS {
            assert_ne!(Quirks::from_words([*word]), Ok(Quirks::default()), "{word}");
        }
        assert!(Quirks::WORDS.is_sorted());
        assert_eq!(Quirks::from_words(["max_token"]), Err(UnknownQuirk("max_token".into())));
    }
}
