//! AWS event-stream frames, written: lengths, headers, payload, checksums.

use bytes::Bytes;
use serde_json::Value;

/// An event of a stream. Real ones carry padding of varying length under `p`.
pub(crate) fn event(name: &str, payload: &Value) -> Bytes {
    let mut payload = payload.clone();
    payload["p"] = "abcdefghijklmnop".into();
    frame(
        &[(":event-type", name), (":content-type", "application/json"), (":message-type", "event")],
        &payload,
    )
}

/// An exception: the stream's end.
pub(crate) fn exception(name: &str, message: &str) -> Bytes {
    let headers = [
        (":exception-type", name),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    frame(&headers, &serde_json::json!({"message": message}))
}

fn frame(headers: &[(&str, &str)], payload: &Value) -> Bytes {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap_or_default());
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or_default().to_be_bytes();
    let mut out = Vec::new();
    out.extend_from_slice(&length(16 + head.len() + payload.len()));
    out.extend_from_slice(&length(head.len()));
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload.as_bytes());
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    Bytes::from(out)
}

/// Bit by bit: the fake is never in a hurry.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn checksums_are_the_common_ones() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
