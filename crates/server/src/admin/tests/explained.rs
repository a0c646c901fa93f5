//! Accounts of requests and explanations of routes.

use ::ledger::{Candidate, Record, offer_code};
use domain::{Clock as _, ErrorClass, OfferId, OutcomeClass, RateHint, RequestId};
use policy::Availability;
use policy::retry::{Failure, Next};
use serde_json::Value;

use super::world::{World, intent, key, refusal, settlement};
use crate::explain;

/// A request of `owner` that failed over from `gone/away` to `demo/echo`.
fn failed_over(world: &World, owner: Option<&str>) -> RequestId {
    let (id, now) = (world.id(7), world.gateway.now());
    let mut first = intent(id, 0, now);
    first.offer = OfferId::parse("gone/away").unwrap();
    first.key = owner.map(key);
    let mut second = intent(id, 1, now);
    second.key = owner.map(key);
    second.marks.failover = true;
    second.reserved.requests = 0;
    let failed = settlement(&first, OutcomeClass::Failed, ErrorClass::Unreachable, now);
    let good = settlement(&second, OutcomeClass::Ok, ErrorClass::None, now);
    for record in &[
        Record::Intent(Box::new(first)),
        Record::Settlement(Box::new(failed)),
        Record::Intent(Box::new(second)),
        Record::Settlement(Box::new(good)),
    ] {
        world.append(record);
    }
    id
}

#[test]
fn an_account_has_every_attempt_with_usage_cost_times_losses_and_candidates() {
    let world = World::new();
    let id = failed_over(&world, None);
    let account = world.get(&format!("/v1/outrigger/requests/{id}")).json;
    assert_eq!(account["id"], id.to_string());
    assert_eq!(account["outcome"], "ok");
    assert_eq!(account["cost_usd"], "0.50");
    assert_eq!(account["cost_quality"], "reported");
    assert_eq!(account["complete"], true);
    let attempts = account["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!(
        (&attempts[0]["offer"], &attempts[0]["error"]),
        (&"gone/away".into(), &"unreachable".into())
    );
    let last = &attempts[1];
    assert_eq!((&last["outcome"], &last["failover"]), (&"ok".into(), &true.into()));
    assert_eq!((&last["usage"]["input"], &last["usage"]["output"]), (&7.into(), &3.into()));
    assert_eq!((&last["cost_usd"], &last["usage_quality"]), (&"0.25".into(), &"reported".into()));
    assert_eq!(last["losses"][0]["field"], "seed");
    assert_eq!(last["budgets"][0], "daily");
    assert_eq!(last["answer"]["finish"], "stop");
    assert!(last["done_at"].as_str().unwrap().ends_with('Z'));
    let left = &account["candidates"][0];
    assert_eq!((&left["offer"], &left["verdict"]), (&"gone/away".into(), &"left".into()));
    assert_eq!(left["reason"], "`gone/away` had failed too often (unreachable).");
    assert_eq!(account["candidates"][1]["reason"], "`demo/echo` was asked first.");
}

#[test]
fn on_the_data_plane_only_its_own_key_sees_a_request() {
    let world = World::new();
    let id = failed_over(&world, Some("k00000000001"));
    let seen = |caller: Option<&str>| {
        let caller = caller.map(key);
        explain::request(&world.gateway, id, caller.as_ref()).unwrap().is_some()
    };
    assert!(seen(Some("k00000000001")));
    assert!(!seen(Some("k00000000002")));
    assert!(!seen(None));
    assert_eq!(world.get(&format!("/v1/outrigger/requests/{id}")).status, 200);

    let id = failed_over(&world, None);
    assert!(explain::request(&world.gateway, id, None).unwrap().is_some());
    let other = key("k00000000001");
    assert!(explain::request(&world.gateway, id, Some(&other)).unwrap().is_none());
}

