//! Images and documents given by URL, for providers that fetch none: what they are told instead once somebody fetched
//! them. Whoever that is does it elsewhere; here is which, and what a fetched file is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::LossReport;

use crate::exchange::{Exchange, Media, Part, PartKind};
use crate::loss::{self, Corner};
use crate::quirks::Quirks;
use crate::registry::Dialect;

/// What is at a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    /// An image.
    Image,
    /// A document.
    Document,
}

/// Something at a URL that the provider does not fetch by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote<'a> {
    /// What it is said to be.
    pub kind: MediaKind,
    /// Where it is: `http` or `https`.
    pub url: &'a str,
    /// Where the request says so, in the client's spelling.
    pub place: String,
}

/// What is at URLs that a provider of `dialect` would not fetch, in the request's order, each once.
pub fn unfetched<'a>(
    exchange: &'a Exchange,
    dialect: &dyn Dialect,
    quirks: &Quirks,
) -> Vec<Remote<'a>> {
    let mut found: Vec<Remote<'a>> = Vec::new();
    let system = exchange.system.iter().map(|part| (part, None));
    let said = exchange
        .messages
        .iter()
        .flat_map(|message| message.parts.iter().map(move |part| (part, Some(message))));
    for (part, message) in system.chain(said) {
        each(part, &mut |kind, media| {
            let Media::Url(url) = media else { return };
            let known = found.iter().any(|it| it.kind == kind && it.url == url);
            if known || !is_to_fetch(kind, url, exchange, dialect, quirks) {
                return;
            }
            let place = message.map_or_else(|| "system".to_owned(), |it| exchange.place(it));
            found.push(Remote { kind, url, place });
        });
    }
    found
}

/// The request with what [`unfetched`] lists inline, as `file` gives it; noted as carried by other means.
pub fn inlined(
    exchange: &Exchange,
    dialect: &dyn Dialect,
    quirks: &Quirks,
    losses: &mut LossReport,
    file: impl Fn(MediaKind, &str) -> Option<Media>,
) -> Exchange {
    let mut inlined = exchange.clone();
    let said = inlined.messages.iter_mut().flat_map(|message| &mut message.parts);
    for part in inlined.system.iter_mut().chain(said) {
        each_mut(part, &mut |kind, media| {
            let Media::Url(url) = media else { return };
            if !is_to_fetch(kind, url, exchange, dialect, quirks) {
                return;
            }
            if let Some(found) = file(kind, url) {
                *media = found;
                loss::note(
                    losses,
                    exchange,
                    match kind {
                        MediaKind::Image => Corner::RemoteImage,
                        MediaKind::Document => Corner::RemoteDocument,
                    },
                );
            }
        });
    }
    inlined
}

fn is_to_fetch(
    kind: MediaKind,
    url: &str,
    exchange: &Exchange,
    dialect: &dyn Dialect,
    quirks: &Quirks,
) -> bool {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    is_web && !dialect.takes_url(kind, url, exchange.from, quirks)
}

fn each<'a>(part: &'a Part, see: &mut impl FnMut(MediaKind, &'a Media)) {
    match &part.kind {
        PartKind::Image(image) => see(MediaKind::Image, &image.source),
        PartKind::Document(document) => see(MediaKind::Document, &document.source),
        PartKind::ToolResult(result) => result.parts.iter().for_each(|part| each(part, see)),
        _ => {}
    }
}

fn each_mut(part: &mut Part, see: &mut impl FnMut(MediaKind, &mut Media)) {
    match &mut part.kind {
        PartKind::Image(image) => see(MediaKind::Image, &mut image.source),
        PartKind::Document(document) => see(MediaKind::Document, &mut document.source),
        PartKind::ToolResult(result) => {
            result.parts.iter_mut().for_each(|part| each_mut(part, see));
        }
        _ => {}
    }
}

/// Stands in for what is at a URL, to ask what a request would lose if that were inline.
pub fn stand_in(kind: MediaKind) -> Media {
    match kind {
        MediaKind::Image => Media::Base64 { media_type: "image/png".into(), data: String::new() },
        // The kind that most protocols take.
        MediaKind::Document => Media::Text(String::new()),
    }
}

/// What office programs write, by the name its server gives it; both are told by how they begin.
const OFFICE: [(&str, &[u8]); 4] = [
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\x03\x04"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK\x03\x04"),
    ("application/msword", b"\xd0\xcf\x11\xe0"),
    ("application/vnd.ms-excel", b"\xd0\xcf\x11\xe0"),
];

