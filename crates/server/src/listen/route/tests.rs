//! The table of paths (T-H5) and the keyless guard (U19).

use dialect::{DialectId, StreamForm};
use domain::Envelope;
use http::{HeaderMap, HeaderValue, Method};

use super::{Access, Action, NoRoute, ROUTES, Speaks, find, keyless_allowed};

fn seek(path: &str) -> Result<(&'static str, Option<String>), NoRoute> {
    let mut last = Err(NoRoute::Query);
    for method in [Method::GET, Method::POST] {
        match find(&method, path, None) {
            Ok(found) => return Ok((found.route.path, found.id.map(std::borrow::Cow::into_owned))),
            Err(it) => last = Err(it),
        }
    }
    last
}

#[test]
fn every_route_is_found_by_its_path_and_method_only() {
    for route in ROUTES {
        let path = route.path.replace('*', "x");
        let methods = [
            Method::GET,
            Method::POST,
            Method::DELETE,
            Method::PUT,
            Method::PATCH,
            Method::OPTIONS,
        ];
        let same = || ROUTES.iter().filter(|it| it.path == route.path);
        let (right, wrong): (Vec<_>, Vec<_>) =
            methods.into_iter().partition(|method| same().any(|it| it.method.is(method)));
        for method in right.iter().filter(|method| route.method.is(method)) {
            assert_eq!(find(method, &path, None).unwrap().route, route);
        }
        let allow = super::allow(route);
        assert!(right.iter().all(|it| allow.contains(it.as_str())), "{path}: {allow}");
        for method in wrong {
            assert_eq!(
                find(&method, &path, None),
                Err(NoRoute::WrongMethod { allow }),
                "{method} {path}"
            );
        }
    }
}

#[test]
fn only_what_says_nothing_is_open() {
    let open: Vec<_> =
        ROUTES.iter().filter(|it| it.access == Access::Open).map(|it| it.action).collect();
    assert_eq!(open, [Action::Live, Action::Ready, Action::Live, Action::Start]);
    let mut paths: Vec<_> = ROUTES.iter().map(|it| (it.path, it.method.allow())).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), ROUTES.len(), "no path stands twice for a method");
}

#[test]
fn ids_may_hold_slashes_and_are_decoded_once() {
    for (path, id) in [
        ("/v1/models/gpt-4.1", "gpt-4.1"),
        ("/v1/models/azure/gpt-5.1", "azure/gpt-5.1"),
        ("/v1/models/azure%2Fgpt-5.1", "azure/gpt-5.1"),
        ("/v1/models/azure%2fgpt-5.1", "azure/gpt-5.1"),
        ("/v1/models/bedrock/anthropic.claude-v1%3A0", "bedrock/anthropic.claude-v1:0"),
        ("/v1/models/cf/%40cf/meta/llama", "cf/@cf/meta/llama"),
        ("/openai/v1/models/a:b@c", "a:b@c"),
        ("/v1/outrigger/requests/0192-ab", "0192-ab"),
    ] {
        assert_eq!(seek(path).unwrap().1.as_deref(), Some(id), "{path}");
    }
    for path in [
        "/v1/models/",
        "/v1/outrigger/requests/",
        "/v1/models/a b",
        "/v1/models/a\u{fc}",
        "/v1/models/a,b",
    ] {
        assert!(seek(path).is_err(), "{path}");
    }
}

/// Claude Code in its Bedrock mode; the AWS SDK's client of the `bedrock` service.
#[test]
fn what_bedrock_lists_is_listed() {
    for (path, query, action) in [
        ("/inference-profiles", "type=SYSTEM_DEFINED&maxResults=100", Action::Profiles),
        ("/foundation-models", "byProvider=anthropic", Action::Models),
        ("/foundation-models/claude%2Fx", "", Action::Model),
    ] {
        let query = Some(query).filter(|it| !it.is_empty());
        let found = find(&Method::GET, path, query).unwrap();
        assert_eq!(found.route.action, action, "{path}");
        assert_eq!(found.route.speaks, Speaks::One(DialectId::BedrockConverse), "{path}");
    }
}

