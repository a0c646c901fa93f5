//! Signatures and encrypted reasoning with the vendor they belong to.
//!
//! Only who issued one can read it. Chat hosts that resell several vendors say whose it is (OpenRouter's `format`);
//! Messages has no field for that. So what is not Anthropic's stays with the format's name, as `format:signature`: it
//! finds its way back through a Messages client, and no other vendor is given it. Base64 holds no colon.

/// OpenRouter's name for signatures and encrypted data of Anthropic.
const ANTHROPIC: &str = "anthropic-claude-v1";

/// With its format, unless that is Anthropic's or not told.
pub(crate) fn with_format(opaque: String, format: Option<&str>) -> String {
    match format {
        None | Some("" | "unknown" | ANTHROPIC) => opaque,
        Some(format) => format!("{format}:{opaque}"),
    }
}

/// The format, and what the vendor issued.
pub(crate) fn split(opaque: &str) -> (&str, &str) {
    opaque.split_once(':').unwrap_or((ANTHROPIC, opaque))
}

/// Whether another vendor than Anthropic issued it.
pub(crate) fn is_foreign(opaque: &str) -> bool {
    split(opaque).0 != ANTHROPIC
}
