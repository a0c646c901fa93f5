//! Where each value comes from, and the environment's word over the file's.

use std::time::Duration;

use config::Origin;

use crate::surroundings::{Fake, bad, good};

fn origin(loaded: &config::Loaded, path: &str) -> (String, Origin) {
    let leaf = loaded.leaves.iter().find(|leaf| leaf.path == path);
    let leaf = leaf.unwrap_or_else(|| panic!("no `{path}` in {:?}", loaded.leaves));
    (leaf.value.clone(), leaf.origin.clone())
}

#[test]
fn the_environment_wins_over_the_file_and_says_so() {
    let text = "providers: [demo]\nserver:\n  drain: 1min\n  admin: 127.0.0.1:9\n";
    let env = Fake::with(&[("OUTRIGGER__SERVER__DRAIN", "5min"), ("OUTRIGGER_API", "127.0.0.1:1")]);
    let loaded = good(text, &env);
    assert_eq!(loaded.config.server.drain, Duration::from_mins(5));
    let variable = |name: &str| Origin::Variable(name.into());
    assert_eq!(
        origin(&loaded, "server.drain"),
        ("5min".into(), variable("OUTRIGGER__SERVER__DRAIN"))
    );
    assert_eq!(origin(&loaded, "server.api"), ("127.0.0.1:1".into(), variable("OUTRIGGER_API")));
    let file = Origin::File { file: "outrigger.yaml".into(), line: 4 };
    assert_eq!(origin(&loaded, "server.admin"), ("127.0.0.1:9".into(), file));
    assert_eq!(origin(&loaded, "ledger.durability"), ("strict".into(), Origin::Default));
}

#[test]
fn variables_reach_names_that_no_variable_can_spell() {
    let text = "providers:\n  my-vllm:\n    base_url: http://127.0.0.1:1/v1\n";
    let env = Fake::with(&[("OUTRIGGER__PROVIDERS__MY_VLLM__TIMEOUTS__TOTAL", "7s")]);
    assert_eq!(good(text, &env).config.providers[0].timeouts.total, Duration::from_secs(7));
}

#[test]
fn a_list_of_providers_takes_values_from_the_environment_too() {
    let env = Fake::with(&[
        ("OPENAI_API_KEY", "x"),
        ("OUTRIGGER__PROVIDERS__OPENAI__BASE_URL", "http://127.0.0.1:9/v1"),
    ]);
    let config = good("providers: [demo, openai]\n", &env).config;
    assert_eq!(config.providers.len(), 2);
    assert_eq!(config.providers[1].base_url, "http://127.0.0.1:9/v1");
}

#[test]
fn variables_that_name_nothing_or_hold_nonsense_are_refused() {
    for (name, code) in [
        ("OUTRIGGER__SERVER__DRIAN", "E0501"),
        ("OUTRIGGER__SERVER", "E0501"),
        ("OUTRIGGER__SERVER__DRAIN__MORE", "E0501"),
        ("OUTRIGGER__SERVER__DRAIN", "E0105"),
    ] {
        let problems = bad("providers: [demo]\n", &Fake::with(&[(name, "5")]));
        assert_eq!((problems[0].code, problems[0].line), (code, 0), "{name}");
        assert_eq!(problems[0].file, name);
        assert!(config::render(&problems[0], "").contains(name));
    }
}

#[test]
fn no_plain_secret_is_shown() {
    let text = "providers:\n  openai: {key: sk-plain}\n";
    let loaded = good(text, &Fake::default());
    assert_eq!(origin(&loaded, "providers.openai.key").0, "(hidden)");
    assert_eq!(origin(&loaded, "providers.openai.base_url").1, Origin::Preset("openai".into()));
}
