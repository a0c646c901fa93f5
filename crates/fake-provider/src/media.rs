//! What can be said of an attachment without decoding it: kind, size in pixels, size in bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An attachment as seen, and what it costs.
pub(crate) struct Seen {
    /// One line for the answer: "png 2x3, 71 bytes".
    pub(crate) line: String,
    pub(crate) tokens: u64,
}

/// Looks at base64 data that claims to be `media_type`. `Err` is a sentence for the caller's mistake.
pub(crate) fn image(media_type: &str, data: &str) -> Result<Seen, String> {
    let bytes = decode(data)?;
    let Some((kind, width, height)) = sniff(&bytes) else {
        return Err("could not process image".to_owned());
    };
    if media_type != format!("image/{kind}") {
        return Err(format!(
            "the image was declared as {media_type}, but its bytes are image/{kind}"
        ));
    }
    Ok(Seen {
        line: format!("{kind} {width}x{height}, {} bytes", bytes.len()),
        tokens: crate::tokens::image(width, height),
    })
}

/// A document in base64: its type and size.
pub(crate) fn document(media_type: &str, data: &str) -> Result<Seen, String> {
    let bytes = decode(data)?;
    if media_type == "application/pdf" && !bytes.starts_with(b"%PDF-") {
        return Err("the PDF specified was not valid".to_owned());
    }
    Ok(Seen {
        line: format!("{media_type}, {} bytes", bytes.len()),
        tokens: (bytes.len() as u64).div_ceil(4),
    })
}

/// `data:image/png;base64,...` -> (media type, data).
pub(crate) fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// Standard base64 only, as vendors want it (no base64url, no line breaks).
fn decode(data: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(data).map_err(|_| "invalid base64 data".to_owned())
}

fn be16(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(*b.get(at)?) << 8 | u64::from(*b.get(at + 1)?))
}

fn le16(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(*b.get(at + 1)?) << 8 | u64::from(*b.get(at)?))
}

fn sniff(b: &[u8]) -> Option<(&'static str, u64, u64)> {
    if b.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(("png", be16(b, 18)?, be16(b, 22)?));
    }
    if b.starts_with(b"GIF8") {
        return Some(("gif", le16(b, 6)?, le16(b, 8)?));
    }
    if b.starts_with(b"RIFF") && b.get(8..12) == Some(b"WEBP") {
        return Some(("webp", le16(b, 26)? & 0x3fff, le16(b, 28)? & 0x3fff));
    }
    if b.starts_with(&[0xff, 0xd8]) {
        return jpeg(b).map(|(w, h)| ("jpeg", w, h));
    }
    None
}

/// Walks JPEG segments to the frame header, which holds the size.
fn jpeg(b: &[u8]) -> Option<(u64, u64)> {
    let mut at = 2;
    while *b.get(at)? == 0xff {
        let marker = *b.get(at + 1)?;
        if matches!(marker, 0xc0..=0xc3 | 0xc5..=0xc7) {
            return Some((be16(b, at + 7)?, be16(b, at + 5)?));
        }
        at += 2 + usize::try_from(be16(b, at + 2)?).ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 1x1 PNG.
    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

    #[test]
    fn an_image_is_seen_and_a_wrong_label_is_refused() {
        let seen = image("image/png", PNG).unwrap();
        assert!(seen.line.starts_with("png 1x1, "));
        assert!(image("image/jpeg", PNG).is_err());
        assert!(image("image/png", "bm90IGFuIGltYWdl").is_err());
        assert!(image("image/png", "-_-_").is_err(), "base64url is not base64");
    }
}
