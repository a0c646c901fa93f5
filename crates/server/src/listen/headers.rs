//! Which headers cross the gateway, in either direction. Allow-lists: what is not named here does not pass.
//!
//! So no list of bad names has to be complete. Hop-by-hop headers, `x-forwarded-*`, our own `x-outrigger-*`, names
//! with underscores (which some servers read as hyphens), the client's credentials and its SDK's telemetry
//! (`x-stainless-*`) all stop here because nobody invited them. Organisation and project headers stop too: they
//! belong to a key, and upstream the key is the operator's.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, header};

/// Where a provider's own request id stands in our answers; `x-request-id` and `request-id` are ours.
pub const UPSTREAM_REQUEST_ID: HeaderName =
    HeaderName::from_static("x-outrigger-upstream-request-id");

/// Longest header value that is passed on, in bytes.
const VALUE_MAX: usize = 1024;

/// Headers of which two would be a contradiction; then neither passes.
const SINGLE: &[&str] = &["anthropic-version", "x-client-request-id"];

/// The headers of an upstream request, but for the credential: what the client may say (`names`) to a provider that is
/// spoken to in the client's own dialect, and what we say ourselves. The pool adds `host`, `content-length` and
/// `accept-encoding`.
pub fn to_provider(names: &'static [&'static str], client: &HeaderMap) -> HeaderMap {
    let mut headers = ours();
    for name in names {
        let values = client.get_all(*name);
        if SINGLE.contains(name) && values.iter().count() > 1 {
            continue;
        }
        for value in values.iter().filter(|it| value_ok(it)) {
            headers.append(HeaderName::from_static(name), value.clone());
        }
    }
    headers
}

/// The headers of an upstream request in a dialect that is not the client's: ours alone.
pub fn ours() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("outrigger/", env!("CARGO_PKG_VERSION"))),
    );
    headers
}

fn value_ok(value: &HeaderValue) -> bool {
    value.len() <= VALUE_MAX && value.to_str().is_ok()
}

/// Copies from a provider's answer into ours what the client may see: the content type, when to come back, the
/// rate limits, processing times, and the provider's request id under a name of its own.
pub fn to_client(provider: &HeaderMap, ours: &mut HeaderMap) {
    for (name, value) in provider {
        let text = name.as_str();
        let kept = match text.as_bytes().first() {
            Some(b'c') => *name == CONTENT_TYPE,
            Some(b'r') => {
                if text == "request-id" {
                    ours.insert(UPSTREAM_REQUEST_ID, value.clone());
                }
                *name == header::RETRY_AFTER || text == "retry-after-ms"
            }
            Some(b'x') => {
                let is_id = text == "x-request-id" || text == "x-amzn-requestid";
                if is_id && !ours.contains_key(UPSTREAM_REQUEST_ID) {
                    ours.insert(UPSTREAM_REQUEST_ID, value.clone());
                }
                // The name of an error of AWS stands in a header.
                text.starts_with("x-ratelimit-") || text == "x-amzn-errortype"
            }
            Some(b'a') => text.starts_with("anthropic-ratelimit-"),
            Some(b'o') => text == "openai-processing-ms" || text == "openai-version",
            _ => false,
        };
        if kept && value_ok(value) && !text.contains('_') {
            ours.append(name.clone(), value.clone());
        }
    }
}

