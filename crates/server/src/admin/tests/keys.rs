//! Virtual keys from their making to their end.

use ::ledger::query::first_at;
use ::ledger::storage::Reads as _;
use ::ledger::{KeyAction, KeyEvent, Record};
use domain::UnixMicros;
use serde_json::Value;

use super::world::World;
use crate::keys::Lookup;

impl World {
    fn look_up(&self, secret: &Value) -> Lookup {
        self.gateway.keys.load().look_up(secret.as_str().unwrap(), self.gateway.now())
    }

    fn budget_names(&self) -> Vec<String> {
        let budgets = self.get("/v1/outrigger/budgets").json;
        let budgets = budgets["budgets"].as_array().unwrap();
        budgets.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    }

    /// What the ledger says happened to keys.
    fn key_events(&self) -> Vec<(KeyAction, String)> {
        self.noted().into_iter().map(|event| (event.action, event.key.to_string())).collect()
    }

    fn noted(&self) -> Vec<KeyEvent> {
        let reader = self.store.reader().unwrap();
        let from = first_at(&reader, UnixMicros::from_micros(0)).unwrap();
        let rows = reader.read(from, 1_000).unwrap();
        let records = rows.iter().map(|row| ::ledger::decode(&row.body).unwrap().1);
        records
            .filter_map(|record| match record {
                Record::Key(event) => Some(*event),
                _ => None,
            })
            .collect()
    }
}

const SEARCH: &str =
    r#"{"app": "search", "team": "web", "budgets": ["2 USD per day", "100 requests per hour"]}"#;

#[test]
fn a_key_works_at_once_with_its_budgets_and_ends_at_once() {
    let world = World::new();
    let made = world.post("/v1/outrigger/keys", SEARCH);
    assert_eq!(made.status, 200, "{}", made.text);
    let id = made.json["key"]["id"].as_str().unwrap().to_owned();
    assert!(
        matches!(world.look_up(&made.json["secret"]), Lookup::Found(key) if key.app.as_str() == "search")
    );
    assert_eq!(
        world.budget_names(),
        ["daily".to_owned(), format!("key/{id}/0"), format!("key/{id}/1")]
    );

    let list = world.get("/v1/outrigger/keys");
    assert_eq!(list.json["keys"][0], made.json["key"]);
    let secret = made.json["secret"].as_str().unwrap();
    assert!(!list.text.contains(secret.rsplit('-').next().unwrap()), "a list holds no secret");

    let revoked = world.post(&format!("/v1/outrigger/keys/{id}/revoke"), "{}");
    assert_eq!((revoked.status, &revoked.json["key"]["state"]), (200, &"revoked".into()));
    assert!(matches!(world.look_up(&made.json["secret"]), Lookup::Revoked(_)));
    assert_eq!(world.budget_names(), ["daily"]);
    assert_eq!(world.post(&format!("/v1/outrigger/keys/{id}/revoke"), "{}").status, 409);
    assert_eq!(world.post(&format!("/v1/outrigger/keys/{id}/rotate"), "{}").status, 409);
    assert_eq!(world.key_events(), [(KeyAction::Created, id.clone()), (KeyAction::Revoked, id)]);
}

