//! The first lines of `serve`: with nothing, with keys in the environment, with a file, for a program.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::place::{Addresses, Gateway, Place, interrupt};

/// Starts with these arguments, reads standard error until `last` stands in a line, and ends it.
fn first_lines(place: &Place, args: &[&str], env: &[(&str, &str)], last: &str) -> String {
    let Addresses { api, admin } = Addresses::free();
    let mut command = place.command(args);
    command.env("OUTRIGGER__SERVER__API", api).env("OUTRIGGER__SERVER__ADMIN", admin);
    let mut child = command.envs(env.iter().copied()).stderr(Stdio::piped()).spawn().unwrap();
    let mut page = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        page = page + &line.unwrap() + "\n";
        if page.lines().last().unwrap().contains(last) {
            break;
        }
    }
    assert!(page.contains(last), "{page}");
    interrupt(&child);
    assert_eq!(Gateway::of(child).ended(), 0, "{page}");
    page
}

#[test]
fn with_nothing_it_says_what_runs_and_what_to_type() {
    let place = Place::new();
    let page = first_lines(&place, &["serve"], &[], "ready in");
    for said in [
        "no config file",
        "demo      built in, free",
        "this machine only, no key needed",
        "5 USD a day",
        "outrigger try \"hello\" --model demo/echo",
        "outrigger run -- claude",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    // A log file is no place for a secret.
    let token = std::fs::read_to_string(place.at("outrigger-data/admin-token")).unwrap();
    assert!(!page.contains(token.trim()) && page.contains("admin-token"), "{page}");
    assert!(!page.contains('\u{1b}'), "{page}");
}

#[test]
fn keys_in_the_environment_are_providers_and_a_priced_model_is_the_one_to_try() {
    let keys = [("OPENAI_API_KEY", "x"), ("ANTHROPIC_API_KEY", "x")];
    let page = first_lines(&Place::new(), &["serve", "--cap", "2"], &keys, "ready in");
    for said in ["openai     OPENAI_API_KEY", "anthropic  ANTHROPIC_API_KEY", "2 USD a day"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let model = page.split("--model ").nth(1).unwrap().lines().next().unwrap();
    let elsewhere = Place::new();
    let mut price =
        elsewhere.command(&["model", "price", model, "--output", "1000", "--jq", ".cost_usd"]);
    let price = price.envs(keys).output().unwrap();
    assert!(
        String::from_utf8(price.stdout).unwrap().trim().parse::<f64>().unwrap() > 0.0,
        "{model}"
    );
}

#[test]
fn with_a_file_it_names_the_file_the_first_capability_and_who_needs_a_key() {
    let place = Place::new();
    place.write("providers: [demo]\ncapabilities: {fast: [demo/echo]}\nauth: {keys: required}\n");
    let page = first_lines(&place, &["serve"], &[], "ready in");
    for said in
        ["· outrigger.yaml ·", "--model fast", "a virtual key is required", "outrigger key create"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("USD a day"), "{page}");
}

#[test]
fn a_log_for_programs_is_json_line_by_line_from_the_first_on() {
    let page =
        first_lines(&Place::new(), &["serve", "--log-format", "json"], &[], "\"ready\":true");
    for line in page.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|it| panic!("{it}: {line}"));
    }
}

#[test]
fn for_json_the_ready_gateway_is_a_document_on_standard_output() {
    let place = Place::new();
    let addresses = place.configure("providers: [demo]\n");
    let gateway = place.serve(&[]);
    assert_eq!(
        place.json(&["env", "--json"])["ANTHROPIC_BASE_URL"],
        format!("http://{}", addresses.api)
    );
    gateway.stop();
}

#[test]
fn commands_find_the_running_gateway_where_it_says_it_listens() {
    let place = Place::new();
    place.write("providers: [demo]\n");
    let addresses = Addresses::free();
    let env = [
        ("OUTRIGGER__SERVER__API", addresses.api.as_str()),
        ("OUTRIGGER__SERVER__ADMIN", addresses.admin.as_str()),
    ];
    let gateway = place.serve(&env);
    // No variable tells these commands anything.
    assert_eq!(place.good(&["try", "hi", "--quiet"]), "hi\n");
    assert!(place.good(&["env"]).contains(&addresses.api));
    gateway.stop();
}

#[test]
fn a_users_own_file_counts_where_the_folder_has_none_with_its_data_beside_it() {
    let (place, home) = (Place::new(), Place::new());
    let folder = home.at("config/outrigger");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("outrigger.yaml"),
        "providers: [demo]\ncapabilities: {mine: [demo/echo]}\n",
    )
    .unwrap();
    let run = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("XDG_CONFIG_HOME", home.at("config")).env("XDG_DATA_HOME", home.at("data"));
        let output = command.output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let paths = run(&["config", "path", "--json"]);
    assert_eq!(paths["config"], folder.join("outrigger.yaml").to_str().unwrap());
    assert_eq!(paths["data"], home.at("data/outrigger").to_str().unwrap());
    assert_eq!(run(&["route", "why", "mine", "--json"])["requested"], "mine");
    place.write("providers: [demo]\n");
    let paths = run(&["config", "path", "--json"]);
    assert_eq!(
        (&paths["config"], &paths["data"]),
        (&"outrigger.yaml".into(), &"outrigger-data".into())
    );
}
