//! The command as its users meet it: what it prints where, and how it ends.

use std::process::Command;

use serde_json::Value;

use crate::place::{EXE, Place, seen};

#[test]
fn a_first_file_is_written_once_and_is_good() {
    let place = Place::new();
    assert!(place.good(&["init"]).starts_with("wrote outrigger.yaml"));
    assert!(place.good(&["config", "check"]).contains("is good"));
    let (code, _, err) = place.run(&["init"]);
    assert_eq!(code, 2);
    assert!(err.contains("--yes"), "{err}");
    place.good(&["init", "--yes"]);
}

#[test]
fn a_bad_file_ends_with_3_and_every_problem_in_its_place() {
    let place = Place::new();
    place.write("providers: [demo]\nserver: {drian: 5s}\nledger: {durability: strcit}\n");
    let (code, out, err) = place.run(&["config", "check"]);
    assert_eq!((code, &*out), (3, ""));
    assert!(err.contains("outrigger.yaml:2:10") && err.contains("did you mean `drain`?"), "{err}");
    assert!(err.contains("outrigger.yaml:3:22") && err.contains("did you mean `strict`?"), "{err}");
    let (code, out, _) = place.run(&["config", "check", "--json"]);
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, value["problems"].as_array().unwrap().len()), (3, 2));
    assert_eq!(value["problems"][0]["suggestion"], "drain");
}

#[test]
fn an_open_listener_without_keys_is_refused_with_the_fix() {
    let place = Place::new();
    place.write("providers: [demo]\nserver: {api: '0.0.0.0:4141'}\n");
    let (code, _, err) = place.run(&["config", "check"]);
    assert_eq!(code, 3);
    assert!(err.contains("E0401") && err.contains("auth: {keys: required}"), "{err}");
}

#[test]
fn every_value_says_where_it_comes_from() {
    let place = Place::new();
    place.write("providers: [demo]\nserver: {drain: 1min}\n");
    let output =
        place.command(&["config", "show", "--json"]).env("OUTRIGGER_API", "127.0.0.1:9").output();
    let (code, out, _) = seen(&output.unwrap());
    assert_eq!(code, 0);
    let value: Value = serde_json::from_str(&out).unwrap();
    let from = |path: &str| {
        let all = value["settings"].as_array().unwrap();
        all.iter().find(|it| it["path"] == path).unwrap()["origin"].as_str().unwrap().to_owned()
    };
    assert_eq!(from("server.drain"), "outrigger.yaml:2");
    assert_eq!(from("server.api"), "env OUTRIGGER_API");
    assert_eq!(from("ledger.durability"), "default");
}

#[test]
fn a_key_lives_from_create_to_revoke_and_its_secret_is_shown_once() {
    let place = Place::new();
    let made = place.json(&["key", "create", "--app", "ci", "--budget", "5 USD per day", "--json"]);
    let secret = made["secret"].as_str().unwrap().to_owned();
    let id = made["key"]["id"].as_str().unwrap().to_owned();
    assert!(secret.starts_with(&format!("or-{id}-")), "{secret}");
    let listed = place.good(&["key", "ls"]);
    assert!(listed.contains(&id) && !listed.contains(&secret), "{listed}");
    let rotated = place.json(&["key", "rotate", &id, "--json"]);
    assert_ne!(rotated["secret"].as_str().unwrap(), secret);
    place.good(&["key", "revoke", &id]);
    assert_eq!(place.json(&["key", "ls", "--json"])["keys"][0]["state"], "revoked");
    let report = place.json(&["ledger", "verify", "--json"]);
    assert_eq!(report["ok"], true);
    for file in std::fs::read_dir(place.path().join("outrigger-data")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|it| it == secret.as_bytes()));
    }
}

#[test]
fn a_key_for_some_capabilities_is_listed_so_and_a_misspelled_one_is_guessed() {
    let place = Place::new();
    place.write("providers: [demo]\ncapabilities: {fast: [demo/echo], smart: [demo/lorem]}\n");
    let create = ["key", "create", "--app", "ci", "--capability", "fast", "--capability", "smart"];
    place.good(&create);
    let key = &place.json(&["key", "ls", "--json"])["keys"][0];
    assert_eq!(key["capabilities"], serde_json::json!(["fast", "smart"]));
    assert!(place.good(&["key", "ls"]).contains("fast; smart"));
    let (code, out, err) = place.run(&["key", "create", "--app", "ci", "--capability", "fats"]);
    assert_eq!((code, &*out), (2, ""));
    assert!(err.contains("did you mean `fast`?"), "{err}");
}

#[test]
fn what_the_configuration_keeps_is_not_pruned() {
    let place = Place::new();
    place.write("providers: [demo]\nledger: {keep: 30d}\n");
    place.good(&["key", "create", "--app", "ci"]);
    for args in [&["--dry-run"][..], &["--yes"]] {
        let (code, _, why) = place.run(&[&["ledger", "prune", "--before", "7d"], args].concat());
        assert!(code == 2 && why.contains("`ledger.keep` keeps what was logged since"), "{why}");
    }
    place.good(&["ledger", "prune", "--before", "31d", "--yes"]);
    let said = place.json(&["ledger", "prune", "--dry-run", "--json"]);
    let cut: jiff::Timestamp = said["before"].as_str().unwrap().parse().unwrap();
    let ago = jiff::Timestamp::now().duration_since(cut).as_hours();
    assert_eq!(ago, 30 * 24, "{said}");
}