/// AzureOpenAI puts its version into the query, also where the path has one.
#[test]
fn azures_version_may_stand_anywhere() {
    for (method, path) in [
        (Method::POST, "/openai/v1/chat/completions"),
        (Method::POST, "/openai/v1/responses"),
        (Method::POST, "/openai/responses/input_tokens"),
        (Method::POST, "/openai/deployments/gpt-5/chat/completions"),
        (Method::GET, "/openai/models"),
        (Method::GET, "/openai/models/azure/gpt-5"),
        (Method::GET, "/openai/v1/models"),
    ] {
        find(&method, path, Some("api-version=preview")).unwrap();
        assert_eq!(find(&method, path, Some("version=1")), Err(NoRoute::Query), "{path}");
    }
}

/// What boto3, AnthropicBedrock and AnthropicVertex (Python SDK 2.12) ask for.
#[test]
fn claude_is_found_in_the_clouds_envelopes() {
    let vertex = "/v1/projects/p/locations/europe-west1/publishers/anthropic/models";
    for (path, envelope, action, id, streams) in [
        (
            "/model/us.anthropic.x-v1%3A0/invoke",
            Envelope::BedrockInvoke,
            Action::Chat,
            "us.anthropic.x-v1:0",
            false,
        ),
        (
            "/model/bedrock%2Fx/invoke-with-response-stream",
            Envelope::BedrockInvoke,
            Action::Chat,
            "bedrock/x",
            true,
        ),
        (
            &format!("{vertex}/claude-x@20260101:rawPredict"),
            Envelope::VertexRawPredict,
            Action::Chat,
            "claude-x@20260101",
            false,
        ),
        (
            &format!("{vertex}/claude-x%4020260101:streamRawPredict"),
            Envelope::VertexRawPredict,
            Action::Chat,
            "claude-x@20260101",
            true,
        ),
        (
            &format!("{vertex}/count-tokens:rawPredict"),
            Envelope::VertexRawPredict,
            Action::CountTokens,
            "europe-west1",
            false,
        ),
    ] {
        let found = find(&Method::POST, path, None).unwrap();
        assert_eq!((found.route.envelope, found.route.action), (envelope, action), "{path}");
        assert_eq!(found.route.speaks, Speaks::One(DialectId::AnthropicMessages), "{path}");
        assert_eq!(
            (found.id.as_deref(), found.route.stream.is_some()),
            (Some(id), streams),
            "{path}"
        );
    }
    // Of the three spellings, the one without a version is of clients whose base URL is expected to end in it.
    for version in ["/v1", "/v1beta1", ""] {
        for (verb, action) in [
            ("anthropic/models/claude/x:rawPredict", Action::Chat),
            ("anthropic/models/claude/x:streamRawPredict", Action::Chat),
            ("anthropic/models/count-tokens:rawPredict", Action::CountTokens),
            ("google/models/claude/x:generateContent", Action::Chat),
            ("google/models/claude/x:streamGenerateContent", Action::Chat),
            ("google/models/claude/x:countTokens", Action::CountTokens),
        ] {
            let path = format!("{version}/projects/p/locations/global/publishers/{verb}");
            let found = find(&Method::POST, &path, None).unwrap();
            let is_claude = verb.starts_with("anthropic");
            assert_eq!(found.route.envelope == Envelope::VertexRawPredict, is_claude, "{path}");
            assert_eq!(found.route.action, action, "{path}");
            if !verb.contains("count-tokens") {
                assert_eq!(found.id.as_deref(), Some("claude/x"), "{path}");
            }
        }
    }
    // A signature in the query would be in every log.
    let signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00";
    assert_eq!(find(&Method::POST, "/model/m/invoke", Some(signed)), Err(NoRoute::Query));
}

