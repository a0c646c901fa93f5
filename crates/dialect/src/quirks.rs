//! A provider's peculiarities as data: chosen by words in presets and config, read by the request writers.

use domain::{Feature, Features};

use domain::DialectId;

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

/// A provider's peculiarities. The default is a compatible host that takes what most do, or Anthropic with a
/// current model; OpenAI itself has words of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// `max_completion_tokens`: the chat host takes that name (OpenAI); others take `max_tokens`.
    pub max_completion_tokens: bool,
    /// `completion_limit`: the model's limit covers what it thinks, and is named so where the host has two names for it
    /// (GPT models at Oracle).
    pub completion_limit: bool,
    /// `cohere_request`: the model takes Cohere's request where the host has two (Oracle).
    pub cohere_request: bool,
    /// `top_k`: the chat host knows it.
    pub top_k: bool,
    /// `no_sampling`: temperature, top_p, top_k and penalties are refused (reasoning models).
    pub no_sampling: bool,
    /// `no_penalties`: frequency and presence penalty are refused.
    pub no_penalties: bool,
    /// `no_stop`: stop sequences are refused; the answer is cut at them here.
    pub no_stop: bool,
    /// `developer_role`: the chat host knows the role (OpenAI); others know only `system`.
    pub developer_role: bool,
    /// `mid_system`: a Messages model that takes `role: system` in the middle of a conversation.
    pub mid_system: bool,
    /// `no_stream_options`: usage can't be asked for in a stream.
    pub no_stream_options: bool,
    /// `no_json_schema`: chat hosts that know only `json_object`.
    pub no_json_schema: bool,
    /// `json_object_schema`: a chat host that takes a schema with `json_object` only (llama-cpp-python).
    pub json_object_schema: bool,
    /// `no_schema_ref`: schemas must not refer to their own definitions (Mistral).
    pub no_schema_ref: bool,
    /// `no_strict_tools`: `strict` on tools is refused.
    pub no_strict_tools: bool,
    /// `no_parallel_tool_calls`: the field `parallel_tool_calls` is refused.
    pub no_parallel_tool_calls: bool,
    /// `no_custom_tools`: chat hosts without custom tools.
    pub no_custom_tools: bool,
    /// `no_allowed_tools`: chat hosts without the `allowed_tools` choice.
    pub no_allowed_tools: bool,
    /// `no_logprobs`: no log probabilities.
    pub no_logprobs: bool,
    /// `no_logit_bias`: no token biases.
    pub no_logit_bias: bool,
    /// `single_answer`: one answer a call.
    pub single_answer: bool,
    /// `reasoning_refuses_stop`: with reasoning on, neither stop sequences nor penalties (xAI).
    pub reasoning_refuses_stop: bool,
    /// `tools_exclude_response_format`: no `response_format` beside tools (Fireworks).
    pub tools_exclude_response_format: bool,
    /// `stream_excludes_response_format`: no `response_format` in a stream (Groq).
    pub stream_excludes_response_format: bool,
    /// `tool_results_apart`: one call and its result a turn: two tool messages in a row are refused (Databricks).
    pub tool_results_apart: bool,
    /// `no_message_names`: the names of participants are refused (Mistral, Groq).
    pub no_message_names: bool,
    /// `prefill_prefix`: an assistant message that is to be continued says `prefix: true` (Mistral).
    pub prefill_prefix: bool,
    /// `tool_choice_any`: a required choice is spelled `any` (Mistral).
    pub tool_choice_any: bool,
    /// `no_messages_tool_choice`: a Messages host without `tool_choice` (Ollama).
    pub no_messages_tool_choice: bool,
    /// `no_messages_json_schema`: a Messages host that ignores `output_config.format` without a word (llama.cpp).
    pub no_messages_json_schema: bool,
    /// `no_remote_images`: images must be inline.
    pub no_remote_images: bool,
    /// `random_seed`: the seed's name at Mistral.
    pub random_seed: bool,
    /// `tool_id_nine_alphanumeric`: tool call ids of exactly nine letters and digits (Mistral).
    pub tool_id_nine_alphanumeric: bool,
    /// `cache_breakpoints`: the chat model takes `prompt_cache_breakpoint` (gpt-5.6 and later).
    pub cache_breakpoints: bool,
    /// `no_openai_fields`: `metadata`, `store`, `service_tier`, `safety_identifier`, `prompt_cache_key`,
    /// `prediction` and `verbosity` are unknown to the host, which refuses unknown fields.
    pub no_openai_fields: bool,
    /// `text_content`: message content must be a string where it is only text.
    pub text_content: bool,
    /// `reasoning_content_field`, `reasoning_field`: the field that carries reasoning in the history.
    pub reasoning_field: ReasoningField,
    /// `reasoning_details`: the host takes signed reasoning back as `reasoning_details` (OpenRouter).
    pub reasoning_details: bool,
    /// `reasoning_content_required_back`: assistant turns with tool calls need the reasoning field (DeepSeek).
    pub reasoning_content_required_back: bool,
    /// `no_thinking_budget` (a switch only), `no_effort`: how reasoning is asked for.
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

    /// The dialect in which a host is best asked: the client's own, unless the host would ignore a part of it there that
    /// it knows in another.
    pub fn dialect_for(&self, client: DialectId, features: Features) -> DialectId {
        let ignored = client == DialectId::AnthropicMessages
            && self.no_messages_json_schema
            && features.contains(Feature::JsonSchema);
        if ignored { DialectId::OpenaiChat } else { client }
    }

    /// Every word that changes what is written, sorted.
    pub const WORDS: &'static [&'static str] = &[
        "cache_breakpoints",
        "cohere_request",
        "completion_limit",
        "developer_role",
        "json_object_schema",
        "max_completion_tokens",
        "mid_system",
        "no_allowed_tools",
        "no_custom_tools",
        "no_effort",
        "no_json_schema",
        "no_logit_bias",
        "no_logprobs",
        "no_message_names",
        "no_messages_json_schema",
        "no_messages_tool_choice",
        "no_openai_fields",
        "no_parallel_tool_calls",
        "no_penalties",
        "no_remote_images",
        "no_sampling",
        "no_schema_ref",
        "no_stop",
        "no_stream_options",
        "no_strict_tools",
        "no_thinking",
        "no_thinking_budget",
        "prefill_prefix",
        "random_seed",
        "reasoning_content_field",
        "reasoning_content_required_back",
        "reasoning_details",
        "reasoning_field",
        "reasoning_refuses_stop",
        "single_answer",
        "stream_excludes_response_format",
        "text_content",
        "thinking_budget",
        "tool_choice_any",
        "tool_id_nine_alphanumeric",
        "tool_results_apart",
        "tools_exclude_response_format",
        "top_k",
    ];

    /// Words that are known and change nothing here: other crates act on them, or the readers cope with every
    /// host's way anyway.
    pub const INFORMATIVE: &'static [&'static str] = &[
        "cache_hit_miss_usage",
        "completion_excludes_reasoning",
        "content_chunks",
        "midstream_error_chunk",
        "no_count_tokens",
        "project_header",
        "reseller",
        "sse_comments",
    ];

    /// Sets one by its word; `false` when there is no such word.
    pub fn set(&mut self, word: &str) -> bool {
        let flag = match word {
            "completion_limit" => &mut self.completion_limit,
            "cohere_request" => &mut self.cohere_request,
            "top_k" => &mut self.top_k,
            "max_completion_tokens" => &mut self.max_completion_tokens,
            "no_sampling" => &mut self.no_sampling,
            "no_penalties" => &mut self.no_penalties,
            "no_stop" => &mut self.no_stop,
            "developer_role" => &mut self.developer_role,
            "mid_system" => &mut self.mid_system,
            "no_stream_options" => &mut self.no_stream_options,
            "no_json_schema" => &mut self.no_json_schema,
            "json_object_schema" => &mut self.json_object_schema,
            "no_schema_ref" => &mut self.no_schema_ref,
            "no_strict_tools" => &mut self.no_strict_tools,
            "no_parallel_tool_calls" => &mut self.no_parallel_tool_calls,
            "no_custom_tools" => &mut self.no_custom_tools,
            "no_allowed_tools" => &mut self.no_allowed_tools,
            "no_logprobs" => &mut self.no_logprobs,
            "no_logit_bias" => &mut self.no_logit_bias,
            "single_answer" => &mut self.single_answer,
            "reasoning_refuses_stop" => &mut self.reasoning_refuses_stop,
            "tools_exclude_response_format" => &mut self.tools_exclude_response_format,
            "stream_excludes_response_format" => &mut self.stream_excludes_response_format,
            "tool_results_apart" => &mut self.tool_results_apart,
            "no_message_names" => &mut self.no_message_names,
            "prefill_prefix" => &mut self.prefill_prefix,
            "tool_choice_any" => &mut self.tool_choice_any,
            "no_messages_json_schema" => &mut self.no_messages_json_schema,
            "no_messages_tool_choice" => &mut self.no_messages_tool_choice,
            "no_remote_images" => &mut self.no_remote_images,
            "random_seed" => &mut self.random_seed,
            "tool_id_nine_alphanumeric" => &mut self.tool_id_nine_alphanumeric,
            "cache_breakpoints" => &mut self.cache_breakpoints,
            "no_openai_fields" => &mut self.no_openai_fields,
            "text_content" => &mut self.text_content,
            "reasoning_details" => &mut self.reasoning_details,
            "reasoning_content_required_back" => &mut self.reasoning_content_required_back,
            _ => return self.set_form(word),
        };
        *flag = true;
        true
    }

    fn set_form(&mut self, word: &str) -> bool {
        match word {
            "reasoning_content_field" => self.reasoning_field = ReasoningField::ReasoningContent,
            "reasoning_field" => self.reasoning_field = ReasoningField::Reasoning,
            "no_thinking_budget" => self.effort = EffortForm::Switch,
            "no_effort" => self.effort = EffortForm::None,
            "thinking_budget" => self.thinking = ThinkingForm::Budget,
            "no_thinking" => self.thinking = ThinkingForm::None,
            _ => return Self::INFORMATIVE.contains(&word),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_sent_where_it_is_heard() {
        let schema = Features::NONE.with(Feature::JsonSchema);
        let deaf = Quirks::from_words(["no_messages_json_schema"]).unwrap();
        let messages = DialectId::AnthropicMessages;
        assert_eq!(deaf.dialect_for(messages, schema), DialectId::OpenaiChat);
        assert_eq!(deaf.dialect_for(messages, Features::NONE), messages);
        assert_eq!(Quirks::default().dialect_for(messages, schema), messages);
    }

    #[test]
    fn every_listed_word_is_known_and_changes_something() {
        for word in Quirks::WORDS {
            assert_ne!(Quirks::from_words([*word]), Ok(Quirks::default()), "{word}");
        }
        assert!(Quirks::WORDS.is_sorted());
        for word in Quirks::INFORMATIVE {
            assert_eq!(Quirks::from_words([*word]), Ok(Quirks::default()), "{word}");
        }
        assert_eq!(Quirks::from_words(["max_token"]), Err(UnknownQuirk("max_token".into())));
    }
}
