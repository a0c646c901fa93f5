//! Addresses that each user fills in otherwise, hosts by residency, and headers of vendors' usual variables.

use config::{Provider, Secret};
use domain::Layer;

use crate::surroundings::Fake;

/// The first provider, or code, message and help of each problem.
fn load(text: &str, env: &Fake) -> Result<Provider, Vec<(&'static str, String, String)>> {
    match config::load(text, "outrigger.yaml", env, catalog::builtin()) {
        Ok(loaded) => Ok(loaded.config.providers.into_iter().next().unwrap()),
        Err(problems) => Err(problems
            .into_iter()
            .map(|it| (it.code, it.message, it.help.unwrap_or_default()))
            .collect()),
    }
}

#[test]
fn a_placeholder_is_filled_by_the_file_or_the_usual_variable() {
    let env = Fake::with(&[("CLOUDFLARE_API_TOKEN", "x"), ("CLOUDFLARE_ACCOUNT_ID", "abc123")]);
    let base = |text: &str, env: &Fake| load(text, env).unwrap().base_url;
    let workers = "https://api.cloudflare.com/client/v4/accounts/abc123/ai/v1";
    assert_eq!(base("providers: [cloudflare-workers-ai]", &env), workers);
    let own = "providers: {cloudflare-workers-ai: {address: {account: other}}}";
    assert_eq!(base(own, &env), workers.replace("abc123", "other"));
    // Databricks' own tools keep the host as an address.
    let env = Fake::with(&[
        ("DATABRICKS_TOKEN", "x"),
        ("DATABRICKS_HOST", "https://adb-1.9.azuredatabricks.net/"),
    ]);
    let provider = load("providers: [databricks]", &env).unwrap();
    assert_eq!(provider.base_url, "https://adb-1.9.azuredatabricks.net/serving-endpoints");
    let messages = "https://adb-1.9.azuredatabricks.net/serving-endpoints/anthropic/v1";
    assert_eq!(provider.base_urls[0].1, messages);
}

#[test]
fn a_placeholder_that_stands_for_nothing_is_named() {
    let env = Fake::with(&[("CLOUDFLARE_API_TOKEN", "x")]);
    let missing = vec![(
        "E0107",
        "provider `cloudflare-workers-ai` needs a Cloudflare account".to_owned(),
        "write `address: {account: ...}`, or set `CLOUDFLARE_ACCOUNT_ID`".to_owned(),
    )];
    assert_eq!(load("providers: [cloudflare-workers-ai]", &env), Err(missing.clone()));
    // What would make it another address stands for nothing.
    let slash = "providers: {cloudflare-workers-ai: {address: {account: 'a/../b'}}}";
    assert_eq!(load(slash, &env), Err(missing));
    let misspelt = "providers: {cloudflare-workers-ai: {address: {acount: a}}}";
    let problems = load(misspelt, &env).unwrap_err();
    let unknown = "the address of provider `cloudflare-workers-ai` has no part `acount`";
    assert!(problems.iter().any(|it| it.1 == unknown), "{problems:?}");
}

#[test]
fn residency_picks_the_host_that_promises_it() {
    let env =
        Fake::with(&[("OPENAI_API_KEY", "x"), ("MISTRAL_API_KEY", "x"), ("GROQ_API_KEY", "x")]);
    for (text, url) in [
        ("providers: {openai: {residency: eu}}", "https://eu.api.openai.com/v1"),
        ("providers: {openai: {residency: jp}}", "https://jp.api.openai.com/v1"),
        ("providers: {mistral: {residency: us}}", "https://api.us.mistral.ai/v1"),
        ("providers: {openai: {region: eu}}", "https://api.openai.com/v1"),
    ] {
        assert_eq!(load(text, &env).unwrap().base_url, url, "{text}");
    }
    let provider = load("providers: {openai: {residency: eu}}", &env).unwrap();
    assert!(provider.layers.contains(&(Layer::Region, vec!["eu".into()])));
    for (text, message, help) in [
        (
            "providers: {mistral: {residency: jp}}",
            "provider `mistral` has no host for residency in `jp`",
            "its type has `eu` or `us`",
        ),
        (
            "providers: {groq: {residency: eu}}",
            "provider `groq` has no host for residency in `eu`",
            "its type has none by the place: leave it out, or write the `base_url`",
        ),
        (
            "providers: {openai: {residency: eu, base_url: 'https://llm.example/v1'}}",
            "provider `openai` has both a `residency` and a `base_url`",
            "leave one of them out: each says where it answers",
        ),
    ] {
        let expected = vec![("E0112", message.to_owned(), help.to_owned())];
        assert_eq!(load(text, &env).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn headers_come_from_the_variables_that_the_vendors_sdk_reads() {
    let env = Fake::with(&[
        ("OPENROUTER_API_KEY", "x"),
        ("OR_SITE_URL", "https://app.example"),
        ("OR_APP_NAME", "Ledger"),
    ]);
    let headers =
        load("providers: {openrouter: {headers: {x-title: Mine}}}", &env).unwrap().headers;
    let expected = vec![
        ("x-title".to_owned(), Secret::Plain("Mine".into())),
        ("http-referer".to_owned(), Secret::Env("OR_SITE_URL".into())),
    ];
    assert_eq!(headers, expected);
    let none = Fake::with(&[("OPENROUTER_API_KEY", "x")]);
    assert!(load("providers: [openrouter]", &none).unwrap().headers.is_empty());
}
