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
pub mod data_plane;
mod words;

/// What a code means, in any case of its letters. An open breaker's word bears the class of error behind it.
pub fn explain(code: &str) -> Option<Explained> {
    let code = code.trim();
    let code = if code.starts_with("breaker_") { "breaker" } else { code };
    codes().find(|it| it.code.eq_ignore_ascii_case(code))
}

/// All codes: of the configuration, of responses, of the admin API, and the words of the ledger's rows.
pub fn codes() -> impl Iterator<Item = Explained> {
    let responses = data_plane::CATALOGUE.iter().map(|kind| kind.explained());
    let others = admin::CODES.iter().chain(words::CODES).copied();
    config_codes::CODES.iter().copied().chain(responses).chain(others)
}
