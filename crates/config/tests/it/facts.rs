//! What the checked types say about what was written.

use std::time::Duration;

use config::{Disconnect, FetchUrls, KeyPolicy, ProviderKind, Secret, Unpriced};
use domain::{CapabilityName, OnLoss, PICO_PER_USD, Role};
use limits::windows::Period;
use limits::{Quantity, Unit};

use crate::surroundings::{Fake, bad, good};

fn usd(dollars: i64) -> Quantity {
    Quantity { unit: Unit::Money, amount: i128::from(dollars * PICO_PER_USD) }
}

fn complete() -> config::Config {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/complete.yaml");
    good(&std::fs::read_to_string(path).unwrap(), &Fake::complete()).config
}

#[test]
fn the_complete_example_says_what_it_says() {
    let config = complete();
    assert_eq!(config.auth.keys, KeyPolicy::Required);
    assert_eq!(config.server.limits.body, 32 << 20);
    assert_eq!(config.server.trusted_proxies[0].prefix, 8);
    assert_eq!(config.routing.on_client_disconnect, Disconnect::DrainUpTo(Duration::from_secs(5)));
    assert_eq!(config.routing.retries.budget_basis_points, 1_000);
    assert_eq!(config.routing.circuit.over_calls, 20);
    assert_eq!(config.routing.default_max_output, Some(16_000));
    let FetchUrls::From(fetched) = &config.routing.fetch_urls else { panic!("a list") };
    assert_eq!((fetched.hosts.len(), fetched.allow_private_address), (2, false));
    assert!(config.routing.fetch_urls.may_ask("images.example.com", 443, 443));
    let smart = config.capabilities.iter().find(|it| it.name.as_str() == "smart").unwrap();
    let roles: Vec<_> = smart.offers.iter().map(|it| it.role).collect();
    assert_eq!(roles, [Role::Core, Role::Secondary, Role::Fallback]);
    assert_eq!((smart.on_loss, smart.max_output), (OnLoss::Reject, Some(8_000)));
    let teams: Vec<_> = config.teams.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(teams, ["search", "agents"]);
    assert_eq!(config.teams[1].capabilities, [CapabilityName::new("smart").unwrap()]);
    let search = config.budgets.iter().find(|it| &*it.name == "search").unwrap();
    assert_eq!(search.limit, usd(800));
    assert_eq!((search.period, search.zone.name()), (Period::Month, "Europe/Berlin"));
    assert!(search.hard && search.scope.team.is_some() && search.scope.app.is_none());
    let override_ = &config.prices.overrides[1];
    assert_eq!(override_.cache_write.unwrap().pico_per_million(), 5_625_000_000_000);
}

#[test]
fn providers_take_what_their_preset_knows() {
    let config = complete();
    let by_name = |name: &str| config.providers.iter().find(|it| it.name.as_str() == name).unwrap();
    let openai = by_name("openai");
    assert_eq!(openai.kind, ProviderKind::Openai);
    assert_eq!(openai.keys, [Secret::Env("OPENAI_API_KEY".into())]);
    assert_eq!(by_name("anthropic").dialects, [domain::DialectId::AnthropicMessages]);
    assert_eq!(by_name("anthropic").keys.len(), 2);
    let house = by_name("house");
    assert!(house.keys.is_empty() && house.allow_private_address);
    assert_eq!(house.layers.len(), 10);
    assert_eq!(house.tls_ca.as_deref(), Some("tls/house-ca.pem"));
    assert_eq!(by_name("demo").base_url, "");
}

