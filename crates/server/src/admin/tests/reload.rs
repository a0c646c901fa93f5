//! Reloads: what comes of them, who is told, and what is counted.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use catalog::Overlay;
use config::{Config, Diagnostic};
use domain::{ErrorClass, OfferId, Price, RateHint};
use policy::Availability;
use policy::breaker::BreakerState;
use serde_json::json;

use super::super::tell;
use super::world::{NoEnv, Reply, World};
use crate::imported;
use crate::listen::TlsSource;
use crate::reload::Reloader;
use crate::serve::ConfigSource;

/// A configuration file that a test edits.
#[derive(Clone)]
struct File(Arc<Mutex<String>>);

impl File {
    fn write(&self, text: &str) {
        text.clone_into(&mut self.0.lock().unwrap());
    }
}

impl ConfigSource for File {
    fn text(&self) -> Result<String, String> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn check(&self, text: &str) -> Result<Config, Vec<Diagnostic>> {
        config::load(text, "outrigger.yaml", &NoEnv, catalog::builtin()).map(|it| it.config)
    }
}

const GOOD: &str = "providers: [demo]\n";
const BAD: &str = "providers: [demo]\nserver: {drian: 5s}\nledger: {durability: strcit}\n";

fn start(text: &'static str) -> (World, File, Reloader) {
    let world = World::with(text);
    let file = File(Arc::new(Mutex::new(text.to_owned())));
    let gateway = Arc::clone(&world.gateway);
    let reloader = Reloader::new(gateway, Box::new(file.clone()), text.to_owned(), None);
    (world, file, reloader)
}

/// Asks over the admin API, with the control loop's part played here.
fn asked(world: &World, reloader: &mut Reloader) -> Reply {
    let admin = world.admin();
    world.while_answering("POST", "/v1/outrigger/reload", async {
        tell(admin.asked_to_reload().await, &reloader.reload());
    })
}

#[test]
fn a_refused_reload_lists_every_problem_with_line_and_column_and_the_old_one_stays() {
    let (world, file, mut reloader) = start(GOOD);
    file.write(BAD);
    let refused = asked(&world, &mut reloader);
    assert_eq!((refused.status, &refused.json["error"]["code"]), (422, &"config_refused".into()));
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    let detail = refused.json["detail"].as_str().unwrap();
    assert_eq!(detail, "outrigger.yaml:2:10: unknown key `drian` in `server` and 1 more");
    let errors = refused.json["errors"].as_array().unwrap();
    let places: Vec<_> =
        errors.iter().map(|it| (&it["code"], &it["line"], &it["column"])).collect();
    let wanted = [(json!("E0102"), json!(2), json!(10)), (json!("E0108"), json!(3), json!(22))];
    assert_eq!(places, wanted.iter().map(|it| (&it.0, &it.1, &it.2)).collect::<Vec<_>>());
    assert_eq!(
        (&errors[1]["suggestion"], &errors[1]["file"]),
        (&json!("strict"), &json!("outrigger.yaml"))
    );
    assert!(errors[1]["detail"].as_str().unwrap().contains("strcit"));
    assert_eq!(world.get("/v1/outrigger/status").json["config"]["revision"], 1);

    file.write("providers: [demo]\nserver: {drain: 5s}\n");
    let done = asked(&world, &mut reloader);
    assert_eq!((done.status, &done.json["revision"]), (200, &2.into()));
    assert_eq!(world.get("/v1/outrigger/status").json["config"]["revision"], 2);
}

#[test]
fn what_reads_well_and_can_not_be_put_in_force_says_why() {
    let (world, file, mut reloader) = start(GOOD);
    for change in [
        "ledger: {dir: elsewhere}",
        "server: {trusted_proxies: [10.0.0.0/8]}",
        "server: {limits: {connections_per_ip: 5}}",
    ] {
        file.write(&format!("providers: [demo]\n{change}\n"));
        let refused = asked(&world, &mut reloader);
        assert_eq!(refused.status, 422, "{change}");
        let detail = refused.json["detail"].as_str().unwrap();
        assert!(detail.contains("with a restart"), "{change}: {detail}");
        assert!(refused.json.get("errors").is_none());
    }
    file.write("providers: [demo]\nserver: {limits: {body: 1MiB}}\n");
    assert_eq!(asked(&world, &mut reloader).status, 200);
}

#[test]
fn each_refused_text_is_counted_once_however_often_it_is_looked_at() {
    let (world, file, mut reloader) = start(GOOD);
    let counted = || world.gateway.metrics.reloads_refused.get();
    file.write(BAD);
    reloader.look(Instant::now());
    assert!(reloader.reload().is_err(), "whoever asks is told again");
    reloader.look(Instant::now());
    assert_eq!(counted(), 1);
    file.write("providers: [dmo]\n");
    assert!(reloader.reload().is_err());
    reloader.look(Instant::now());
    assert_eq!(counted(), 2);
    // Taken back, and then the same mistake again: that is another one.
    file.write(GOOD);
    reloader.look(Instant::now());
    file.write("providers: [dmo]\n");
    reloader.look(Instant::now());
    assert_eq!(counted(), 3);
    assert_eq!(world.gateway.snapshot.load().revision, 1);
}

