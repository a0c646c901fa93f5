//! Exit codes are an interface: each one provoked.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use crate::place::Place;

/// A model that takes its time over a long message.
fn long() -> String {
    "word ".repeat(500)
}

#[test]
fn zero_is_done() {
    assert_eq!(Place::new().run(&["version"]).0, 0);
}

#[test]
fn one_is_failed() {
    let place = Place::new();
    let (code, out, err) = place.run(&["route", "why", "nothing"]);
    assert_eq!((code, &*out), (1, ""), "{err}");
}

#[test]
fn two_is_wrong_usage_and_the_nearest_command_is_named() {
    let place = Place::new();
    for (args, near) in [
        (&["srve"][..], "'serve'"),
        (&["ledger", "qery"], "'query'"),
        (&["usage", "--sinc", "1d"], "'--since'"),
        (&["usage", "--by", "modle"], "'model'"),
        (&["usage", "--jq", ".rows["], "not a jq expression"),
        (&["usage", "--jq", "lenght"], "`lenght`"),
        (&["usage", "--json", "--plain"], "cannot be used with"),
        (&["provider", "test", "dmo"], "`demo`"),
        (&["explain", "E0120"], "did you mean"),
    ] {
        let (code, out, err) = place.run(args);
        assert_eq!((code, &*out), (2, ""), "{args:?}: {err}");
        assert!(err.contains(near), "{args:?}: {err}");
    }
}

#[test]
fn three_is_a_configuration_that_is_refused() {
    let place = Place::new();
    place.write("providers: [demo]\nserver: {api: '0.0.0.0:4141'}\n");
    for args in
        [&["config", "check"][..], &["serve"], &["provider", "ls"], &["serve", "-c", "none.yaml"]]
    {
        let (code, out, err) = place.run(args);
        assert_eq!((code, &*out), (3, ""), "{args:?}: {err}");
    }
    let (_, _, err) = place.run(&["serve", "-c", "none.yaml"]);
    assert!(err.contains("outrigger init --config none.yaml"), "{err}");
}

#[test]
fn four_is_not_allowed() {
    let place = Place::new();
    place.configure("providers: [demo]\nauth: {keys: required}\n");
    let gateway = place.serve(&[]);
    let (code, out, err) = place.run(&["try", "hi"]);
    assert_eq!((code, &*out), (4, ""), "{err}");
    assert!(err.contains("outrigger key create"), "{err}");
    let mut wrong = place.command(&["key", "ls"]);
    let wrong = wrong.env("OUTRIGGER_ADMIN_TOKEN", "or-admin-0123456789abcdef").output().unwrap();
    assert_eq!(wrong.status.code(), Some(4));
    gateway.stop();
}

#[test]
fn five_is_the_network() {
    let place = Place::new();
    place.configure("providers: [demo]\n");
    let (code, out, err) = place.run(&["try", "hi"]);
    assert_eq!((code, &*out), (5, ""), "{err}");
    assert!(err.contains("outrigger serve"), "{err}");
}

#[test]
fn six_is_findings_and_each_has_a_command_that_helps() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let api = taken.local_addr().unwrap();
    place.write(&format!(
        "server: {{api: '{api}', admin: '127.0.0.1:0', tls: {{cert: none.pem, key: none.pem}}}}\n\
         providers: {{house: {{base_url: 'http://127.0.0.1:1/v1'}}}}\n"
    ));
    std::fs::write(place.at("none.pem"), "nothing").unwrap();
    let (code, out, err) = place.run(&["doctor", "--json"]);
    assert_eq!((code, &*err), (6, ""));
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    let bad = |it: &&serde_json::Value| it["ok"] == false;
    let checks = found["checks"].as_array().unwrap();
    for name in ["api port", "tls", "provider"] {
        let fix = checks.iter().filter(bad).find(|it| it["check"] == name).unwrap()["fix"].as_str();
        assert!(!fix.unwrap().is_empty(), "{name}: {out}");
    }
    assert!(checks.iter().filter(bad).all(|it| it["fix"].is_string()), "{out}");
    assert!(place.run(&["doctor"]).1.contains("fix: OUTRIGGER_API=127.0.0.1:"));
    let (code, out, _) = place.run(&["doctor", "--offline", "--config", "gone.yaml"]);
    assert_eq!(code, 6);
    assert!(out.contains("fix: outrigger init --config gone.yaml"), "{out}");
}

#[test]
fn seven_is_a_ledger_that_does_not_verify() {
    let place = Place::new();
    place.good(&["key", "create", "--app", "needle-in-it"]);
    let path = place.at("outrigger-data/ledger.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let mut changed = 0;
    for at in 0..bytes.len() - 6 {
        if &bytes[at..at + 6] == b"needle" {
            bytes[at..at + 6].copy_from_slice(b"noodle");
            changed += 1;
        }
    }
    assert!(changed > 0);
    std::fs::write(&path, bytes).unwrap();
    let (code, out, _) = place.run(&["ledger", "verify"]);
    assert_eq!(code, 7);
    assert!(out.contains("NOT SOUND"), "{out}");
    let (code, out, _) = place.run(&["doctor", "--offline"]);
    assert_eq!(code, 6);
    assert!(out.contains("fix: outrigger ledger verify"), "{out}");
}

#[test]
fn seventy_five_is_a_drain_that_cut_and_a_second_interrupt_does_not_wait() {
    for (drain, signals) in [("100ms", &["-TERM"][..]), ("10min", &["-INT", "-INT"])] {
        let place = Place::new();
        let addresses = crate::place::Addresses::free();
        let (api, admin) = (addresses.api, addresses.admin);
        place.write(&format!(
            "server: {{api: '{api}', admin: '{admin}', drain: {drain}}}\nproviders: [demo]\n"
        ));
        let gateway = place.serve(&[]);
        let mut client = place
            .command(&["try", &long(), "-m", "demo/slow"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while place.json(&["ledger", "query", "--json"])["attempts"].as_array().unwrap().is_empty()
        {
            std::thread::yield_now();
        }
        for signal in signals {
            gateway.signal(signal);
            // Two signals that arrive at once are one: the next waits until this one is seen.
            while crate::place::status(&admin, "/readyz") == Some(200) {
                std::thread::yield_now();
            }
        }
        assert_eq!(gateway.ended(), 75, "{signals:?}");
        assert_eq!(client.wait().unwrap().code(), Some(5));
    }
}

#[test]
fn an_interrupted_command_ends_by_the_signal_which_shells_call_130() {
    let place = Place::new();
    place.configure("providers: [demo]\n");
    let gateway = place.serve(&[]);
    let mut client =
        place.command(&["try", &long(), "-m", "demo/slow"]).stdout(Stdio::null()).spawn().unwrap();
    crate::place::interrupt(&client);
    assert_eq!(client.wait().unwrap().signal(), Some(2));
    gateway.stop();
}

#[test]
fn another_programs_code_is_passed_on() {
    let place = Place::new();
    place.configure("providers: [demo]\n");
    let gateway = place.serve(&[]);
    for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -TERM $$", 143)] {
        assert_eq!(place.run(&["run", "--", "/bin/sh", "-c", script]).0, code, "{script}");
        // With something left to do after it.
        let args = ["run", "--cap", "1usd", "--", "/bin/sh", "-c", script];
        assert_eq!(place.run(&args).0, code, "{script}");
    }
    gateway.stop();
}
