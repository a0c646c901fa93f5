//! Requests as forms (`multipart/form-data`, RFC 7578): read where they lie, files are never copied.
//!
//! A form that two readers could read differently is refused: a field that we act on twice, a part without a plain name,
//! folded header lines, bytes before the first boundary or after the last.

use std::ops::Range;

use domain::{Endpoint, Feature};

use super::json::{begun, images};
use crate::wire::{FieldError, Headers, Peek};

/// Most parts of a form.
const PARTS_MAX: usize = 256;
/// Longest head of a part, in bytes.
const HEAD_MAX: usize = 4_096;
/// Longest boundary (RFC 2046, 5.1.1).
const BOUNDARY_MAX: usize = 70;

/// The boundary of a form, where the body is one; empty where none is named, or two are.
pub(crate) fn boundary(headers: &dyn Headers) -> Option<String> {
    let value = headers.get("content-type")?;
    let mut parts = value.split(';');
    if !parts.next()?.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut named = parts.filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    });
    let first = named.next().unwrap_or_default();
    Some(if named.next().is_none() { first.to_owned() } else { String::new() })
}

/// The fields that we act on.
pub(super) fn peek(endpoint: Endpoint, body: &[u8], boundary: &str) -> Result<Peek, FieldError> {
    let mut peek = begun(endpoint);
    peek.form = true;
    let mut seen: Vec<&str> = Vec::new();
    for part in parts(body, boundary)? {
        let value = body.get(part.value.clone()).unwrap_or_default();
        let once = matches!(part.name, "model" | "stream" | "n" | "prompt");
        if once && seen.contains(&part.name) {
            return Err(FieldError::new(part.name, "this field stands twice"));
        }
        seen.push(part.name);
        match part.name {
            "model" => {
                word(value, "model")?.clone_into(&mut peek.model);
                peek.model_span = Some(part.value);
            }
            "stream" => {
                peek.stream = match word(value, "stream")?.to_ascii_lowercase().as_str() {
                    "true" | "1" => true,
                    "false" | "0" | "" => false,
                    _ => return Err(FieldError::new("stream", "expected true or false")),
                }
            }
            "n" => {
                let number = word(value, "n")?.parse().ok().and_then(images);
                peek.limits.answers =
                    number.ok_or_else(|| FieldError::new("n", "expected 1 to 128"))?;
            }
            "image" | "image[]" | "mask" => {
                peek.features.insert(Feature::Images);
                peek.further_images = peek.further_images.saturating_add(1);
            }
            "file" => peek.audio_bytes = peek.audio_bytes.saturating_add(as_encoded(value.len())),
            "prompt" => peek.text_bytes = peek.text_bytes.saturating_add(value.len() as u64),
            _ => {}
        }
    }
    Ok(peek)
}

/// The bound of audio is one of its bytes in base64.
fn as_encoded(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(3).saturating_mul(4)
}

fn bad(message: &str) -> FieldError {
    FieldError::new("", format!("the form can't be read: {message}"))
}

fn word<'a>(value: &'a [u8], field: &str) -> Result<&'a str, FieldError> {
    let text =
        std::str::from_utf8(value).ok().filter(|it| it.len() <= 512 && !it.contains(['\r', '\n']));
    text.ok_or_else(|| FieldError::new(field, "expected a short text"))
}

/// A part: its name and where its value stands.
pub(crate) struct Part<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: Range<usize>,
}

/// The parts of a form, in order.
pub(crate) fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, FieldError> {
    if boundary.is_empty() || boundary.len() > BOUNDARY_MAX {
        return Err(bad("the content type does not name one boundary"));
    }
    let opening = format!("--{boundary}");
    let closing = format!("\r\n--{boundary}");
    let cut = || bad("it ends before its last boundary");
    if !body.starts_with(opening.as_bytes()) {
        return Err(bad("it does not begin with its boundary"));
    }
    let mut at = opening.len();
    let mut found = Vec::new();
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix(b"--") {
            if after.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                return Ok(found);
            }
            return Err(bad("something follows its last boundary"));
        }
        if !rest.starts_with(b"\r\n") || found.len() == PARTS_MAX {
            return Err(bad(
                "a boundary is followed by something else, or there are too many parts",
            ));
        }
        let head = at + 2;
        let window = body.get(head..body.len().min(head + HEAD_MAX)).unwrap_or_default();
        let head_length =
            find(window, b"\r\n\r\n").ok_or_else(|| bad("a part's head has no end"))?;
        let lines = body.get(head..head + head_length).unwrap_or_default();
        let start = head + head_length + 4;
        let length =
            find(body.get(start..).unwrap_or_default(), closing.as_bytes()).ok_or_else(cut)?;
        found.push(Part { name: name(lines)?, value: start..start + length });
        at = start + length + closing.len();
    }
}

/// Where a needle first stands; long files are passed by looking for its first byte.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + hay.get(from..)?.iter().position(|byte| *byte == first)?;
        if hay.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The name in the part's `content-disposition`.