/// Ways to write a character or a path so that somebody might take it for another.
fn disguises(path: &str) -> Vec<String> {
    let mut all = Vec::new();
    for part in [
        "/",
        "//",
        "/.",
        "/./",
        "/..",
        "/../",
        "/..;/",
        "/%2e/",
        "/%2e%2e/",
        "/%2E%2E/",
        "/.%2e/",
        "/%2e./",
        "/..%2f",
        "/..%5c",
        "/..\\",
        "\\",
        "\\\\",
        "%5c",
        "%5C",
        "%2f",
        "%2F",
        "%252f",
        "%00",
        "%0a",
        "%0d%0a",
        "%09",
        "%20",
        ";",
        ";a=b",
        ";/",
        "%3b",
        "#",
        "%23",
        "%3f",
        "?",
        ".",
        "..",
        "~",
        "*",
        "%",
        "%%",
        "%2",
        "%zz",
        "%u002f",
        "%c0%af",
        "%c0%ae",
        "%e0%80%af",
        "%ef%bc%8f",
        "\u{ff0f}",
        "\u{2215}",
        "\u{2028}",
        "\u{a0}",
        "\u{200b}",
        "\u{202e}",
        "\t",
        " ",
        "\u{0}",
        "\u{7f}",
        ",",
        "'",
        "\"",
        "<",
        "|",
        "^",
        "`",
        "{",
    ] {
        all.push(format!("{path}{part}"));
        all.push(format!("{part}{path}"));
        all.push(path.replacen('/', part, 1));
        if let Some((before, after)) = path.rsplit_once('/').filter(|(it, _)| !it.is_empty()) {
            all.push(format!("{before}{part}/{after}"));
            all.push(format!("{before}{part}{after}"));
        }
    }
    for (at, letter) in path.char_indices() {
        let (before, after) = path.split_at(at);
        let after = after.strip_prefix(letter).unwrap();
        all.push(format!("{before}%{:02x}{after}", letter as u32));
        all.push(format!("{before}{}{after}", letter.to_ascii_uppercase()));
    }
    all.retain(|it| it != path);
    all
}

#[test]
fn no_disguise_of_a_path_reaches_a_route() {
    let mut count = 0;
    let secret = [
        "/metrics",
        "/admin",
        "/admin/v1/keys",
        "/v1/outrigger/keys",
        "/debug/pprof",
        "/v1/outrigger/requests",
    ];
    let known = ROUTES.iter().map(|it| it.path).filter(|it| !it.ends_with('*') && *it != "/");
    for path in known.chain(secret) {
        for disguised in disguises(path) {
            count += 1;
            match seek(&disguised) {
                Err(_) => {}
                // What is alike on purpose: `/v1/models/` and an id, or `.../models/`, an id and a verb; and an id of
                // what is kept.
                Ok((route, Some(id))) => {
                    let is_model =
                        ["models/*", "models/*:rawPredict", "responses/*", "conversations/*"];
                    assert!(
                        is_model.iter().any(|it| route.ends_with(it))
                            && id.split('/').all(|it| !["", ".", ".."].contains(&it)),
                        "{disguised:?} gave {route} {id}"
                    );
                }
                Ok((route, None)) => {
                    assert_eq!(route, disguised, "only the exact path is the route");
                }
            }
        }
    }
    assert!(count > 500, "{count}");
}

#[test]
fn doubtful_paths_are_malformed_and_not_merely_unknown() {
    for path in [
        "//v1/models",
        "/v1//models",
        "/v1/./models",
        "/v1/../v1/models",
        "/v1/models/../admin",
        "/v1/models/..%2fadmin",
        "/v1/models/a%2f%2fb",
        "/v1/models/a//b",
        "/v1/%6dodels",
        "/v1%2fmodels",
        "/v1%5cmodels",
        "/v1\\models",
        "/v1/models;x",
        "/v1/models%00",
        "/v1/models/%00",
        "/v1/models/%252e",
        "/%2e%2e/admin",
        "/v1/mod\u{e9}ls",
        "/v1/models/.",
        "/v1/models/%2e%2e",
        "/v1/outrigger/requests/a%2fb",
        "*",
        "v1/models",
        "",
    ] {
        assert!(matches!(seek(path), Err(NoRoute::Malformed(_))), "{path:?} gave {:?}", seek(path));
    }
}

#[test]
fn an_unknown_path_names_the_nearest_route() {
    for (path, expected) in [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/v1/message", "/v1/messages"),
        ("/messages", "/v1/messages"),
        ("/anthropic/messages", "/anthropic/v1/messages"),
        ("/v1/embedding", "/v1/embeddings"),
        ("/v1/Models", "/v1/models"),
    ] {
        assert_eq!(seek(path), Err(NoRoute::Unknown { nearest: expected }), "{path}");
    }
}

