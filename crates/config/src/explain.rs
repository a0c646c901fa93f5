//! What each code means: why it is raised and what to do about it, for `outrigger explain`.

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explained {
    /// `E0102`, or the word in a response's `code`.
    pub code: &'static str,
    /// HTTP status for codes of the data plane; none for the configuration's.
    pub status: Option<u16>,
    /// What happened, in one sentence.
    pub what: &'static str,
    /// Why it is refused or how it comes about.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
}

mod config_codes;
mod data_plane;

/// What a code means, in any case of its letters.
pub fn explain(code: &str) -> Option<&'static Explained> {
    codes().find(|it| it.code.eq_ignore_ascii_case(code.trim()))
}

/// All codes, those of the configuration first.
pub fn codes() -> impl Iterator<Item = &'static Explained> {
    config_codes::CODES.iter().chain(data_plane::CODES)
}