#[test]
fn a_draining_gateway_reloads_nothing_and_says_so_at_once() {
    let (world, _, _) = start(GOOD);
    world.gateway.drain();
    let reply = world.post("/v1/outrigger/reload", "");
    assert_eq!((reply.status, &reply.json["error"]["code"]), (503, &"stopping".into()));
}

#[test]
fn breakers_take_new_numbers_and_keep_what_they_know() {
    let (world, file, mut reloader) = start(GOOD);
    let offer = world.gateway.numbers.of(&OfferId::parse("demo/echo").unwrap());
    let now = world.gateway.now();
    let fail = || {
        let mut health = world.gateway.health();
        let claim = health.claim(offer, now).unwrap();
        health.observe(claim, now, Err(ErrorClass::ServerError), RateHint::default());
        health.report(now)[usize::from(offer.0)]
    };
    assert_eq!(fail().breaker, BreakerState::Closed);
    file.write("providers: [demo]\nrouting: {circuit: {open_at: 10%}}\n");
    assert_eq!(reloader.reload().unwrap(), 2);
    // The second of twenty.
    let report = fail();
    assert!(matches!(report.availability, Availability::Open { .. }), "{report:?}");
    assert_eq!(report.planned, 2);
}

#[test]
fn a_renewed_certificate_is_taken_as_often_as_the_file_says_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let make = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let put = |(cert, key): &(String, String)| {
        std::fs::write(dir.path().join("cert.pem"), cert).unwrap();
        std::fs::write(dir.path().join("key.pem"), key).unwrap();
    };
    let (first, second) = (make(), make());
    put(&first);
    let path = |name: &str| dir.path().join(name).display().to_string();
    let text = format!(
        "providers: [demo]\nserver: {{tls: {{cert: '{}', key: '{}', reload: 60s}}}}\n",
        path("cert.pem"),
        path("key.pem")
    );
    let text: &'static str = text.leak();
    let world = World::with(text);
    let file = File(Arc::new(Mutex::new(text.to_owned())));
    let tls = TlsSource::from_pem(first.0.as_bytes(), first.1.as_bytes()).unwrap();
    let gateway = Arc::clone(&world.gateway);
    let mut reloader =
        Reloader::new(gateway, Box::new(file), text.to_owned(), Some(Arc::clone(&tls)));
    let start = Instant::now();
    let mut look = |seconds| {
        reloader.look(start + Duration::from_secs(seconds));
        tls.current()
    };
    let begun = look(0);
    put(&second);
    assert!(Arc::ptr_eq(&look(59), &begun), "not before its time");
    let renewed = look(60);
    assert!(!Arc::ptr_eq(&renewed, &begun));
    assert!(Arc::ptr_eq(&look(120), &renewed), "the same again is not taken anew");
    put(&(first.0.clone(), second.1.clone()));
    assert!(Arc::ptr_eq(&look(180), &renewed), "a key of another certificate");
    put(&first);
    assert!(!Arc::ptr_eq(&look(240), &renewed));
}

const HOUSE: &str = "
providers:
  openai: {base_url: 'http://127.0.0.1:1/v1', key: sk-x}
";

#[test]
fn imported_prices_count_from_the_next_reload_and_damaged_ones_are_refused() {
    let (world, _, mut reloader) = start(HOUSE);
    let now = world.gateway.now();
    let price = || {
        let snapshot = world.gateway.snapshot.load_full();
        let offer = snapshot.offer(&OfferId::parse("openai/gpt-5-mini").unwrap()).unwrap();
        offer.price_at(now).unwrap().rates.input
    };
    let dearer = Price::from_usd_per_million("77").unwrap();
    assert_ne!(price(), dearer);
    let table = json!({"gpt-5-mini": {
        "litellm_provider": "openai", "mode": "chat",
        "input_cost_per_token": 77e-6, "output_cost_per_token": 78e-6,
    }});
    let table = catalog::import::import(&table.to_string(), "2026-11-01").unwrap();
    imported::write(world.path(), &Overlay::of(&table), now).unwrap();
    assert_ne!(price(), dearer, "not before the reload");
    let revision = asked(&world, &mut reloader).json["revision"].clone();
    assert_eq!((revision, price()), (2.into(), dearer));

    std::fs::write(world.path().join("catalog-overlay.txt"), "from 1\nrubbish\n").unwrap();
    let refused = asked(&world, &mut reloader);
    assert_eq!(refused.status, 422);
    assert!(
        refused.json["detail"].as_str().unwrap().contains("import the table again"),
        "{}",
        refused.text
    );
    assert_eq!(price(), dearer);
}
