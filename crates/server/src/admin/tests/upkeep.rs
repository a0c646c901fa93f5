//! Write-offs, verification, backup and prune.

use ::ledger::{Intent, Record};
use domain::UnixMicros;

use super::world::{World, intent};

/// A gateway whose earlier process left one attempt open, with a dollar reserved.
fn with_unsettled() -> (World, Intent) {
    let world = World::new();
    let left = intent(world.id(1), 0, world.gateway.now());
    world.append(&Record::Intent(Box::new(left.clone())));
    (world.restarted(), left)
}

#[test]
fn a_write_off_frees_the_reservation_in_the_ledger_and_in_memory() {
    let (world, left) = with_unsettled();
    assert_eq!(world.daily()["reserved"], "1.00");
    assert_eq!(world.get("/v1/outrigger/status").json["unsettled"], 1);
    let body = format!(r#"{{"id": "{}", "why": "not on the bill", "by": "tests"}}"#, left.id);
    let reply = world.post("/v1/outrigger/ledger/write-off", &body);
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json["written_off"], left.id.to_string());
    let daily = world.daily();
    assert_eq!((&daily["reserved"], &daily["settled"]), (&"0.00".into(), &"0.00".into()));
    assert_eq!(world.get("/v1/outrigger/status").json["unsettled"], 0);
    let verified = world.get("/v1/outrigger/ledger/verify").json;
    assert_eq!((&verified["ok"], &verified["write_offs"]), (&true.into(), &1.into()), "{verified}");
    assert_eq!(world.post("/v1/outrigger/ledger/write-off", &body).status, 409);

    let account = world.get(&format!("/v1/outrigger/requests/{}", left.id.request)).json;
    assert_eq!(account["outcome"], "written_off");
    assert_eq!(account["attempts"][0]["written_off"]["why"], "not on the bill");
    let world = world.restarted();
    assert_eq!(world.daily()["reserved"], "0.00");
}

#[test]
fn a_charged_write_off_keeps_the_whole_reservation_settled_also_after_a_restart() {
    let (world, left) = with_unsettled();
    let body = format!(r#"{{"request": "{}", "why": "billed", "charge": true}}"#, left.id.request);
    let reply = world.post("/v1/outrigger/ledger/write-off", &body);
    assert_eq!(reply.json["charged_usd"], "1.00", "{}", reply.text);
    let daily = world.daily();
    assert_eq!((&daily["reserved"], &daily["settled"]), (&"0.00".into(), &"1.00".into()));
    let daily = world.restarted().daily();
    assert_eq!((&daily["reserved"], &daily["settled"]), (&"0.00".into(), &"1.00".into()));
}

#[test]
fn only_what_an_earlier_process_left_open_is_written_off() {
    let world = World::new();
    let running = intent(world.id(1), 0, world.gateway.now());
    world.append(&Record::Intent(Box::new(running.clone())));
    let write_off = |id: &str| {
        let body = format!(r#"{{"request": "{id}", "why": "test"}}"#);
        world.post("/v1/outrigger/ledger/write-off", &body).status
    };
    assert_eq!(write_off(&running.id.to_string()), 409);
    assert_eq!(write_off(&world.id(9).to_string()), 409);
    for id in [
        "",
        "req_1",
        &format!("{}/0/0/0", running.id.request),
        &format!("{}/x", running.id.request),
    ] {
        assert_eq!(write_off(id), 400, "{id}");
    }
    let body = format!(r#"{{"request": "{}", "why": " "}}"#, running.id);
    let reply = world.post("/v1/outrigger/ledger/write-off", &body);
    assert_eq!(reply.json["errors"][0]["pointer"], "/why");
    assert_eq!(world.get("/v1/outrigger/ledger/verify").json["write_offs"], 0);
}

#[test]
fn a_backup_is_a_ledger_of_its_own_and_overwrites_nothing() {
    let (world, left) = with_unsettled();
    let to = world.path().join("backup");
    let body = serde_json::json!({"to": to}).to_string();
    let reply = world.post("/v1/outrigger/ledger/backup", &body);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let copy = store::Store::open_read_only(&to).unwrap();
    assert_eq!(::ledger::query::request(&copy, left.id.request).unwrap().len(), 1);
    assert_eq!(world.post("/v1/outrigger/ledger/backup", &body).status, 409);
    assert_eq!(world.post("/v1/outrigger/ledger/backup", r#"{"to": "backup"}"#).status, 400);
}

#[test]
fn what_the_configuration_keeps_is_not_pruned() {
    let world = World::with("providers: [demo]\nledger: {keep: 30d}\n");
    let days_ago = |days: i64| world.gateway.now().plus_micros(-days * 86_400_000_000);
    for (days, status) in [(29, 400), (31, 200)] {
        let body = format!(r#"{{"before": "{}"}}"#, days_ago(days));
        let reply = world.post("/v1/outrigger/ledger/prune", &body);
        assert_eq!(reply.status, status, "{days}: {}", reply.text);
        assert_eq!(reply.text.contains("ledger.keep"), status == 400, "{}", reply.text);
    }
}

#[test]
fn what_is_pruned_leaves_its_balances() {
    let (world, left) = with_unsettled();
    let before = world.gateway.now();
    let body = format!(r#"{{"before": "{before}"}}"#);
    let reply = world.post("/v1/outrigger/ledger/prune", &body);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let verified = world.get("/v1/outrigger/ledger/verify").json;
    assert_eq!(verified["ok"], true, "{verified}");
    let world = world.restarted();
    assert_eq!(world.daily()["reserved"], "1.00", "{}", left.id);
    let later = UnixMicros::plus_micros(world.gateway.now(), 60_000_000);
    for before in [later.to_string(), "yesterday".to_owned()] {
        let body = format!(r#"{{"before": "{before}"}}"#);
        assert_eq!(world.post("/v1/outrigger/ledger/prune", &body).status, 400, "{before}");
    }
}
