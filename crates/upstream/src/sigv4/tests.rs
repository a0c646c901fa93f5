//! Requests, dates and signatures of the first table are from AWS's signing test suite as the crate aws-sigv4 1.6.4
//! ships it (`aws-signing-test-suite/v4`; Copyright Amazon.com, Inc. or its affiliates; Apache License 2.0). Those of the
//! second were made with botocore 1.44.8.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn keys(token: Option<&str>) -> AwsKeys {
    AwsKeys {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret: Secret::new(SECRET.to_owned()),
        session_token: token.map(|token| Secret::new(token.to_owned())),
    }
}

fn signature(added: &[(&'static str, String)]) -> String {
    let authorization = &added.iter().find(|it| it.0 == "authorization").unwrap().1;
    authorization.rsplit_once("Signature=").unwrap().1.to_owned()
}

/// 2015-08-30T12:36:00Z.
const THEN: UnixMicros = UnixMicros::from_secs(1_440_938_160);

struct Case<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
    token: Option<&'a str>,
    signature: &'a str,
}

const PLAIN: Case<'static> = Case {
    method: "GET",
    path: "/",
    query: "",
    headers: &[("Host", "example.amazonaws.com")],
    body: "",
    token: None,
    signature: "",
};

#[test]
fn the_test_suite_of_aws() {
    let host = ("Host", "example.amazonaws.com");
    for case in [
        // get-header-key-duplicate
        Case {
            headers: &[
                host,
                ("My-Header1", "value2"),
                ("My-Header1", "value2"),
                ("My-Header1", "value1"),
            ],
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ..PLAIN
        },
        // get-header-value-trim
        Case {
            headers: &[host, ("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ..PLAIN
        },
        // get-relative-relative-normalized
        Case {
            path: "/example1/example2/../..",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ..PLAIN
        },
        // get-slashes-normalized
        Case {
            path: "//example//",
            signature: "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
            ..PLAIN
        },
        // get-unreserved
        Case {
            path: "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ..PLAIN
        },
        // get-utf8
        Case {
            path: "/ሴ",
            signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            ..PLAIN
        },
        // get-vanilla-query-order-encoded
        Case {
            query: "Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            signature: "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
            ..PLAIN
        },
        // get-vanilla-utf8-query
        Case {
            query: "ሴ=bar",
            signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
            ..PLAIN
        },
        // get-vanilla-with-session-token
        Case {
            token: Some("6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"),
            signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ..PLAIN
        },
        // post-x-www-form-urlencoded
        Case {
            method: "POST",
            headers: &[
                ("Content-Type", "application/x-www-form-urlencoded"),
                host,
                ("Content-Length", "13"),
                (
                    "x-amz-content-sha256",
                    "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
                ),
            ],
            body: "Param1=value1",
            signature: "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
            ..PLAIN
        },
    ] {
        let request = Signable {
            method: case.method,
            path: case.path,
            query: case.query,
            headers: case.headers,
            body: case.body.as_bytes(),
        };
        let scope = Scope { region: "us-east-1", service: "service" };
        let added = sign(&request, &keys(case.token), scope, THEN);
        assert_eq!(added[0], ("x-amz-date", "20150830T123600Z".to_owned()));
        assert_eq!(signature(&added), case.signature, "{} {}", case.path, case.query);
        check(&request, &added, THEN).unwrap();
    }
}

/// double-url-encode and double-encode-path of the same suite: the encoded path is encoded once more.
#[test]
fn the_canonical_path_is_that_of_the_wire_encoded() {
    for (wire, expected) in [
        (
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun/invocations",
            "/2015-03-31/functions/arn%253Aaws%253Alambda%253Aus-west-2%253A892717189312%253Afunction%253Amy-rusty-fun/invocations",
        ),
        ("/test/@connections/JBDvjfGEIAMCERw%3D", "/test/%40connections/JBDvjfGEIAMCERw%253D"),
    ] {
        let request = Signable { method: "POST", path: wire, query: "", headers: &[], body: b"" };
        let text = canonical::request(&request, &[], &[""; 0], "");
        assert_eq!(text.lines().nth(1), Some(expected));
    }
}

const MODEL: &str = "/model/anthropic.claude-sonnet-4-5-v1%3A0/converse";
const PROFILE: &str = "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Ainference-profile%2Feu.x/converse-stream";
/// 2026-11-25T10:00:00Z.
const NOW: UnixMicros = UnixMicros::from_secs(1_795_600_800);

#[test]
fn requests_to_bedrock_are_signed_as_botocore_does() {
    for (path, region, token, expected) in [
        (
            MODEL,
            "us-east-1",
            None,
            "6cccb1992caa7fb7f807622a1f9bfef5eb8024f9b53506acaa9e87fd6c6ad034",
        ),
        (
            PROFILE,
            "eu-central-1",
            Some("tok/en=="),
            "f4091851c63623e628aa3930fc090f6a54be8a7a054852529677642be2a06520",
        ),
    ] {
        let host = format!("bedrock-runtime.{region}.amazonaws.com");
        let headers = [("host", host.as_str()), ("content-type", "application/json")];
        let request = Signable {
            method: "POST",
            path,
            query: "",
            headers: &headers,
            body: b"{\"messages\":[]}",
        };
        let added = sign(&request, &keys(token), Scope { region, service: "bedrock" }, NOW);
        assert_eq!(signature(&added), expected);
    }
}

/// Verifies what was signed, with the headers that were added.
fn check(
    request: &Signable<'_>,
    added: &[(&'static str, String)],
    now: UnixMicros,
) -> Result<(), BadSignature> {
    let own = added.iter().map(|(name, value)| (*name, value.as_str()));
    let headers: Vec<(&str, &str)> = request.headers.iter().copied().chain(own).collect();
    let authorization = headers.iter().find(|it| it.0 == "authorization").unwrap().1;
    let presented = Presented::read(authorization).unwrap();
    assert_eq!(presented.access_key_id, "AKIDEXAMPLE");
    let request = Signable { headers: &headers, ..*request };
    presented.verify(&request, &Secret::new(SECRET.to_owned()), now)
}

const BEDROCK: Scope<'static> = Scope { region: "us-east-1", service: "bedrock" };

fn bedrock(body: &[u8]) -> (Signable<'_>, Vec<(&'static str, String)>) {
    let headers: &[(&str, &str)] = &[("host", "localhost:1"), ("content-type", "application/json")];
    let request = Signable { method: "POST", path: MODEL, query: "", headers, body };
    let added = sign(&request, &keys(None), BEDROCK, NOW);
    (request, added)
}

#[test]
fn a_signature_is_good_for_five_minutes() {
    let (request, added) = bedrock(b"{}");
    let at = |seconds| UnixMicros::from_secs(NOW.secs() + seconds);
    for good in [-300, -1, 0, 299, 300] {
        assert_eq!(check(&request, &added, at(good)), Ok(()), "{good}");
    }
    for bad in [-301, 301, 86_400, -86_400] {
        assert_eq!(check(&request, &added, at(bad)), Err(BadSignature::Skewed), "{bad}");
    }
}

#[test]
fn whatever_is_changed_is_noticed() {
    let (request, added) = bedrock(b"{}");
    let changed = [
        Signable { method: "PUT", ..request },
        Signable { path: PROFILE, ..request },
        Signable { query: "a=b", ..request },
        Signable { body: b"{} ", ..request },
        Signable {
            headers: &[("host", "elsewhere"), ("content-type", "application/json")],
            ..request
        },
    ];
    for request in changed {
        assert_eq!(check(&request, &added, NOW), Err(BadSignature::Mismatch));
    }
    let missing = Signable { headers: &[("host", "localhost:1")], ..request };
    assert_eq!(check(&missing, &added, NOW), Err(BadSignature::Uncovered));
}

#[test]
fn a_body_must_be_signed_as_a_whole() {
    for said in [
        "UNSIGNED-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-EVENTS",
    ] {
        // Even where the signature holds, whoever is on the way could put another body there.
        let said = [("host", "h"), ("x-amz-content-sha256", said)];
        let (request, _) = bedrock(b"{}");
        let request = Signable { headers: &said, ..request };
        let added = sign(&request, &keys(None), BEDROCK, NOW);
        assert_eq!(check(&request, &added, NOW), Err(BadSignature::UncoveredBody));
    }
    let (request, mut added) = bedrock(b"{}");
    added.push(("x-amz-content-sha256", hex(&Sha256::digest(b"{}"))));
    assert_eq!(check(&request, &added, NOW), Ok(()));
    let other = Signable { body: b"{} ", ..request };
    assert_eq!(check(&other, &added, NOW), Err(BadSignature::Body));
}

/// What AWS's SDK for JavaScript signs on HTTP/2.
#[test]
fn the_authority_of_http2_stands_for_the_host() {
    let headers = [(":authority", "localhost:1")];
    let request = Signable { headers: &headers, ..bedrock(b"{}").0 };
    let added = sign(&request, &keys(None), BEDROCK, NOW);
    assert!(added.last().unwrap().1.contains("SignedHeaders=:authority;x-amz-date,"));
    assert_eq!(check(&request, &added, NOW), Ok(()));
    let elsewhere = Signable { headers: &[(":authority", "localhost:2")], ..request };
    assert_eq!(check(&elsewhere, &added, NOW), Err(BadSignature::Mismatch));
}

#[test]
fn host_and_date_must_be_covered() {
    let (request, added) = bedrock(b"{}");
    for signed in [
        "content-type;x-amz-date",
        "content-type;host",
        "host;content-type;x-amz-date",
        "HOST;x-amz-date",
    ] {
        let mut added = added.clone();
        let authorization = &mut added.last_mut().unwrap().1;
        *authorization = authorization.replace("content-type;host;x-amz-date", signed);
        let refused = check(&request, &added, NOW);
        assert!(
            matches!(refused, Err(BadSignature::Uncovered | BadSignature::Malformed)),
            "{signed}: {refused:?}"
        );
    }
}

#[test]
fn other_schemes_are_no_signatures() {
    for text in [
        "",
        "Bearer or-x-y",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request/x, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=A, Credential=A, SignedHeaders=host, Signature=00",
        "AWS4-ECDSA-P256-SHA256 Credential=A/20150830/s/aws4_request, SignedHeaders=host, Signature=00",
    ] {
        assert_eq!(Presented::read(text), None, "{text}");
    }
    assert!(!format!("{:?}", keys(Some("token"))).contains("token\""));
}

proptest! {
    /// What is signed can be verified, whatever its path, query and headers.
    #[test]
    fn signing_and_verifying_agree(
        path in "/[ -~é]{0,30}", query in "[ -~é]{0,30}", value in "[ -~]{0,20}", body: Vec<u8>,
    ) {
        let headers = [("host", "h"), ("x-own", value.as_str())];
        let request =
            Signable { method: "POST", path: &path, query: &query, headers: &headers, body: &body };
        let scope = Scope { region: "us-east-1", service: "bedrock" };
        let added = sign(&request, &keys(None), scope, NOW);
        prop_assert_eq!(check(&request, &added, NOW), Ok(()));
    }

    #[test]
    fn any_authorization_is_survived(text in "[ -~]{0,80}", signed in "[a-z;-]{0,30}") {
        let _ = Presented::read(&text);
        let text = format!("AWS4-HMAC-SHA256 Credential=A/20261125/r/s/aws4_request, SignedHeaders={signed}, Signature={signed}");
        if let Some(presented) = Presented::read(&text) {
            let request = Signable { method: "GET", path: "", query: "", headers: &[("host", "h"), ("x-amz-date", "20261125T100000Z")], body: b"" };
            prop_assert!(presented.verify(&request, &Secret::new(String::new()), NOW).is_err());
        }
    }
}
