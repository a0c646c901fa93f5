//! Errors that we make, in the shapes that clients expect (ux 6.5).

use std::fmt::Write as _;

use dialect::{ClientError, DialectId, dialect as find};

use crate::support::{self, ALL};

const CODES: [(&str, u16); 21] = [
    ("missing_api_key", 401),
    ("key_revoked", 401),
    ("model_not_allowed", 403),
    ("residency_refused", 403),
    ("model_not_found", 404),
    ("bad_json", 400),
    ("bad_field", 400),
    ("feature_not_portable", 400),
    ("body_too_large", 413),
    ("context_too_long", 400),
    ("budget_exceeded", 402),
    ("budget_exceeded", 429),
    ("rate_limited", 429),
    ("upstream_rate_limited", 429),
    ("overloaded", 503),
    ("no_candidate", 503),
    ("upstream_error", 502),
    ("upstream_timeout", 504),
    ("upstream_auth", 502),
    ("draining", 503),
    ("ledger_unavailable", 503),
];

fn error(code: &'static str, status: u16) -> ClientError<'static> {
    ClientError {
        code,
        status,
        message: "budget `search` is spent:\n\"100 USD\"",
        fix: "ask an admin",
        request_id: "req_1",
        provider: (status >= 500).then_some("acme"),
        attempts: 2,
        field: (status == 400).then_some("messages[2].content"),
        retry_after_ms: (status == 429).then_some(34_500),
    }
}

#[test]
fn every_code_has_the_words_that_its_clients_act_on() {
    let mut table = String::new();
    for (code, status) in CODES {
        let words = ALL.into_iter().filter_map(|id| {
            let body: serde_json::Value =
                serde_json::from_slice(&find(id).render_error(&error(code, status))).unwrap();
            // Converse and Cohere have no object around it. Converse has its word in a header, Cohere none.
            let bare = matches!(id, DialectId::BedrockConverse | DialectId::CohereChat);
            let inner = if bare { &body } else { &body["error"] };
            let headers = find(id).error_headers(&error(code, status));
            assert_eq!(inner["outrigger"]["code"], code);
            assert_eq!(inner["message"], "budget `search` is spent:\n\"100 USD\"");
            let word = |name: &str| inner[name].as_str().unwrap_or("-").to_owned();
            Some(match (id, headers.as_slice()) {
                (DialectId::CohereChat, _) => return None,
                (DialectId::Gemini, _) => format!("{} {}", word("status"), inner["code"]),
                (_, []) => format!("{} {}", word("type"), word("code")),
                (_, [(name, value)]) => format!("{name}: {value}"),
                _ => unreachable!("one header at most"),
            })
        });
        let words: Vec<String> = words.collect();
        writeln!(table, "{code} {status}: {}", words.join(" | ")).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn bodies_and_events() {
    let mut shown = String::new();
    for id in ALL {
        for error in [error("bad_field", 400), error("stream_interrupted", 502)] {
            let body = find(id).render_error(&error);
            let event = find(id).render_error_event(&error);
            shown.push_str(&String::from_utf8(body).unwrap());
            shown.push('\n');
            shown.push_str(&support::shown(id, &event));
            shown.push_str("---\n");
        }
    }
    insta::assert_snapshot!(shown);
}

/// Bodies as servers send them: vendors, llama.cpp in both dialects, vLLM of old, FastAPI, a proxy.
#[test]
fn an_error_is_known_by_its_shape() {
    let openai = r#"{"error": {"message": "no", "type": "invalid_request_error", "param": null, "code": null}}"#;
    let anthropic =
        r#"{"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}"#;
    let llama = r#"{"error": {"code": 400, "message": "no", "type": "exceed_context_size_error"}}"#;
    let flat = r#"{"object": "error", "message": "no", "type": "BadRequestError", "code": 400}"#;
    let known = |body: &str| ALL.map(|id| find(id).is_own_error(body.as_bytes()));
    assert_eq!(known(openai), [true, false, true, false, false, false]);
    assert_eq!(
        known(anthropic),
        [true, true, true, false, false, false],
        "it has all that OpenAI's clients read"
    );
    assert_eq!(known(llama), [true, false, true, false, false, false]);
    let gemini = r#"{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}"#;
    assert_eq!(known(gemini), [true, false, true, true, false, false]);
    assert_eq!(known(&format!("[{gemini}]")), [false, false, false, true, false, false]);
    let bare = r#"{"message": "no"}"#;
    assert_eq!(known(bare), [false, false, false, false, true, true]);
    assert_eq!(
        known(flat),
        [false, false, false, false, false, true],
        "Cohere's clients read no more"
    );
    for stranger in
        [r#"{"detail": "Not Found"}"#, r#"{"error": "no"}"#, "<h1>no</h1>", "", "[]", "{}"]
    {
        assert_eq!(known(stranger), [false; 6], "{stranger}");
    }
}
