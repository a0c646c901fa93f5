//! What each code and each word of the ledger means, for `outrigger explain`.

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explained {
    /// `E0102`, the word in a response's `code`, or a word of the ledger's rows.
    pub code: &'static str,
    /// HTTP status for codes of responses; none for others.
    pub status: Option<u16>,
    /// What happened, in one sentence.
    pub what: &'static str,
    /// Why it is refused or how it comes about.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
}

mod admin;
mod config_codes;
mod data_plane;
mod words;

/// What a code means, in any case of its letters. An open breaker's word bears the class of error behind it.
pub fn explain(code: &str) -> Option<&'static Explained> {
    let code = code.trim();
    let code = if code.starts_with("breaker_") { "breaker" } else { code };
    codes().find(|it| it.code.eq_ignore_ascii_case(code))
}

/// All codes: of the configuration, of responses, of the admin API, and the words of the ledger's rows.
pub fn codes() -> impl Iterator<Item = &'static Explained> {
    config_codes::CODES.iter().chain(data_plane::CODES).chain(admin::CODES).chain(words::CODES)
}
