//! AWS key pairs from their making to their end.

use config::data_plane::ErrorKind;
use domain::UnixMicros;
use http::Request;
use http::request::Parts;
use serde_json::Value;
use upstream::Secret;
use upstream::sigv4::{AwsKeys, Scope, Signable, sign};

use super::world::World;
use crate::errors::{self, Failure};
use crate::identify::{Caller, Identity, identify, verify};

const BODY: &[u8] = br#"{"messages":[]}"#;
const PATH: &str = "/model/anthropic.claude%3A0/converse";

/// A request to Converse, signed as an AWS SDK would.
fn signed(access_key_id: &str, secret: &str, now: UnixMicros) -> Parts {
    let keys = AwsKeys {
        access_key_id: access_key_id.to_owned(),
        secret: Secret::new(secret.to_owned()),
        session_token: None,
    };
    let headers = [("host", "localhost:4141"), ("content-type", "application/json")];
    let request = Signable { method: "POST", path: PATH, query: "", headers: &headers, body: BODY };
    let scope = Scope { region: "us-east-1", service: "bedrock" };
    let added = sign(&request, &keys, scope, now);
    let mut request = Request::post(PATH);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    for (name, value) in added {
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

struct Pair {
    id: String,
    secret: String,
}

impl Pair {
    fn of(made: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self { id: text(&made["key"]["access_key_id"]), secret: text(&made["secret"]) }
    }
}

impl World {
    fn pair(&self) -> (String, Pair) {
        let made = self.post("/v1/outrigger/keys", r#"{"app": "search", "kind": "aws"}"#);
        assert_eq!(made.json["key"]["kind"], "aws", "{}", made.text);
        (made.json["key"]["id"].as_str().unwrap().to_owned(), Pair::of(&made.json))
    }

    fn ask(&self, request: &Parts, body: &[u8], required: bool) -> Result<Caller, Failure> {
        let keys = self.gateway.keys.load();
        let now = self.gateway.now();
        match identify(&request.headers, None, &keys, required, now)? {
            Identity::Known(caller) => Ok(caller),
            Identity::Signed(signature) => verify(&signature, request, None, body, &keys, now),
        }
    }

    /// What a request that this pair signed now is told.
    fn told(&self, pair: &Pair) -> Result<String, &'static ErrorKind> {
        let request = signed(&pair.id, &pair.secret, self.gateway.now());
        let caller = self.ask(&request, BODY, true).map_err(|failure| failure.kind)?;
        Ok(caller.app().unwrap().to_string())
    }
}

#[test]
fn a_pair_signs_at_once_through_its_rotations_and_until_it_is_revoked() {
    let world = World::new();
    let (id, first) = world.pair();
    assert_eq!(first.id, format!("or-{id}"));
    assert_eq!(world.told(&first), Ok("search".to_owned()));
    let list = world.get("/v1/outrigger/keys");
    assert_eq!(list.json["keys"][0]["access_key_id"], first.id.as_str());
    assert!(!list.text.contains(first.secret.rsplit('-').next().unwrap()));

    let path = format!("/v1/outrigger/keys/{id}/rotate");
    let second = Pair::of(&world.post(&path, r#"{"grace_seconds": 3600}"#).json);
    assert_eq!(second.id, first.id);
    assert_eq!(world.told(&first), Ok("search".to_owned()));
    assert_eq!(world.told(&second), Ok("search".to_owned()));
    let third = Pair::of(&world.post(&path, "").json);
    assert_eq!(world.told(&second), Err(&errors::BAD_SIGNATURE));
    assert_eq!(world.told(&third), Ok("search".to_owned()));

    let world = world.restarted();
    assert_eq!(world.told(&third), Ok("search".to_owned()), "sealed, not only in memory");
    world.post(&format!("/v1/outrigger/keys/{id}/revoke"), "{}");
    assert_eq!(world.told(&third), Err(&errors::KEY_REVOKED));
    assert_eq!(world.told(&second), Err(&errors::BAD_SIGNATURE), "told to its holder only");
}

#[test]
fn whatever_is_wrong_with_a_signature_has_its_own_error() {
    let world = World::new();
    let (_, pair) = world.pair();
    let now = world.gateway.now();
    let kind = |request: &Parts, body: &[u8]| {
        world.ask(request, body, true).map(|_| "let in").map_err(|failure| failure.kind)
    };
    let good = signed(&pair.id, &pair.secret, now);
    assert_eq!(kind(&good, BODY), Ok("let in"));
    assert_eq!(kind(&good, br#"{"messages":[1]}"#), Err(&errors::BAD_SIGNATURE));
    let mut moved = good.clone();
    moved.uri = "/model/anthropic.claude%3A0/invoke".parse().unwrap();
    assert_eq!(kind(&moved, BODY), Err(&errors::BAD_SIGNATURE));
    let mut elsewhere = good.clone();
    elsewhere.headers.insert("host", "localhost:4142".parse().unwrap());
    assert_eq!(kind(&elsewhere, BODY), Err(&errors::BAD_SIGNATURE));
    let mut unsigned = good.clone();
    unsigned.headers.insert("x-amz-content-sha256", "UNSIGNED-PAYLOAD".parse().unwrap());
    assert_eq!(kind(&unsigned, BODY), Err(&errors::BAD_SIGNATURE));
    for minutes in [-6, 6] {
        let late = signed(&pair.id, &pair.secret, now.plus_micros(minutes * 60_000_000));
        assert_eq!(kind(&late, BODY), Err(&errors::BAD_SIGNATURE), "{minutes}");
    }
    let mut bare = good.clone();
    bare.headers.remove("x-amz-date");
    assert_eq!(kind(&bare, BODY), Err(&errors::MALFORMED_SIGNATURE));
    let mut short = good.clone();
    short.headers.insert("authorization", "AWS4-HMAC-SHA256 Credential=or-x".parse().unwrap());
    assert_eq!(kind(&short, BODY), Err(&errors::MALFORMED_SIGNATURE));
    let mut temporary = good.clone();
    temporary.headers.insert("x-amz-security-token", "token".parse().unwrap());
    assert_eq!(kind(&temporary, BODY), Err(&errors::UNKNOWN_ACCESS_KEY));
    let mut twice = good;
    twice.headers.insert("x-api-key", "or-abc".parse().unwrap());
    assert_eq!(kind(&twice, BODY), Err(&errors::INVALID_API_KEY));
}

#[test]
fn only_a_pair_of_ours_signs() {
    let world = World::new();
    let plain = world.post("/v1/outrigger/keys", r#"{"app": "ci"}"#).json;
    assert_eq!(
        (&plain["key"]["kind"], &plain["key"]["access_key_id"]),
        (&"virtual".into(), &Value::Null)
    );
    let secret = plain["secret"].as_str().unwrap();
    let id = format!("or-{}", plain["key"]["id"].as_str().unwrap());
    let now = world.gateway.now();
    for id in [id.as_str(), "AKIAIOSFODNN7EXAMPLE", "or-", "or-abcdefghijkl"] {
        let request = signed(id, secret, now);
        let refused = world.ask(&request, BODY, true).unwrap_err();
        assert_eq!(refused.kind, &errors::UNKNOWN_ACCESS_KEY, "{id}");
        // SDKs sign with whatever they find. Where no key is required, that is nobody's business.
        assert!(world.ask(&request, BODY, false).unwrap().key.is_none(), "{id}");
    }
    // But one that claims to be ours and is not is refused there too.
    let (_, pair) = world.pair();
    let request = signed(&pair.id, secret, now);
    assert_eq!(world.ask(&request, BODY, false).unwrap_err().kind, &errors::BAD_SIGNATURE);
    let reply = world.post("/v1/outrigger/keys", r#"{"app": "x", "kind": "gcp"}"#);
    assert_eq!((reply.status, &reply.json["errors"][0]["pointer"]), (400, &"/kind".into()));
}
