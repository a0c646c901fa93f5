//! What OpenAI's two dialects share: fields that mean the same in both are carried from one to the other.

use domain::DialectId;

/// Such fields, where they bear the same name too.
pub(crate) const SHARED: [&str; 6] = [
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "store",
];

/// Whether it is one of the two.
pub(crate) fn speaks(id: DialectId) -> bool {
    matches!(id, DialectId::OpenaiChat | DialectId::OpenaiResponses)
}