/// What a fetched file is. The bytes tell; what its server says is asked only of what bytes don't tell: that a text is
/// meant to be read, and which office program wrote it.
///
/// # Errors
/// Why it is none of what providers take.
pub fn media_of(kind: MediaKind, said: Option<&str>, file: &[u8]) -> Result<Media, &'static str> {
    let inline = |media_type: &str| Media::Base64 {
        media_type: media_type.to_owned(),
        data: STANDARD.encode(file),
    };
    match kind {
        MediaKind::Image => {
            image_type(file).map(inline).ok_or("it is no PNG, JPEG, GIF or WebP image")
        }
        MediaKind::Document if file.starts_with(b"%PDF-") => Ok(inline("application/pdf")),
        MediaKind::Document => {
            let office =
                |(name, begin): &&(&str, &[u8])| said == Some(*name) && file.starts_with(begin);
            if let Some((name, _)) = OFFICE.iter().find(office) {
                return Ok(inline(name));
            }
            let is_text = said.is_some_and(|said| said.starts_with("text/"));
            let text = std::str::from_utf8(file).ok();
            let text = text.filter(|text| is_text && !text.contains('\0'));
            text.map(|text| Media::Text(text.to_owned()))
                .ok_or("it is neither PDF nor text nor a document of a known office program")
        }
    }
}

fn image_type(file: &[u8]) -> Option<&'static str> {
    match file {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Incoming, Target};
    use crate::{DialectId, dialect};

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

    /// A request of an OpenAI client with an image, and one of an Anthropic client with a document in a tool's result.
    fn asked(body: &str, from: DialectId) -> Exchange {
        dialect(from).read_request(&Incoming::new(body.as_bytes(), &())).unwrap()
    }

    fn with_image(url: &str) -> Exchange {
        let part = format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#);
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#);
        asked(&body, DialectId::OpenaiChat)
    }

    fn urls(exchange: &Exchange, to: DialectId, words: &[&'static str]) -> Vec<String> {
        let quirks = Quirks::from_words(words.iter().copied()).unwrap();
        let found = unfetched(exchange, dialect(to), &quirks);
        found.into_iter().map(|it| format!("{} {}", it.place, it.url)).collect()
    }

    #[test]
    fn each_protocol_says_which_urls_its_providers_fetch() {
        use DialectId as D;
        let safe = with_image("https://x.example/a.png");
        let plain = with_image("http://x.example/a.png");
        let none: Vec<String> = Vec::new();
        for to in
            [D::OpenaiChat, D::OpenaiResponses, D::AnthropicMessages, D::CohereChat, D::Gemini]
        {
            assert_eq!(urls(&safe, to, &[]), none, "{to:?}");
            assert_eq!(urls(&safe, to, &["no_remote_images"]).len(), 1, "{to:?}");
        }
        assert_eq!(urls(&plain, D::Gemini, &[]), ["messages[0].content http://x.example/a.png"]);
        assert_eq!(urls(&safe, D::BedrockConverse, &[]).len(), 1);
        assert_eq!(urls(&with_image("s3://bucket/a.png"), D::BedrockConverse, &[]), none);
    }

    #[test]
    fn a_document_in_a_tool_result_is_found_and_put_there() {
        let exchange = asked(
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result",
            "tool_use_id":"t","content":[{"type":"document","source":{"type":"url","url":"https://x.example/d"}}]}]}]}"#,
            DialectId::AnthropicMessages,
        );
        let quirks = Quirks::default();
        for (to, count) in [
            (DialectId::BedrockConverse, 1),
            (DialectId::OpenaiChat, 1),
            (DialectId::CohereChat, 1),
            (DialectId::OpenaiResponses, 0),
        ] {
            assert_eq!(unfetched(&exchange, dialect(to), &quirks).len(), count, "{to:?}");
        }
        let mut losses = LossReport::default();
        let to = dialect(DialectId::BedrockConverse);
        let inline = inlined(&exchange, to, &quirks, &mut losses, |kind, _| {
            media_of(kind, Some("text/plain"), b"what it says").ok()
        });
        assert_eq!(losses.to_string(), "messages[].content[].source=emulated");
        let target = Target {
            model: "m",
            max_output: None,
            quirks: &quirks,
            anthropic_version: "2023-06-01",
            compartment: None,
            ask_usage: true,
        };
        let written = to.write_request(&inline, &target, &mut losses).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&written.body).unwrap();
        let document = &body["messages"][0]["content"][0]["toolResult"]["content"][0]["document"];
        assert_eq!(document["source"]["bytes"], STANDARD.encode("what it says"));
    }

    #[test]
    fn a_file_is_what_its_bytes_say() {
        let image = media_of(MediaKind::Image, Some("text/html"), PNG);
        let wanted = Media::Base64 { media_type: "image/png".into(), data: STANDARD.encode(PNG) };
        assert_eq!(image, Ok(wanted));
        assert!(media_of(MediaKind::Image, Some("image/png"), b"<html>").is_err());
        let pdf = media_of(MediaKind::Document, None, b"%PDF-1.7 and so on");
        assert!(
            matches!(pdf, Ok(Media::Base64 { media_type, .. }) if media_type == "application/pdf")
        );
        let text = media_of(MediaKind::Document, Some("text/csv"), b"a,b\n");
        assert_eq!(text, Ok(Media::Text("a,b\n".into())));
        for (said, file) in [
            (Some("application/msword"), b"\xff\0".as_slice()),
            (Some("text/plain"), b"\xff\xfe"),
            (Some("text/plain"), b"a\0b"),
            (Some("application/json"), b"{}"),
            (None, b"a,b"),
        ] {
            assert!(media_of(MediaKind::Document, said, file).is_err(), "{said:?}");
        }
    }
}