#[test]
fn a_ledger_is_copied_and_the_copy_verifies() {
    let place = Place::new();
    place.good(&["key", "create", "--app", "ci"]);
    place.good(&["ledger", "backup", "copy"]);
    let copy = place.json(&["ledger", "verify", "--json", "--data-dir", "copy"]);
    assert_eq!((&copy["ok"], &copy["records"]), (&true.into(), &3.into()));
    assert_eq!(place.run(&["ledger", "backup", "copy"]).0, 1);
    assert_eq!(place.run(&["ledger", "prune", "--before", "1d"]).0, 2);
    assert!(
        place.good(&["ledger", "prune", "--before", "1d", "--dry-run"]).starts_with("0 attempts")
    );
    place.good(&["ledger", "prune", "--before", "1d", "--yes"]);
    let (code, _, why) = place.run(&["ledger", "prune", "--yes"]);
    assert!(code == 2 && why.contains("ledger.keep"), "{why}");
    assert_eq!(place.json(&["ledger", "repair", "--yes", "--json"])["repaired"], false);
    assert_eq!(place.json(&["ledger", "verify", "--json"])["ok"], true);
}

#[test]
fn a_key_for_nonsense_is_wrong_usage() {
    let place = Place::new();
    for args in [
        &["key", "create", "--app", "a b"][..],
        &["key", "create", "--app", "ci", "--budget", "5 per day"],
        &["key", "create", "--app", "ci", "--expires", "90"],
    ] {
        let (code, out, err) = place.run(args);
        assert_eq!((code, &*out), (2, ""), "{err}");
    }
}

#[test]
fn prices_are_exact_and_unknown_ones_say_so() {
    let place = Place::new();
    place.write(
        "providers:\n  house: {base_url: http://127.0.0.1:8000/v1}\nprices:\n  overrides:\n    \
         house/m: {input: 0.05 USD per 1M, output: 0.15 USD per 1M}\n",
    );
    let args =
        ["model", "price", "house/m", "--input", "1000000", "--output", "2000000", "--quiet"];
    assert_eq!(place.good(&args), "0.35 USD\n");
    let (code, _, err) = place.run(&["model", "price", "house/other", "--input", "1"]);
    assert_eq!(code, 1);
    assert!(err.contains("no standard price is known"), "{err}");
    let (code, _, err) = place.run(&["model", "price", "hose/m"]);
    assert_eq!(code, 2);
    assert!(err.contains("did you mean `house`?"), "{err}");
}

#[test]
fn a_child_program_gets_the_gateways_address_and_its_exit_code_is_passed_on() {
    let place = Place::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let script = "echo $OPENAI_BASE_URL $ANTHROPIC_BASE_URL $OPENAI_API_KEY; exit 42";
    let args = ["run", "--api-url", &url, "--", "/bin/sh", "-c", script];
    let (code, out, _) = place.run(&args);
    assert_eq!((code, out), (42, format!("{url}/v1 {url} outrigger\n")));
    drop(listener);
    let (code, out, err) = place.run(&args);
    assert_eq!((code, &*out), (5, ""));
    assert!(err.contains("outrigger serve"), "{err}");
}

#[test]
fn env_prints_what_a_shell_can_eval() {
    let place = Place::new();
    let line = format!("eval \"$({EXE} env)\"; echo $ANTHROPIC_BASE_URL");
    let mut shell = Command::new("/bin/sh");
    let output = shell.args(["-c", &line]).current_dir(place.path()).env_clear().output().unwrap();
    assert_eq!(seen(&output).1, "http://127.0.0.1:4141\n");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let line = format!("{{ {EXE} config schema; echo $? >&2; }} | head -c 1");
    let output = Command::new("/bin/sh").args(["-c", &line]).current_dir(place.path()).output();
    assert_eq!(seen(&output.unwrap()).2, "0\n");
}

#[test]
fn there_is_no_escape_sequence_where_none_is_wanted() {
    let place = Place::new();
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "xterm")] {
        let output = place.command(&["doctor", "--offline"]).env(name, value).output().unwrap();
        assert!(!output.stdout.contains(&0x1b), "{name}={value}");
    }
    let forced = place.good(&["doctor", "--offline", "--color", "always"]);
    assert!(forced.contains('\u{1b}'));
}

#[test]
fn every_code_is_explained_and_a_misspelled_one_is_guessed() {
    let place = Place::new();
    assert!(place.good(&["explain", "e0102"]).contains("not known"));
    assert!(place.good(&["explain", "budget_exceeded"]).contains("402"));
    let (code, _, err) = place.run(&["explain", "budget_exeeded"]);
    assert_eq!(code, 2);
    assert!(err.contains("`budget_exceeded`"), "{err}");
}