#[test]
fn a_refused_request_says_why_and_cost_nothing() {
    let world = World::new();
    let id = world.id(3);
    world.append(&Record::Refusal(Box::new(refusal(id, None, world.gateway.now()))));
    let account = world.get(&format!("/v1/outrigger/requests/{id}")).json;
    assert_eq!(
        (&account["outcome"], &account["refusal"]),
        (&"refused".into(), &"budget_exceeded".into())
    );
    assert_eq!(account["attempts"], Value::Array(Vec::new()));
    let why = world.get(&format!("/v1/outrigger/route/{id}")).json;
    let summary = why["summary"].as_str().unwrap();
    assert!(summary.ends_with("was refused before any attempt: budget_exceeded"), "{why}");
}

#[test]
fn an_open_attempt_is_in_flight_and_after_a_restart_unsettled() {
    let world = World::new();
    let open = intent(world.id(1), 0, world.gateway.now());
    let path = format!("/v1/outrigger/requests/{}", open.id.request);
    world.append(&Record::Intent(Box::new(open)));
    let account = world.get(&path).json;
    assert_eq!((&account["outcome"], &account["cost_usd"]), (&"in_flight".into(), &Value::Null));
    let world = world.restarted();
    assert_eq!(world.get(&path).json["outcome"], "unsettled");
}

#[test]
fn a_request_that_is_not_there_is_not_found() {
    let world = World::new();
    failed_over(&world, None);
    let early = RequestId::from_bits(1);
    let late = RequestId::new(world.gateway.now().plus_micros(3_600_000_000), 1);
    for id in [early, world.id(9), late] {
        assert_eq!(world.get(&format!("/v1/outrigger/requests/{id}")).status, 404, "{id}");
        assert_eq!(world.get(&format!("/v1/outrigger/route/{id}")).status, 404, "{id}");
    }
    assert_eq!(world.get("/v1/outrigger/requests/req_x").status, 404);
}

#[test]
fn a_search_that_reaches_its_bound_says_so() {
    let world = World::new();
    let id = failed_over(&world, None);
    // Start and Config stand before; the bound ends the search behind the first intent.
    let account = explain::account(&world.gateway, id, 1).unwrap().unwrap().json();
    assert_eq!((&account["complete"], &account["outcome"]), (&false.into(), &"unknown".into()));
}

#[test]
fn a_candidate_of_a_former_configuration_keeps_its_name() {
    let world = World::new();
    let now = world.gateway.now();
    let mut former = crate::serve::config_record(now, &world.snapshot(2), "");
    former.offers = vec!["old/one".into()];
    world.append(&Record::Config(Box::new(former)));
    let mut tried = intent(world.id(1), 0, world.gateway.now());
    let candidate = |offer: &str| Candidate { offer: offer_code(offer), reason: 2 };
    tried.candidates = vec![candidate("old/one"), candidate("never/seen")];
    let id = tried.id.request;
    world.append(&Record::Intent(Box::new(tried)));
    let why = world.get(&format!("/v1/outrigger/route/{id}")).json;
    assert_eq!(why["candidates"][0]["offer"], "old/one");
    assert_eq!(why["candidates"][0]["reason"], "`old/one` stood ready if those before it failed.");
    let unnamed = format!("offer {:08x}", offer_code("never/seen"));
    assert_eq!(why["candidates"][1]["offer"], unnamed);
}

