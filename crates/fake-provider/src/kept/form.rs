//! `multipart/form-data` as an upload has it, read strictly.

use crate::ask::Refused;
use crate::demo::Call;

/// A part of a form.
pub(super) struct Field<'a> {
    pub(super) name: String,
    pub(super) filename: Option<String>,
    pub(super) value: &'a [u8],
}

impl Field<'_> {
    pub(super) fn text(&self) -> Result<&str, Refused> {
        let bad = |_| Refused::field(self.name.clone(), "a field must be UTF-8 text");
        std::str::from_utf8(self.value).map_err(bad)
    }
}

/// Every part, in order.
pub(super) fn fields<'a>(call: &Call<'a>) -> Result<Vec<Field<'a>>, Refused> {
    let kind = call.header("content-type").unwrap_or_default();
    let boundary = kind
        .strip_prefix("multipart/form-data;")
        .and_then(|rest| rest.split(';').find_map(|it| it.trim().strip_prefix("boundary=")))
        .map(|it| it.trim_matches('"'))
        .filter(|it| !it.is_empty())
        .ok_or_else(|| Refused::new(415, "the body must be multipart/form-data with a boundary"))?;
    let (first, between) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let mut rest = call.body.strip_prefix(first.as_bytes()).ok_or_else(broken)?;
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        let part = rest.strip_prefix(b"\r\n").ok_or_else(broken)?;
        let end = find(part, between.as_bytes()).ok_or_else(broken)?;
        let (inner, after) = part.split_at(end);
        fields.push(field(inner)?);
        rest = after.get(between.len()..).unwrap_or_default();
    }
    Ok(fields)
}

fn field(part: &[u8]) -> Result<Field<'_>, Refused> {
    let end = find(part, b"\r\n\r\n").ok_or_else(broken)?;
    let (head, value) = part.split_at(end);
    let head = std::str::from_utf8(head).map_err(|_| broken())?;
    let disposition = head
        .split("\r\n")
        .find(|line| line.to_ascii_lowercase().starts_with("content-disposition: form-data;"))
        .ok_or_else(broken)?;
    let of = |name: &str| {
        let start = format!("{name}=\"");
        let named = disposition.split("; ").find_map(|it| it.strip_prefix(&start))?;
        Some(named.strip_suffix('"')?.to_owned())
    };
    let name = of("name").ok_or_else(broken)?;
    Ok(Field { name, filename: of("filename"), value: value.get(4..).unwrap_or_default() })
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

fn broken() -> Refused {
    Refused::new(400, "the form is not well-formed multipart/form-data")
}
