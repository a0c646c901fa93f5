//! The catalog's host ids, and what other tables call the same hosts.

/// One of LiteLLM's provider words (`litellm_provider`) as a catalog host id; unknown words stay as they are.
pub(crate) fn from_litellm(word: &str) -> &str {
    if word.starts_with("vertex_ai") {
        return "vertex";
    }
    if word.starts_with("bedrock") || word == "amazon-bedrock" {
        return "bedrock";
    }
    match word {
        "azure_ai" | "azure_text" => "azure",
        "gemini" => "google",
        "text-completion-openai" => "openai",
        "cohere_chat" => "cohere",
        "together_ai" => "together",
        "fireworks_ai" | "fireworks_ai-embedding-models" => "fireworks",
        "dashscope" => "alibaba",
        "wandb" => "coreweave",
        "cloudflare" => "cloudflare-workers-ai",
        "nvidia_nim" => "nvidia-nim",
        "meta_llama" => "meta",
        other => other,
    }
}

/// One of genai-prices' provider ids as a catalog host id.
pub(crate) fn from_genai(id: &str) -> &str {
    match id {
        "aws" => "bedrock",
        "x-ai" => "xai",
        "moonshotai" => "moonshot",
        "cloudflare" => "cloudflare-workers-ai",
        other => other,
    }
}

/// A provider word of the price history or the life-cycle table as a catalog host id.
#[cfg(test)]
pub(crate) fn from_history(word: &str) -> &str {
    match word {
        "amazon-bedrock" => "bedrock",
        "moonshotai" => "moonshot",
        "z-ai" => "zai",
        other => other,
    }
}

/// A key of LiteLLM's table as the host's own model id: its provider prefix goes, what else stands there stays.
pub(crate) fn strip_litellm_prefix<'a>(key: &'a str, word: &str) -> &'a str {
    let prefixes = [word, from_litellm(word), "azure", "azure_ai", "vertex_ai", "bedrock"];
    prefixes
        .into_iter()
        .find_map(|prefix| key.strip_prefix(prefix)?.strip_prefix('/'))
        .unwrap_or(key)
}