#[test]
fn queries_pass_only_where_they_mean_something() {
    let ask = |path, query| {
        find(&if path == "/v1/models" { Method::GET } else { Method::POST }, path, Some(query))
    };
    for (path, query) in [
        ("/v1/messages", "beta=true"),
        ("/v1/models", "limit=20&after_id=a/b%3A1"),
        ("/v1/models", "beta=true"),
        ("/v1/models", "page_size=20&endpoint=chat"),
    ] {
        assert!(ask(path, query).is_ok(), "{path}?{query}");
    }
    for (path, query) in [
        ("/v1/messages", ""),
        ("/v1/messages", "beta=false"),
        ("/v1/messages", "beta"),
        ("/v1/messages", "beta=true&x=1"),
        ("/v1/messages", "api_key=sk"),
        ("/v1/chat/completions", "beta=true"),
        ("/v1/chat/completions", "x"),
        ("/v1/models", "limit=<script>"),
        ("/v1/models", "admin=1"),
        ("/v1/models", "&"),
    ] {
        assert_eq!(ask(path, query), Err(NoRoute::Query), "{path}?{query}");
    }
}

#[test]
fn a_shared_route_answers_in_the_shape_of_its_caller() {
    let mut headers = HeaderMap::new();
    let settle = |headers: &HeaderMap, query| Speaks::ByHeaders.settle(headers, query);
    assert_eq!(settle(&headers, None), DialectId::OpenaiChat);
    assert_eq!(settle(&headers, Some("limit=2")), DialectId::OpenaiChat);
    assert_eq!(settle(&headers, Some("pageSize=2&key=or-a-b")), DialectId::Gemini);
    headers.insert("x-goog-api-key", HeaderValue::from_static("or-a-b"));
    assert_eq!(settle(&headers, None), DialectId::Gemini);
    headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    assert_eq!(settle(&headers, None), DialectId::AnthropicMessages);
    assert_eq!(super::OPENAI.settle(&headers, None), DialectId::OpenaiChat);
    for sdk in ["cohere", "cohere-ai"] {
        let mut headers = HeaderMap::new();
        headers.insert("x-fern-sdk-name", HeaderValue::from_static(sdk));
        assert_eq!(settle(&headers, None), DialectId::CohereChat);
    }
}

/// Google's clients name the model, the verb and the form of the answer in path and query.
#[test]
fn the_path_and_the_query_say_what_a_google_client_wants() {
    let facts = |path: &str, query: Option<&str>| {
        let found = find(&Method::POST, path, query).unwrap();
        let facts = found.path_facts();
        (found.route.action, facts.model.unwrap().to_owned(), facts.stream)
    };
    let model = "mock/gemini-3.6-flash".to_owned();
    for path in [
        "/v1beta/models/mock/gemini-3.6-flash",
        "/v1beta/mock/gemini-3.6-flash",
        "/v1/models/mock%2Fgemini-3.6-flash",
        "/v1beta1/projects/p/locations/eu/publishers/google/models/mock/gemini-3.6-flash",
        "/v1/publishers/google/models/mock/gemini-3.6-flash",
    ] {
        let verb = |verb: &str| format!("{path}:{verb}");
        let whole = facts(&verb("generateContent"), Some("key=or-a-b"));
        assert_eq!(whole, (Action::Chat, model.clone(), None), "{path}");
        let events = facts(&verb("streamGenerateContent"), Some("alt=sse"));
        assert_eq!(events, (Action::Chat, model.clone(), Some(StreamForm::Events)));
        let array = facts(&verb("streamGenerateContent"), None);
        assert_eq!(array, (Action::Chat, model.clone(), Some(StreamForm::Array)));
    }
    for (verb, action) in [
        ("countTokens", Action::CountTokens),
        ("embedContent", Action::Embeddings),
        ("batchEmbedContents", Action::Embeddings),
    ] {
        assert_eq!(
            facts(&format!("/v1beta/models/e:{verb}"), None),
            (action, "e".to_owned(), None)
        );
    }
    let bad = |path, query| find(&Method::POST, path, Some(query));
    assert_eq!(bad("/v1beta/models/e:generateContent", "alt=proto"), Err(NoRoute::Query));
    assert_eq!(bad("/v1/chat/completions", "key=or-a-b"), Err(NoRoute::Query));
    assert_eq!(
        find(&Method::GET, "/v1/models/e:generateContent", None),
        Err(NoRoute::WrongMethod { allow: "POST" })
    );
    assert_eq!(seek("/v1beta/models/a/b").unwrap().1.as_deref(), Some("a/b"));
    assert_eq!(super::likely("/v1beta/model"), super::GEMINI);
}