#[test]
fn a_name_is_explained_with_every_candidate_and_nothing_is_counted() {
    let world = World::new();
    let why = world.get("/v1/outrigger/route/chat").json;
    assert_eq!(why["attempts"], serde_json::json!(["gone/away", "demo/echo"]));
    assert_eq!(why["candidates"][0]["reason"], "`gone/away` is asked first.");
    assert_eq!(why["candidates"][1]["verdict"], "#2");

    let gone = world.gateway.numbers.of(&OfferId::parse("gone/away").unwrap());
    let now = crate::clock::SystemClock::default().now();
    {
        let mut health = world.gateway.health();
        for _ in 0..5 {
            let claim = health.claim(gone, now).unwrap();
            health.observe(claim, now, Err(ErrorClass::Unreachable), RateHint::default());
        }
    }
    let counted =
        || world.gateway.health().report(now).iter().map(|it| it.planned).collect::<Vec<_>>();
    let before = counted();
    let why = world.get("/v1/outrigger/route/chat").json;
    assert_eq!(why["attempts"], serde_json::json!(["demo/echo"]));
    let left = &why["candidates"][0];
    assert_eq!((&left["verdict"], &left["code"]), (&"left".into(), &"breaker_unreachable".into()));
    assert!(left["reason"].as_str().unwrap().contains("failed too often"), "{left}");
    assert_eq!(counted(), before);

    let providers = world.get("/v1/outrigger/providers").json;
    assert_eq!(providers["providers"][1]["offers"][0]["circuit"]["state"], "open");
    let metrics = world.open(http::Method::GET, "/metrics").text;
    let line = "outrigger_circuit_open{provider=\"gone\",model=\"away\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

const KEYED: &str = "
providers:
  openai: {base_url: 'http://127.0.0.1:1/v1', key: sk-x}
";

#[test]
fn an_offer_that_is_set_aside_or_has_no_credential_shows_as_left_out() {
    let world = World::with(KEYED);
    let shown = |model: &str| {
        let text = world.open(http::Method::GET, "/metrics").text;
        let name = format!("outrigger_circuit_open{{provider=\"openai\",model=\"{model}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name)).map(str::to_owned);
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    let asked = |model: &str, hint: RateHint| {
        let id = OfferId::parse(&format!("openai/{model}")).unwrap();
        let offer = world.gateway.snapshot.load().offer(&id).unwrap();
        let (now, mut health) = (world.gateway.now(), world.gateway.health());
        let claim = health.claim(offer.ix, now).unwrap();
        health.observe(claim, now, Err(ErrorClass::RateLimited), hint);
        offer
    };
    asked("limited", RateHint { retry_after_ms: Some(60_000) });
    let other = asked("other", RateHint::default());
    assert_eq!((shown("limited"), shown("other")), ("1".to_owned(), "0".to_owned()));
    let now = std::time::Instant::now();
    let picked = other.provider.keys.pick(now).ok().unwrap().index;
    other.provider.keys.refused(picked, now);
    assert_eq!(shown("other"), "1", "the only key was refused");
}

const WALLED: &str = "
providers: [demo]
capabilities:
  chat: [demo/echo, demo/lorem]
  plain: [demo/lorem]
teams:
  walled: {capabilities: [plain]}
";

#[test]
fn what_a_key_may_not_ask_for_is_left_with_that_reason() {
    let world = World::with(WALLED);
    let made = |body: &str| {
        let made = world.post("/v1/outrigger/keys", body);
        made.json["key"]["id"].as_str().unwrap_or_else(|| panic!("{}", made.text)).to_owned()
    };
    let anyone = made(r#"{"app": "a"}"#);
    let chat = made(r#"{"app": "a", "capabilities": ["chat"]}"#);
    let walled = made(r#"{"app": "a", "team": "walled"}"#);
    let both = made(r#"{"app": "a", "team": "walled", "capabilities": ["chat"]}"#);
    for (key, allowed) in [
        (&anyone, &["chat", "plain", "demo/echo"][..]),
        (&chat, &["chat"]),
        (&walled, &["plain"]),
        (&both, &[]),
    ] {
        for name in ["chat", "plain", "demo/echo"] {
            let why = world.get(&format!("/v1/outrigger/route/{name}?key={key}")).json;
            let taken = !why["attempts"].as_array().unwrap().is_empty();
            assert_eq!(taken, allowed.contains(&name), "{name} for {allowed:?}: {why}");
            let left = &why["candidates"][0];
            assert_eq!(left["code"] == "not_allowed", !taken, "{left}");
        }
    }
    assert_eq!(world.get("/v1/outrigger/route/chat?key=nobody").status, 404);
    let misspelt = world.get("/v1/outrigger/route/chat?kye=x");
    assert_eq!((misspelt.status, &misspelt.json["error"]["code"]), (400, &"invalid".into()));
}

#[test]
fn a_key_hears_of_no_name_that_it_may_not_ask_for() {
    let world = World::with(WALLED);
    let made = world.post("/v1/outrigger/keys", r#"{"app": "a", "team": "walled"}"#);
    let key = made.json["key"]["id"].as_str().unwrap();
    let anyone = world.get("/v1/outrigger/route/chit").text;
    assert!(anyone.contains("`chat`"), "{anyone}");
    for name in ["chit", "chatt", "dem/echo", "lorem ipsum"] {
        let reply = world.get(&format!("/v1/outrigger/route/{name}?key={key}").replace(' ', "%20"));
        assert_eq!(reply.status, 404, "{}", reply.text);
        for other in ["`chat`", "demo/lorem", "demo/echo"] {
            assert!(!reply.text.contains(other), "{name}: {}", reply.text);
        }
    }
    let own = world.get(&format!("/v1/outrigger/route/plein?key={key}")).text;
    assert!(own.contains("`plain`"), "{own}");
}

#[test]
fn who_serves_a_model_twice_is_told_to_those_who_may_ask_either() {
    const TWINS: &str = "
providers:
  here: {base_url: 'http://127.0.0.1:1/v1', models: [twin]}
  there: {base_url: 'http://127.0.0.1:1/v1', models: [twin, other]}
capabilities: {plain: [there/other]}
";
    let world = World::with(TWINS);
    let made = world.post("/v1/outrigger/keys", r#"{"app": "a", "capabilities": ["plain"]}"#);
    let key = made.json["key"]["id"].as_str().unwrap();
    let anyone = world.get("/v1/outrigger/route/twin");
    assert!(anyone.status == 404 && anyone.text.contains("here/twin"), "{}", anyone.text);
    let bound = world.get(&format!("/v1/outrigger/route/twin?key={key}"));
    assert_eq!(bound.status, 404);
    assert!(!bound.text.contains("here/") && !bound.text.contains("there/"), "{}", bound.text);
}

const HOUSE_BUDGET: &str = "
providers:
  house: {base_url: 'http://127.0.0.1:1/v1', models: [free, dear]}
  other: {base_url: 'http://127.0.0.1:1/v1', models: [free]}
capabilities:
  chat: [house/free, house/dear, other/free]
budgets:
  house: {provider: house, limit: 5 USD, per: day}
prices:
  unpriced: reject
  overrides:
    house/dear: {input: 1 USD per 1M, output: 2 USD per 1M}
";

#[test]
fn a_money_budget_on_a_provider_leaves_its_unpriced_offers_and_no_others() {
    let world = World::with(HOUSE_BUDGET);
    let why = world.get("/v1/outrigger/route/chat").json;
    let codes: Vec<&str> = why["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["unpriced", "first", "next"], "{why}");
}

const TOUCHY: &str = "
providers: [demo]
routing:
  retries: {max: 0}
  circuit: {open_at: 10%, over: 10 calls, probe_after: 1min}
";

#[test]
fn breakers_and_retries_have_the_numbers_of_the_configuration() {
    let world = World::with(TOUCHY);
    let offer = world.gateway.numbers.of(&OfferId::parse("demo/echo").unwrap());
    let now = world.gateway.now();
    let mut health = world.gateway.health();
    let claim = health.claim(offer, now).unwrap();
    health.observe(claim, now, Err(ErrorClass::ServerError), RateHint::default());
    let open = Availability::Open {
        class: ErrorClass::ServerError,
        until: now.plus_micros(60_000_000),
        lone_at: now.plus_micros(2_000_000),
    };
    assert_eq!(health.peek(offer, now), open, "one of ten calls is 10 %");
    let well = world.gateway.numbers.of(&OfferId::parse("demo/lorem").unwrap());
    let claim = health.claim(well, now).unwrap();
    let class = ErrorClass::ServerError;
    let failure = Failure { class, hint: RateHint::default(), tries_made: 0, has_next: false };
    assert_eq!(health.after_failure(claim, now, &failure, 0), Next::NextOffer);
}

#[test]
fn names_with_slashes_are_explained_escaped_or_not_and_unknown_ones_get_the_nearest() {
    let world = World::new();
    for path in ["demo/lorem", "demo%2Florem"] {
        let why = world.get(&format!("/v1/outrigger/route/{path}")).json;
        assert_eq!(why["attempts"], serde_json::json!(["demo/lorem"]), "{path}");
    }
    let unknown = world.get("/v1/outrigger/route/chatt");
    assert_eq!(unknown.status, 404);
    assert!(unknown.json["detail"].as_str().unwrap().contains("`chat`"), "{}", unknown.text);
}