#[test]
fn an_old_secret_works_through_its_grace_and_not_without() {
    let world = World::new();
    let made = world.post("/v1/outrigger/keys", r#"{"app": "search"}"#).json;
    let path = format!("/v1/outrigger/keys/{}/rotate", made["key"]["id"].as_str().unwrap());
    let graced = world.post(&path, r#"{"grace_seconds": 3600}"#).json;
    assert!(matches!(world.look_up(&made["secret"]), Lookup::Found(_)));
    assert!(matches!(world.look_up(&graced["secret"]), Lookup::Found(_)));
    let last = world.post(&path, "").json;
    assert!(matches!(world.look_up(&graced["secret"]), Lookup::Unknown));
    assert!(matches!(world.look_up(&last["secret"]), Lookup::Found(_)));
}

#[test]
fn everything_wrong_with_a_key_is_said_at_once() {
    let world = World::new();
    let body = r#"{"app": "a b", "team": "", "expires_at": "2020-01-01T00:00:00Z", "budgets": ["1 USD per day", "much"]}"#;
    let reply = world.post("/v1/outrigger/keys", body);
    assert_eq!((reply.status, &reply.json["error"]["code"]), (400, &"invalid".into()));
    let errors = reply.json["errors"].as_array().unwrap();
    let pointers: Vec<&str> = errors.iter().map(|it| it["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/app", "/team", "/expires_at", "/budgets/1"]);
    assert_eq!(world.get("/v1/outrigger/keys").json["keys"], Value::Array(Vec::new()));
}

#[test]
fn a_key_for_some_capabilities_says_so_and_one_that_is_not_there_is_refused() {
    let world = World::new();
    let made =
        world.post("/v1/outrigger/keys", r#"{"app": "ci", "capabilities": ["chat", "chat"]}"#);
    assert_eq!(made.json["key"]["capabilities"], serde_json::json!(["chat"]), "{}", made.text);
    assert_eq!(world.get("/v1/outrigger/keys").json["keys"][0], made.json["key"]);
    let Lookup::Found(key) = world.look_up(&made.json["secret"]) else { panic!("not found") };
    assert_eq!(
        key.capabilities.iter().map(domain::CapabilityName::as_str).collect::<Vec<_>>(),
        ["chat"]
    );
    let free = world.post("/v1/outrigger/keys", r#"{"app": "ci"}"#);
    assert_eq!(free.json["key"]["capabilities"], Value::Null);
    // The ledger keeps it for whoever asks later what a key could do.
    let noted = world.noted().into_iter().map(|event| event.capabilities).collect::<Vec<_>>();
    assert_eq!(noted, [Some(key.capabilities.clone()), Some(Vec::new())]);

    let body = r#"{"app": "ci", "capabilities": ["chat", "chatt", "demo/echo"]}"#;
    let reply = world.post("/v1/outrigger/keys", body);
    assert_eq!(reply.status, 400);
    let errors = reply.json["errors"].as_array().unwrap();
    let pointers: Vec<&str> = errors.iter().map(|it| it["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/capabilities/1", "/capabilities/2"]);
    let said = errors[0]["detail"].as_str().unwrap();
    assert_eq!(said, "there is no capability `chatt`; did you mean `chat`?");
}

#[test]
fn a_body_that_is_misspelt_too_long_or_not_json_makes_nothing() {
    let world = World::new();
    let long = format!(r#"{{"app": "{}"}}"#, "x".repeat(70_000));
    for body in
        [r#"{"app": "x", "expire": "1d"}"#, r#"{"app": 1}"#, "{", "[]", r#"{"team": "x"}"#, &long]
    {
        assert_eq!(world.post("/v1/outrigger/keys", body).status, 400, "{body:.40}");
    }
    let mut plain = super::world::request(
        http::Method::POST,
        "/v1/outrigger/keys",
        Some(super::world::TOKEN),
        r#"{"app": "x"}"#,
    );
    plain.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(world.send(plain).status, 415);
    assert_eq!(world.get("/v1/outrigger/keys").json["keys"], Value::Array(Vec::new()));
}

#[test]
fn a_key_that_is_not_there_is_not_found() {
    let world = World::new();
    for id in ["abc", "%00", "a%20b"] {
        assert_eq!(world.post(&format!("/v1/outrigger/keys/{id}/revoke"), "").status, 404, "{id}");
        assert_eq!(world.post(&format!("/v1/outrigger/keys/{id}/rotate"), "").status, 404, "{id}");
    }
}

#[test]
fn a_time_to_end_is_kept_and_shown() {
    let world = World::new();
    let made = world
        .post("/v1/outrigger/keys", r#"{"app": "ci", "expires_at": "2999-01-31T02:00:00+02:00"}"#)
        .json;
    assert_eq!(made["key"]["expires_at"], "2999-01-31T00:00:00.000Z");
    let at = UnixMicros::parse("2999-01-31T00:00:00Z").unwrap();
    let secret = made["secret"].as_str().unwrap();
    let table = world.gateway.keys.load();
    assert!(matches!(table.look_up(secret, at.plus_micros(-1)), Lookup::Found(_)));
    assert!(matches!(table.look_up(secret, at), Lookup::Expired(_)));
}
