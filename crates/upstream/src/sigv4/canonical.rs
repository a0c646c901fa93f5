//! The canonical request: what both sides make of one request, however it was written.

use std::fmt::Write as _;

use super::Signable;

/// The names of these headers, in lower case, each once, sorted.
pub(super) fn names(headers: &[(&str, &str)]) -> Vec<String> {
    let mut names: Vec<String> = headers.iter().map(|it| it.0.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The canonical request with these of the headers signed.
pub(super) fn request(
    request: &Signable<'_>,
    headers: &[(&str, &str)],
    signed: &[impl AsRef<str>],
    hash: &str,
) -> String {
    let mut text =
        format!("{}\n{}\n{}\n", request.method, path(request.path), query(request.query));
    for name in signed {
        let name = name.as_ref();
        let of_name = headers.iter().filter(|it| it.0.eq_ignore_ascii_case(name));
        let values: Vec<String> = of_name.map(|it| value(it.1)).collect();
        text.extend([name, ":", &values.join(","), "\n"]);
    }
    let names: Vec<&str> = signed.iter().map(AsRef::as_ref).collect();
    text.extend(["\n", &names.join(";"), "\n", hash]);
    text
}

/// Without white space around it, and with one blank for each run of white space within.
fn value(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Dots resolved, empty segments left out, and each byte of what is sent encoded once more: every service but S3 wants
/// that.
fn path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut out = String::new();
    for segment in &kept {
        out.push('/');
        encode(segment.bytes(), &mut out);
    }
    if kept.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    out
}

/// Parameters encoded in the one canonical way, and sorted by name and value.
fn query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded(name), encoded(value))
        })
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Decoded and encoded again.
fn encoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push(high << 4 | low);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    let mut out = String::with_capacity(text.len());
    encode(bytes, &mut out);
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|value| value as u8)
}

/// Everything but unreserved characters as `%XX`.
fn encode(bytes: impl IntoIterator<Item = u8>, out: &mut String) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let written = write!(out, "%{byte:02X}");
            debug_assert!(written.is_ok());
        }
    }
}
