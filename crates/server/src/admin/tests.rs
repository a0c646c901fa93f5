//! The admin API from outside its router.

mod access;
mod explained;
mod keys;
mod reload;
mod signed;
mod upkeep;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::Value;

use super::problem::KINDS;
use super::{OPEN, ROUTES, view};
use world::World;

/// A route's path as OpenAPI writes it.
fn documented(path: &str) -> String {
    path.replace("{*", "{")
}

#[test]
fn every_route_is_described_and_every_description_is_routed() {
    let document: Value = serde_json::from_str(view::OPENAPI).unwrap();
    let routed: BTreeSet<(String, String)> =
        ROUTES.iter().map(|it| (documented(it.path), it.method.to_lowercase())).collect();
    let mut described = BTreeSet::new();
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            described.insert((path.clone(), method.clone()));
            let id = operation["operationId"].as_str().unwrap();
            assert!(operations.insert(id.to_owned()), "{id} stands twice");
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(open, OPEN.contains(&path.as_str()), "{path}");
            for part in path.split('/').filter_map(|it| it.strip_prefix('{')) {
                let name = part.trim_end_matches('}');
                let parameters = operation["parameters"].as_array().unwrap();
                assert!(parameters.iter().any(|it| it["name"] == name), "{path} has no {name}");
            }
        }
    }
    assert_eq!(routed, described);
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|it| references(it, found));
            }
            Value::Array(items) => items.iter().for_each(|it| references(it, found)),
            _ => {}
        }
    }
    let document: Value = serde_json::from_str(view::OPENAPI).unwrap();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_problem_is_described_where_its_type_points() {
    let document: Value = serde_json::from_str(view::OPENAPI).unwrap();
    let described: BTreeMap<&str, (u64, &str)> = document["x-outrigger-problems"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(code, it)| {
            (code.as_str(), (it["status"].as_u64().unwrap(), it["title"].as_str().unwrap()))
        })
        .collect();
    let known: BTreeMap<&str, (u64, &str)> =
        KINDS.iter().map(|it| (it.code, (u64::from(it.status), it.title))).collect();
    assert_eq!(described, known);
}

#[test]
fn health_and_metrics_say_how_it_is() {
    let world = World::new();
    assert_eq!(world.open(Method::GET, "/livez").status, 200);
    assert_eq!(world.open(Method::GET, "/readyz").text, "ready\n");
    let metrics = world.open(Method::GET, "/metrics");
    let kind = metrics.headers["content-type"].to_str().unwrap();
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    for line in [
        "outrigger_ledger_writable 1",
        "outrigger_ledger_unsettled_rows 0",
        "outrigger_budget_limit_usd{budget=\"daily\"} 5",
        "outrigger_budget_reserved_usd{budget=\"daily\"} 0",
    ] {
        assert!(metrics.text.contains(line), "{line} is missing from\n{}", metrics.text);
    }
    assert!(metrics.text.ends_with("# EOF\n"));
}

#[test]
fn metrics_that_are_not_wanted_are_not_there() {
    let world = World::with("providers: [demo]\ntelemetry: {prometheus: false}\n");
    assert_eq!(world.open(Method::GET, "/metrics").status, 404);
}

#[test]
fn a_draining_gateway_is_not_ready_and_the_control_loop_hears_of_it() {
    let world = World::new();
    let drained = world.post("/v1/outrigger/drain", "");
    assert_eq!(drained.json["draining"], true);
    let probe = world.open(Method::GET, "/readyz");
    assert_eq!((probe.status, probe.text.as_str()), (503, "draining\n"));
    assert_eq!(world.open(Method::GET, "/livez").status, 200);
    world.block_on(world.admin().asked_to_drain());
}

#[test]
fn status_names_what_runs_and_no_secret() {
    let world = World::new();
    let status = world.get("/v1/outrigger/status");
    assert_eq!(status.json["ledger"], "healthy");
    assert_eq!(status.json["config"]["revision"], 1);
    assert_eq!(status.json["draining"], false);
    assert!(!status.text.contains(world::TOKEN));
}

#[test]
fn providers_are_listed_and_tested_without_cost() {
    let world = World::new();
    let list = world.get("/v1/outrigger/providers").json;
    let names: Vec<&str> = list["providers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["demo", "gone"]);
    let demo = world.post("/v1/outrigger/providers/demo/test", "");
    assert_eq!(demo.json["ok"], true);
    let gone = world.post("/v1/outrigger/providers/gone/test", "");
    assert_eq!((gone.status, &gone.json["ok"]), (200, &false.into()));
    let unknown = world.post("/v1/outrigger/providers/dema/test", "");
    assert_eq!(unknown.status, 404);
    assert!(unknown.json["detail"].as_str().unwrap().contains("`demo`"), "{}", unknown.text);
}

#[test]
fn the_thread_answers_while_the_data_plane_drains_and_leaves_the_store_free() {
    use std::io::{Read as _, Write as _};
    let World { dir, store, gateway, .. } = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let admin = super::serve(
        listener,
        std::sync::Arc::clone(&gateway),
        std::sync::Arc::clone(&store),
        world::TOKEN.into(),
    )
    .unwrap();
    let ready = || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(ready(), "200");
    // The control loop has ended and the data plane drains.
    drop(admin);
    gateway.drain();
    assert_eq!(ready(), "503");
    // Closing the store does not wait for the admin API.
    drop(store);
    store::Store::open(&store::OpenOptions::new(dir.path())).unwrap();
}