/// The coding of a request's body, if it is coded. None is accepted (415): a small bomb must not become a big
/// body, and the bytes are forwarded as they are.
pub fn body_coding(client: &HeaderMap) -> Option<&HeaderValue> {
    client
        .get(header::CONTENT_ENCODING)
        .filter(|it| !it.is_empty() && !it.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use dialect::{DialectId, dialect};

    use super::{HeaderMap, HeaderName, HeaderValue, body_coding, to_client};

    fn to_provider(id: DialectId, client: &HeaderMap) -> HeaderMap {
        super::to_provider(dialect(id).forwarded_headers(), client)
    }

    fn shown(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort_unstable();
        lines.retain(|it| it != concat!("user-agent: outrigger/", env!("CARGO_PKG_VERSION")));
        lines
    }

    fn map(pairs: &[(&str, &[u8])]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        map
    }

    /// Everything a client might try to get through.
    fn hostile() -> HeaderMap {
        map(&[
            ("host", b"evil.example"),
            ("connection", b"keep-alive, x-foo"),
            ("keep-alive", b"1"),
            ("proxy-authenticate", b"x"),
            ("proxy-authorization", b"x"),
            ("proxy-connection", b"x"),
            ("te", b"trailers"),
            ("trailer", b"x"),
            ("transfer-encoding", b"chunked"),
            ("upgrade", b"h2c"),
            ("http2-settings", b"x"),
            ("content-length", b"5"),
            ("content-encoding", b"gzip"),
            ("accept-encoding", b"gzip"),
            ("expect", b"100-continue"),
            ("x-forwarded-for", b"1.2.3.4"),
            ("x-forwarded-host", b"evil.example"),
            ("x-forwarded-proto", b"https"),
            ("x-real-ip", b"1.2.3.4"),
            ("forwarded", b"for=1.2.3.4"),
            ("via", b"x"),
            ("x-outrigger-route", b"x"),
            ("x-outrigger-request-id", b"x"),
            ("authorization", b"Bearer or-canary"),
            ("x-api-key", b"or-canary"),
            ("api-key", b"or-canary"),
            ("cookie", b"a=b"),
            ("openai-organization", b"org"),
            ("openai-project", b"proj"),
            ("anthropic-workspace-id", b"w"),
            ("x-stainless-lang", b"python"),
            ("user-agent", b"client/1"),
            ("anthropic_version", b"2023-06-01"),
            ("anthropic_beta", b"x"),
            ("openai_beta", b"x"),
            ("x-goog-api-key", b"x"),
            ("x-amz-security-token", b"x"),
            ("openai-beta", b"assistants=v2"),
            ("openai-beta", b"caf\xe9"),
            ("anthropic-beta", b"a,b"),
            ("anthropic-beta", b"c"),
            ("anthropic-version", b"2023-06-01"),
            ("x-client-request-id", b"mine"),
            ("content-type", b"text/plain"),
        ])
    }

    #[test]
    fn a_provider_sees_the_allow_list_only() {
        assert_eq!(
            shown(&to_provider(DialectId::OpenaiChat, &hostile())),
            [
                "content-type: application/json",
                "openai-beta: assistants=v2",
                "x-client-request-id: mine",
            ]
        );
        assert_eq!(
            shown(&to_provider(DialectId::AnthropicMessages, &hostile())),
            [
                "anthropic-beta: a,b",
                "anthropic-beta: c",
                "anthropic-version: 2023-06-01",
                "content-type: application/json",
            ]
        );
    }

    #[test]
    fn contradictions_and_giants_do_not_pass() {
        let long = vec![b'x'; 1025];
        let client = map(&[
            ("anthropic-version", b"2023-06-01"),
            ("anthropic-version", b"2026-10-21"),
            ("anthropic-beta", &long),
        ]);
        assert_eq!(
            shown(&to_provider(DialectId::AnthropicMessages, &client)),
            ["content-type: application/json"]
        );
    }

    #[test]
    fn a_client_sees_the_allow_list_only() {
        let provider = map(&[
            ("date", b"x"),
            ("server", b"cloudflare"),
            ("content-type", b"text/event-stream; charset=utf-8"),
            ("content-length", b"5"),
            ("content-encoding", b"identity"),
            ("transfer-encoding", b"chunked"),
            ("connection", b"keep-alive"),
            ("set-cookie", b"__cf_bm=x"),
            ("cf-ray", b"x"),
            ("alt-svc", b"h3"),
            ("strict-transport-security", b"x"),
            ("access-control-allow-origin", b"*"),
            ("openai-organization", b"org-secret"),
            ("anthropic-organization-id", b"org-secret"),
            ("openai-processing-ms", b"12"),
            ("openai-version", b"2020-10-01"),
            ("x-ratelimit-limit-requests", b"500"),
            ("x-ratelimit-remaining_tokens", b"1"),
            ("x-ratelimit-reset-tokens", b"6m0s"),
            ("anthropic-ratelimit-tokens-remaining", b"7"),
            ("x-request-id", b"req_1"),
            ("retry-after", b"3"),
            ("retry-after-ms", b"3000"),
            ("x-should-retry", b"true"),
            ("x-outrigger-cost", b"0"),
            ("location", b"http://evil.example"),
        ]);
        let mut ours = map(&[("x-request-id", b"ours")]);
        to_client(&provider, &mut ours);
        assert_eq!(
            shown(&ours),
            [
                "anthropic-ratelimit-tokens-remaining: 7",
                "content-type: text/event-stream; charset=utf-8",
                "openai-processing-ms: 12",
                "openai-version: 2020-10-01",
                "retry-after-ms: 3000",
                "retry-after: 3",
                "x-outrigger-upstream-request-id: req_1",
                "x-ratelimit-limit-requests: 500",
                "x-ratelimit-reset-tokens: 6m0s",
                "x-request-id: ours",
            ]
        );
    }

    #[test]
    fn coded_bodies_are_told_apart() {
        for (value, coded) in [
            ("gzip", true),
            ("br", true),
            ("identity", false),
            ("Identity", false),
            ("x, identity", true),
        ] {
            assert_eq!(
                body_coding(&map(&[("content-encoding", value.as_bytes())])).is_some(),
                coded,
                "{value}"
            );
        }
        assert!(body_coding(&HeaderMap::new()).is_none());
    }
}
