//! `usageMetadata`, into disjoint buckets and back (protocols C5).

use domain::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::json::Object;

/// The wire object. Unknown fields are ignored; a field of the wrong type makes the whole unreadable, so that the row
/// says `bounded` rather than a wrong figure.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireUsage {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    total_token_count: Option<u64>,
    prompt_tokens_details: Option<Vec<Modality>>,
    candidates_tokens_details: Option<Vec<Modality>>,
}

/// Tokens of one kind of content.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Modality {
    modality: Option<String>,
    token_count: Option<u64>,
}

fn of_kind(details: Option<&[Modality]>, kind: &str) -> u64 {
    let counts = details.unwrap_or_default().iter();
    counts
        .filter(|it| it.modality.as_deref() == Some(kind))
        .fold(0, |sum, it| sum.saturating_add(it.token_count.unwrap_or(0)))
}

/// Takes up to `wanted` out of `rest`: details can overlap (cached audio is counted as both), and the buckets must add
/// up to the vendor's own total.
fn take(rest: &mut u64, wanted: u64) -> u64 {
    let taken = wanted.min(*rest);
    *rest -= taken;
    taken
}

impl WireUsage {
    /// In disjoint buckets. `None` when the object says nothing about either side.
    pub fn to_usage(&self) -> Option<Usage> {
        if self.prompt_token_count.is_none()
            && self.candidates_token_count.is_none()
            && self.thoughts_token_count.is_none()
        {
            return None;
        }
        let prompt = self.prompt_tokens_details.as_deref();
        let mut input = self.prompt_token_count.unwrap_or(0);
        let mut output = self.candidates_token_count.unwrap_or(0);
        // What tools that the vendor ran put into the prompt is billed as input, and not in the prompt's count.
        let by_tools = self.tool_use_prompt_token_count.unwrap_or(0);
        Some(Usage {
            cache_read: take(&mut input, self.cached_content_token_count.unwrap_or(0)),
            audio_input: take(&mut input, of_kind(prompt, "AUDIO")),
            image_input: take(&mut input, of_kind(prompt, "IMAGE")),
            input: input.saturating_add(by_tools),
            reasoning: self.thoughts_token_count.unwrap_or(0),
            audio_output: take(
                &mut output,
                of_kind(self.candidates_tokens_details.as_deref(), "AUDIO"),
            ),
            output,
            ..Usage::default()
        })
    }

    /// Takes over what a later object says: each chunk of a stream has one, the last one counts, and a figure that it
    /// leaves out still holds.
    pub fn merge(&mut self, later: Self) {
        let Self {
            prompt_token_count,
            cached_content_token_count,
            candidates_token_count,
            thoughts_token_count,
            tool_use_prompt_token_count,
            total_token_count,
            prompt_tokens_details,
            candidates_tokens_details,
        } = later;
        self.prompt_token_count = prompt_token_count.or(self.prompt_token_count);
        self.cached_content_token_count =
            cached_content_token_count.or(self.cached_content_token_count);
        self.candidates_token_count = candidates_token_count.or(self.candidates_token_count);
        self.thoughts_token_count = thoughts_token_count.or(self.thoughts_token_count);
        self.tool_use_prompt_token_count =
            tool_use_prompt_token_count.or(self.tool_use_prompt_token_count);
        self.total_token_count = total_token_count.or(self.total_token_count);
        self.prompt_tokens_details = prompt_tokens_details.or(self.prompt_tokens_details.take());
        self.candidates_tokens_details =
            candidates_tokens_details.or(self.candidates_tokens_details.take());
    }
}

/// The wire object of these buckets.
pub fn write(usage: &Usage) -> Value {
    let some = |count: u64| (count > 0).then_some(count);
    let mut out = Object::default();
    out.put("promptTokenCount", usage.input_total());
    out.put_some("cachedContentTokenCount", some(usage.cache_read));
    out.put("candidatesTokenCount", usage.output_total().saturating_sub(usage.reasoning));
    out.put_some("thoughtsTokenCount", some(usage.reasoning));
    out.put("totalTokenCount", usage.total());
    out.into_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        serde_json::from_str::<WireUsage>(text).ok()?.to_usage()
    }

    #[test]
    fn cached_tokens_are_within_the_prompt_and_thoughts_beside_the_candidates() {
        let usage = read(
            r#"{"promptTokenCount": 1200, "cachedContentTokenCount": 1000, "candidatesTokenCount": 50,
                "thoughtsTokenCount": 40, "toolUsePromptTokenCount": 7, "totalTokenCount": 1297,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1120}, {"modality": "AUDIO", "tokenCount": 20},
                    {"modality": "IMAGE", "tokenCount": 60}]}"#,
        );
        let expected = Usage {
            input: 127,
            cache_read: 1_000,
            audio_input: 20,
            image_input: 60,
            output: 50,
            reasoning: 40,
            ..Usage::default()
        };
        assert_eq!(usage, Some(expected));
        assert_eq!(expected.total(), 1_297);
        let written = write(&expected);
        assert_eq!(written["promptTokenCount"], 1_207);
        assert_eq!(written["candidatesTokenCount"], 50);
        assert_eq!(written["totalTokenCount"], 1_297);
    }

    #[test]
    fn what_says_nothing_or_is_unreadable_is_no_usage() {
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"totalTokenCount": 5}"#), None);
        assert_eq!(read(r#"{"promptTokenCount": "5"}"#), None);
        // All cached, all of it audio.
        let all = read(
            r#"{"promptTokenCount": 8, "cachedContentTokenCount": 8, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 8}]}"#,
        );
        assert_eq!(all, Some(Usage { cache_read: 8, ..Usage::default() }));
    }
}
