//! Opaque reasoning as a blob. AWS's SDKs decode `redactedContent` from base64 and encode it again, so what is no base64
//! (data of another vendor, with its format's name before it) is wrapped in some, and told again by its mark.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const MARK: &str = "orx:";

/// As it may stand on the wire.
pub(super) fn write(data: &str) -> String {
    let bytes = STANDARD.decode(data).ok().filter(|bytes| STANDARD.encode(bytes) == data);
    match bytes {
        Some(bytes) if !bytes.starts_with(MARK.as_bytes()) => data.to_owned(),
        _ => STANDARD.encode(format!("{MARK}{data}")),
    }
}

/// The inverse.
pub(super) fn read(blob: String) -> String {
    let bytes = STANDARD.decode(&blob).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.strip_prefix(MARK).map(str::to_owned)).unwrap_or(blob)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_base64_on_the_wire_and_comes_back() {
        for text in [
            "c2VjcmV0",
            "",
            "openai-responses-v1:rs_2:gAAA",
            "c2VjcmV",
            "é",
            "b3J4OmE=",
            "c2VjcmV0\n",
        ] {
            let blob = write(text);
            assert_eq!(STANDARD.encode(STANDARD.decode(&blob).unwrap()), blob, "{text}");
            assert_eq!(read(blob), text);
        }
        // What is base64 anyway stays: its vendor gave it so.
        assert_eq!(write("c2VjcmV0"), "c2VjcmV0");
    }
}