#[test]
fn defaults_are_those_of_the_specification() {
    let config = good("providers: [demo]\n", &Fake::default()).config;
    assert_eq!(config.server.api.to_string(), "127.0.0.1:4141");
    assert_eq!(config.server.admin.to_string(), "127.0.0.1:4142");
    assert_eq!(config.server.drain, Duration::from_mins(10));
    assert_eq!(config.server.limits.headers_timeout, Duration::from_secs(10));
    assert_eq!(config.server.limits.connections_per_ip, 1_000);
    assert_eq!(config.auth.keys, KeyPolicy::LoopbackOpen);
    assert_eq!(config.providers[0].timeouts.first_byte, Duration::from_mins(2));
    assert_eq!(config.routing.retries.max, 2);
    assert_eq!(config.routing.fetch_urls, FetchUrls::Refuse);
    assert_eq!(config.prices.unpriced, Unpriced::Reject);
    assert_eq!(config.ledger.durability, config::Durability::Strict);
    assert!(!config.content.log && config.telemetry.prometheus);
}

#[test]
fn where_a_clients_urls_may_lead() {
    let with = |value: &str| format!("providers: [demo]\nrouting: {{fetch_urls: {value}}}\n");
    let read = |value: &str| good(&with(value), &Fake::default()).config.routing.fetch_urls;
    assert_eq!((read("refuse"), read("allow")), (FetchUrls::Refuse, FetchUrls::Allow));
    let named = read("{hosts: ['*.example.com'], allow_private_address: true}");
    assert!(named.may_ask("a.example.com", 443, 443) && named.allow_private_address());
    assert!(!named.may_ask("example.org", 443, 443));
    for (value, code) in [
        ("yes", "E0108"),
        ("{hosts: []}", "E0107"),
        ("{hosts: ['https://example.com/']}", "E0104"),
        ("{allow_private_address: true}", "E0107"),
    ] {
        let found = bad(&with(value), &Fake::default());
        assert_eq!(found.iter().map(|it| it.code).collect::<Vec<_>>(), [code], "{value}");
    }
}

#[test]
fn a_short_capability_makes_the_first_offer_core() {
    let text = "providers: [demo]\ncapabilities:\n  fast: [demo/echo, demo/lorem]\n";
    let config = good(text, &Fake::default()).config;
    let roles: Vec<_> = config.capabilities[0].offers.iter().map(|it| it.role).collect();
    assert_eq!(roles, [Role::Core, Role::Fallback]);
}

#[test]
fn an_open_listener_needs_required_keys() {
    let open = "providers: [demo]\nserver: {api: '0.0.0.0:4141'}\n";
    let problems = bad(open, &Fake::default());
    assert_eq!((problems[0].code, problems[0].line), ("E0401", 2));
    assert!(problems[0].help.as_ref().unwrap().contains("auth: {keys: required}"));
    good(&format!("{open}auth: {{keys: required}}\n"), &Fake::default());
    // The environment opens a listener no more silently than the file does.
    let env = Fake::with(&[("OUTRIGGER_API", "0.0.0.0:4141")]);
    assert_eq!(bad("providers: [demo]\n", &env)[0].code, "E0401");
}

#[test]
fn without_a_file_it_runs_on_what_was_found() {
    use config::{Found, FoundBy};
    let models = vec![domain::ModelName::new("llama3.2:1b").unwrap()];
    let server = FoundBy::Server { url: "http://127.0.0.1:8000/v1".into(), models };
    let found = [
        Found { preset: "openai".into(), by: FoundBy::Variable("OPENAI_API_KEY".into()) },
        Found { preset: "groq".into(), by: server },
    ];
    let env = Fake::with(&[("OPENAI_API_KEY", "x"), ("GROQ_API_KEY", "x")]);
    let config = config::zero(&found, &env, &crate::surroundings::FewPresets).unwrap().config;
    let names: Vec<_> = config.providers.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["openai", "groq", "demo"]);
    assert_eq!(config.providers[1].models[0].as_str(), "llama3.2:1b");
    assert!(config.server.api.ip().is_loopback());
    assert_eq!(config.budgets[0].limit, usd(5));
    let alone = config::zero(&[], &Fake::default(), &crate::surroundings::FewPresets).unwrap();
    assert_eq!(alone.config.providers.len(), 1);
}
