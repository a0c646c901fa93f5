//! The counting rule of the fake: a token is up to four UTF-8 bytes of text, cut at character boundaries.
//!
//! It is no real tokenizer, but it shares the two properties that callers rely on: it is additive over
//! pieces that are streamed, and it never makes more tokens than the text has bytes.
//!
//! Input: the text of every message, system part and tool definition, plus [`PER_MESSAGE`] for each message
//! and [`PER_REQUEST`] once. Images: [`image`]. Documents: a token for four bytes of their data.

/// Tokens charged for each message beside its text.
pub(crate) const PER_MESSAGE: u64 = 3;
/// Tokens charged once for each request.
pub(crate) const PER_REQUEST: u64 = 3;
/// Tokens of an image whose size is not known (a URL, which the fake never fetches).
pub(crate) const IMAGE_BY_URL: u64 = 85;

/// Cuts a text into tokens: greedily as many characters as fit four bytes, at least one.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut out = Vec::with_capacity(text.len() / 4 + 1);
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(piece_len(rest));
        out.push(piece);
        rest = tail;
    }
    out
}

fn piece_len(text: &str) -> usize {
    let mut end = 0;
    for (at, ch) in text.char_indices() {
        let next = at + ch.len_utf8();
        if at > 0 && next > 4 {
            break;
        }
        end = next;
        if end >= 4 {
            break;
        }
    }
    end
}

/// The number of tokens of a text.
pub(crate) fn count(text: &str) -> u64 {
    let mut n = 0;
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.split_at(piece_len(rest)).1;
        n += 1;
    }
    n
}

/// Tokens of an image of known size: an area rule (width x height / 750), between 1 and 1,600.
pub(crate) fn image(width: u64, height: u64) -> u64 {
    (width.saturating_mul(height)).div_ceil(750).clamp(1, 1_600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_put_together_are_the_text_and_never_outnumber_its_bytes() {
        for text in [
            "",
            "a",
            "hello, world",
            "äöü",
            "日本語のテキスト",
            "a😀b😀😀",
            "\u{1F468}\u{200D}\u{1F469}",
        ] {
            let cut = pieces(text);
            assert_eq!(cut.concat(), text);
            assert_eq!(cut.len() as u64, count(text));
            assert!(cut.len() <= text.len());
            assert!(cut.iter().all(|p| !p.is_empty() && p.len() <= 4));
        }
    }
}