fn keyless(host: Option<&str>, headers: &[(&'static str, &str)]) -> bool {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    keyless_allowed(host, &map).is_ok()
}

#[test]
fn the_keyless_mode_serves_this_machine_only() {
    for host in [
        "localhost",
        "localhost:8080",
        "LOCALHOST:1",
        "127.0.0.1",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:8080",
    ] {
        assert!(keyless(Some(host), &[]), "{host}");
        assert!(keyless(
            Some(host),
            &[("origin", "http://localhost:5173"), ("sec-fetch-site", "same-site")]
        ));
        assert!(keyless(Some(host), &[("sec-fetch-site", "none")]));
    }
    for host in [
        "",
        "evil.example",
        "localhost.evil.example",
        "localhost:",
        "localhost:x",
        "localhost:123456",
        "127.0.0.1.nip.io",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "::1",
        "localhost@evil.example",
        "evil.example:8080",
        "localhost?",
        "localhost#",
        "localhost/",
        "localhost.",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
    ] {
        assert!(!keyless(Some(host), &[]), "{host}");
    }
    assert!(!keyless(None, &[]));
    for origin in [
        "http://evil.example",
        "https://evil.example:8080",
        "null",
        "",
        "file://",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "http://127.0.0.1.evil.example",
        "chrome-extension://abc",
        "localhost",
        "http://localhost/",
        "ftp://localhost",
    ] {
        assert!(!keyless(Some("localhost"), &[("origin", origin)]), "{origin}");
    }
    for site in ["cross-site", "Cross-Site", "", "x", "none, cross-site"] {
        assert!(!keyless(Some("localhost"), &[("sec-fetch-site", site)]), "{site}");
    }
    assert!(!keyless(
        Some("localhost"),
        &[("origin", "http://localhost"), ("origin", "http://evil.example")]
    ));
}

#[test]
fn the_deployment_in_an_azure_path_is_the_model() {
    let path = "/openai/deployments/chat/chat/completions";
    let found = find(&Method::POST, path, Some("api-version=2025-04-01-preview")).unwrap();
    assert_eq!(found.route.action, Action::Chat);
    assert_eq!(found.path_facts().model, Some("chat"));
    let path = "/openai/deployments/azure%2Fgpt-5.1/embeddings";
    let found = find(&Method::POST, path, None).unwrap();
    assert_eq!(found.path_facts().model, Some("azure/gpt-5.1"));
    assert_eq!(find(&Method::GET, path, None), Err(NoRoute::WrongMethod { allow: "POST" }));
    for bad in [
        "/openai/deployments//chat/completions",
        "/openai/deployments/../chat/completions",
        "/openai/deployments/a%2e%2e/chat/completions",
        "/openai/deployments/a/../b/chat/completions",
    ] {
        assert!(find(&Method::POST, bad, None).is_err(), "{bad}");
    }
}

#[test]
fn every_star_but_the_last_is_one_segment() {
    let pattern = "/v1/projects/*/locations/*/models/*:go";
    assert_eq!(super::id_in(pattern, "/v1/projects/p/locations/l/models/a/b:go"), Some("a/b"));
    for other in [
        "/v1/projects//locations/l/models/m:go",
        "/v1/projects/p/q/locations/l/models/m:go",
        "/v1/projects/p/locations/l/models/m:stop",
        "/v1/projects/../locations/l/models/m:go",
        "/v1/projects/p/locations/%2e%2e/models/m:go",
        "/v1/projects/p;x/locations/l/models/m:go",
    ] {
        assert_eq!(super::id_in(pattern, other), None, "{other}");
    }
}
