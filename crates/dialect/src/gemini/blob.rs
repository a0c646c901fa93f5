//! Bytes in base64: the protocol reads both alphabets, with and without padding; google-genai sends the URL-safe one.
//! Every other vendor wants the standard one.

use std::borrow::Cow;

/// As the standard alphabet with padding. What is no base64 at all stays as it is: its reader will say so.
pub(super) fn standard(data: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte != b'-' && byte != b'_';
    if data.len().is_multiple_of(4) && data.bytes().all(is_plain) {
        return Cow::Borrowed(data);
    }
    let mut out: String = data
        .trim_end_matches('=')
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_alphabet_becomes_the_standard_one() {
        assert_eq!(standard("-_-_"), "+/+/");
        assert_eq!(standard("-_8"), "+/8=");
        assert_eq!(standard("-_8="), "+/8=");
        assert_eq!(standard("AAEC"), "AAEC");
        assert_eq!(standard("AA"), "AA==");
        assert_eq!(standard(""), "");
    }
}