fn name(head: &[u8]) -> Result<&str, FieldError> {
    let unnamed = || bad("a part has no plain name");
    let head = std::str::from_utf8(head).map_err(|_| unnamed())?;
    let mut disposition = None;
    for line in head.split("\r\n") {
        let (key, value) = line.split_once(':').ok_or_else(unnamed)?;
        // A folded line begins with a space; a lone CR or LF ends a line for some readers.
        let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_plain || value.contains(['\r', '\n']) {
            return Err(bad("a line of a part's head is folded or has no plain name"));
        }
        if key.eq_ignore_ascii_case("content-disposition") {
            if disposition.is_some() {
                return Err(unnamed());
            }
            disposition = Some(value);
        } else if key.eq_ignore_ascii_case("content-transfer-encoding") && value.trim() != "binary"
        {
            return Err(bad("a part is coded"));
        }
    }
    let value = disposition.and_then(|it| it.trim().strip_prefix("form-data"));
    value.and_then(only_name).ok_or_else(unnamed)
}

/// The one name among the parameters: it stands first, and nothing but a file's name follows, in quotes without any within
/// (browsers and SDKs write them as `%22`; RFC 7578, 4.2).
fn only_name(parameters: &str) -> Option<&str> {
    let (name, mut rest) = parameters.strip_prefix("; name=\"")?.split_once('"')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-[].".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        return None;
    }
    while !rest.is_empty() {
        let after = rest.strip_prefix(';')?.trim_start();
        rest = if let Some(quoted) = after.strip_prefix("filename=\"") {
            let (file, rest) = quoted.split_once('"')?;
            (!file.ends_with('\\')).then_some(rest)?
        } else {
            let coded = after.strip_prefix("filename*=")?;
            coded.split_at(coded.find(';').unwrap_or(coded.len())).1
        };
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::passed::forward_form;
    use crate::wire::Edits;

    fn form(parts: &[(&str, &str)]) -> String {
        let parts = parts.iter().map(|(head, value)| {
            format!("--xx\r\ncontent-disposition: form-data; {head}\r\n\r\n{value}\r\n")
        });
        parts.collect::<String>() + "--xx--\r\n"
    }

    fn of(body: &str) -> Result<Peek, FieldError> {
        peek(Endpoint::Transcription, body.as_bytes(), "xx")
    }

    #[test]
    fn the_model_is_found_and_replaced_and_the_file_stays() {
        let file = "RIFF\r\n--x\r\n-\0\u{7f}";
        let body = form(&[
            (
                "name=\"file\"; filename=\"a; name=b.wav\"; filename*=utf-8''a.wav\r\ncontent-type: audio/wav",
                file,
            ),
            ("name=\"model\"", "own/whisper"),
            ("name=\"prompt\"", "hello"),
            ("name=\"stream\"", "true"),
        ]);
        let peek = of(&body).unwrap();
        assert_eq!(
            (peek.model.as_str(), peek.stream, peek.text_bytes),
            ("own/whisper", true, 16 + 5)
        );
        assert_eq!(peek.audio_bytes, (file.len() as u64).div_ceil(3) * 4);
        let bytes = Bytes::from(body.clone());
        let edits = |model| Edits { model: Some(model), ask_usage: false };
        let out = forward_form(&bytes, &peek, &edits("whisper-large-v3"));
        assert_eq!(out, body.replace("own/whisper", "whisper-large-v3"));
        let same = forward_form(&bytes, &peek, &edits("own/whisper"));
        assert_eq!(same.as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let twice = form(&[("name=\"model\"", "a"), ("name=\"model\"", "b")]);
        assert_eq!(of(&twice).unwrap_err().field, "model");
        for head in [
            "name=\"mo\\\"del\"",
            "name=model",
            "filename=\"x\"; name=\"model\"",
            "name=\"model\"\r\n continued: x",
            "name=\"model\";\r\n\tfilename=\"a: b\"",
            "name=\"model\"\ncontent-type: x",
            "name=\"model\"\r\ncontent-disposition : form-data; name=\"x\"",
            "name=\"model\"; name=\"x\"",
            "name=\"model\"; filename=\"a\\\"; name=\"x\"",
            "name=\"model\"\r\ncontent-disposition: form-data; name=\"x\"",
            "name=\"model\"\r\ncontent-transfer-encoding: base64",
            "name*=utf-8''model",
        ] {
            assert!(of(&form(&[(head, "a")])).is_err(), "{head}");
        }
        let good = form(&[("name=\"model\"", "a")]);
        for bad in [
            format!("preamble\r\n{good}"),
            format!("{good}epilogue"),
            good.replace("--xx--", "--xx"),
            good.replace("\r\n\r\n", "\r\n"),
            String::new(),
        ] {
            assert!(of(&bad).is_err(), "{bad}");
        }
        assert!(of(&form(&[("name=\"model\"", "a\r\nb")])).is_err());
    }

    #[test]
    fn the_boundary_is_where_the_content_type_says() {
        let of = |value: &'static str| {
            let headers: &[(&str, &str)] = &[("content-type", value)];
            boundary(&headers)
        };
        assert_eq!(of("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(of("Multipart/Form-Data; charset=x; boundary=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(of("multipart/form-data").as_deref(), Some(""));
        assert_eq!(of("multipart/form-data; boundary=a; boundary=b").as_deref(), Some(""));
        assert_eq!(of("application/json"), None);
    }
}
