//! Forms (`multipart/form-data`), read plainly.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::ask::Refused;
use crate::demo::Call;

/// The boundary that the content type names.
pub(super) fn boundary(call: &Call<'_>) -> Option<String> {
    let kind = call.header("content-type")?;
    let rest = kind.strip_prefix("multipart/form-data")?;
    let (_, named) = rest.split_once("boundary=")?;
    Some(named.split(';').next().unwrap_or_default().trim_matches('"').to_owned())
}

/// Fields as texts, and files by the name of their field.
pub(super) type Read = (Map<String, Value>, Vec<(String, Bytes)>);

/// Reads a form.
pub(super) fn read(body: &[u8], boundary: &str) -> Result<Read, Refused> {
    let bad = || Refused::new(400, "Could not parse multipart form.");
    let (mut fields, mut files) = (Map::new(), Vec::new());
    for part in split(body, format!("--{boundary}").as_bytes()).into_iter().skip(1) {
        if part.starts_with(b"--") {
            return Ok((fields, files));
        }
        let part = part.strip_prefix(b"\r\n").ok_or_else(bad)?;
        let part = part.strip_suffix(b"\r\n").ok_or_else(bad)?;
        let at = part.windows(4).position(|it| it == b"\r\n\r\n").ok_or_else(bad)?;
        let (head, value) = part.split_at(at);
        let value = value.get(4..).unwrap_or_default();
        let head = std::str::from_utf8(head).map_err(|_| bad())?;
        let (_, rest) = head.split_once(" name=\"").ok_or_else(bad)?;
        let (name, rest) = rest.split_once('"').ok_or_else(bad)?;
        if rest.contains("filename=") {
            files.push((name.to_owned(), Bytes::copy_from_slice(value)));
            continue;
        }
        let text = std::str::from_utf8(value).map_err(|_| bad())?;
        if !name.ends_with("[]") && fields.contains_key(name) {
            return Err(Refused::field(name, format!("Duplicate parameter: '{name}'.")));
        }
        fields.insert(name.to_owned(), Value::String(text.to_owned()));
    }
    Err(bad())
}

/// One field of a form, for the journal.
pub(crate) fn field(call: &Call<'_>, name: &str) -> Option<String> {
    let (fields, _) = read(call.body, &boundary(call)?).ok()?;
    fields.get(name)?.as_str().map(str::to_owned)
}

fn split<'a>(body: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(rest) = body.get(at..).filter(|rest| rest.len() >= by.len()) {
        if rest.starts_with(by) {
            parts.push(body.get(from..at).unwrap_or_default());
            at += by.len();
            from = at;
        } else {
            at += 1;
        }
    }
    parts.push(body.get(from..).unwrap_or_default());
    parts
}
