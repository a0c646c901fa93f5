//! Manners towards terminals, pipes and programs.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::place::{EXE, Place, seen};

/// Commands that list or show something and need no gateway.
const READING: &[&[&str]] = &[
    &["catalog", "show"],
    &["config", "check"],
    &["config", "path"],
    &["config", "schema"],
    &["config", "show"],
    &["completion", "bash"],
    &["doctor", "--offline"],
    &["env"],
    &["explain", "--all"],
    &["explain", "E0102"],
    &["init", "--dry-run"],
    &["key", "ls"],
    &["ledger", "export"],
    &["ledger", "query"],
    &["ledger", "verify"],
    &["man"],
    &["model", "ls"],
    &["model", "show", "demo/echo"],
    &["model", "price", "demo/echo"],
    &["provider", "ls"],
    &["provider", "test"],
    &["route", "why", "fast"],
    &["try", "hi", "--snippet", "curl"],
    &["usage"],
    &["version"],
];

fn furnished() -> Place {
    let place = Place::new();
    place.configure("providers: [demo]\ncapabilities: {fast: [demo/echo]}\n");
    place.good(&["key", "create", "--app", "search"]);
    place
}

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

#[test]
fn json_is_one_object_and_jsonl_is_values_a_line() {
    let place = furnished();
    for args in READING {
        let (_, out, _) = place.run(&with(args, &["--json"]));
        let value: Value =
            serde_json::from_str(&out).unwrap_or_else(|it| panic!("{args:?}: {it}: {out}"));
        assert!(value.is_object(), "{args:?}: {value}");
        let (_, out, _) = place.run(&with(args, &["--jsonl"]));
        for line in out.lines() {
            serde_json::from_str::<Value>(line)
                .unwrap_or_else(|it| panic!("{args:?}: {it}: {line}"));
        }
        let (_, out, _) = place.run(&with(args, &["--jq", "type"]));
        let rows = out.lines().all(|line| line == "object");
        assert!(rows, "{args:?}: {out}");
    }
}

#[test]
fn jsonl_is_the_rows_of_the_list() {
    let place = furnished();
    let rows = place.json(&["model", "ls", "--json"])["models"].as_array().unwrap().clone();
    let lines: Vec<Value> = place
        .good(&["model", "ls", "--jsonl"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, rows);
    let filtered = place.good(&["model", "ls", "--jsonl", "--jq", ".offer"]);
    assert_eq!(filtered, place.good(&["model", "ls", "--jq", ".models[].offer"]));
    assert_eq!(filtered.lines().next(), Some("demo/echo"));
}

#[test]
fn plain_lines_have_no_head_and_a_tab_between_cells() {
    let place = furnished();
    let plain = place.good(&["provider", "ls", "--plain"]);
    assert_eq!(plain, "demo\tdemo\t(built in)\tnone\t6\n");
    let why = place.good(&["route", "why", "fast", "--plain"]);
    assert_eq!(why.lines().count(), 1, "{why}");
}

#[test]
fn a_filter_gives_texts_bare_and_everything_else_as_json() {
    let place = furnished();
    let of = |filter: &str| place.good(&["version", "--jq", filter]);
    assert_eq!(of(".name"), "outrigger\n");
    assert_eq!(of(".name, {a: 1}, [2], null"), "outrigger\n{\"a\":1}\n[2]\nnull\n");
    assert_eq!(of("[.name] | @tsv"), "outrigger\n");
    assert_eq!(of(".name | test(\"^out\")"), "true\n");
    let (code, out, err) = place.run(&["version", "--jq", ".name[0].x"]);
    assert_eq!((code, &*out), (1, ""));
    assert!(err.contains("--jq failed"), "{err}");
}

#[test]
fn colour_follows_the_flag_then_the_environment_then_the_terminal() {
    let place = furnished();
    let coloured = |args: &[&str], env: &[(&str, &str)]| {
        let output = place.command(args).envs(env.iter().copied()).output().unwrap();
        [output.stdout, output.stderr].concat().contains(&0x1b)
    };
    for args in [&["ledger", "verify"][..], &["--help"], &["nonsense"]] {
        assert!(!coloured(args, &[("TERM", "xterm")]), "{args:?}");
        assert!(coloured(&with(args, &["--color", "always"]), &[("NO_COLOR", "1")]), "{args:?}");
        let forced = [("CLICOLOR_FORCE", "1"), ("TERM", "xterm")];
        assert!(coloured(args, &forced), "{args:?}");
        assert!(!coloured(&with(args, &["--color=never"]), &forced), "{args:?}");
        let both = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1"), ("TERM", "xterm")];
        assert!(!coloured(args, &both), "{args:?}");
    }
    assert!(!coloured(&["ledger", "verify", "--json", "--color", "always"], &[]));
}

/// Runs a line on a terminal; what it showed and its exit code.
fn on_a_terminal(place: &Place, line: &str, typed: &str, env: &[(&str, &str)]) -> (i32, String) {
    let mut script = Command::new("script");
    script.args(["-qec", line, "/dev/null"]).current_dir(place.path()).env_clear();
    script.env("PATH", "/usr/bin:/bin").env("TERM", "xterm").envs(env.iter().copied());
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    script.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let (code, out, _) = seen(&script.wait_with_output().unwrap());
    (code, out)
}

#[test]
fn a_person_is_asked_before_a_file_is_lost_and_only_yes_is_yes() {
    let place = Place::new();
    place.write("mine");
    let kept = || std::fs::read_to_string(place.at("outrigger.yaml")).unwrap() == "mine";
    let (code, shown) = on_a_terminal(&place, &format!("{EXE} init"), "n\n", &[]);
    assert!(code == 1 && kept() && shown.contains("[y/N]"), "{code}: {shown}");
    let (code, shown) = on_a_terminal(&place, &format!("{EXE} init --no-input"), "y\n", &[]);
    assert!(code == 2 && kept() && !shown.contains("[y/N]"), "{code}: {shown}");
    // Nobody is there to ask.
    assert_eq!(place.run(&["init"]).0, 2);
    assert!(kept());
    let (code, shown) = on_a_terminal(&place, &format!("{EXE} init"), "y\n", &[]);
    assert!(code == 0 && !kept(), "{code}: {shown}");
}

#[test]
fn a_terminal_gets_colour_unless_it_is_dumb_or_none_is_wanted() {
    let place = furnished();
    let line = format!("{EXE} ledger verify");
    let shown = |env: &[(&str, &str)]| on_a_terminal(&place, &line, "", env).1.contains('\u{1b}');
    assert!(shown(&[]));
    assert!(!shown(&[("NO_COLOR", "1")]));
    assert!(!shown(&[("TERM", "dumb")]));
}

/// A provider that refuses everything with a message of its own.
fn provider_that_says(message: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let body = serde_json::json!({"error": {"message": message, "type": "invalid_request_error"}})
        .to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap_or_default();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n{body}"
            );
            if read > 0 {
                drop(stream.write_all(answer.as_bytes()));
            }
        }
    });
    format!("http://{address}/v1")
}

#[test]
fn nothing_from_elsewhere_steers_the_terminal() {
    const EVIL: &str = "\u{1b}[2J\u{9b}31m\u{202e}gone";
    let place = Place::new();
    let url = provider_that_says(EVIL);
    place.configure(&format!(
        "providers:\n  demo: {{}}\n  house: {{base_url: '{url}'}}\nprices: {{unpriced: allow}}\n"
    ));
    let gateway = place.serve(&[]);
    let steers = |text: &str| text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{7f}']);
    let (code, out, err) = place.run(&["try", "hi", "-m", "house/m", "--yes"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("gone") && !steers(&err), "{err}");
    let (code, out, err) = place.run(&["try", "hi", "-m", EVIL]);
    assert!(code == 1 && !steers(&out) && !steers(&err), "{out}{err}");
    // An answer is somebody else's text too; as JSON it keeps its value.
    assert!(!steers(&place.good(&["try", EVIL])));
    let told = place.good(&["try", EVIL, "--json"]);
    assert!(!steers(&told), "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(told["answer"].as_str().unwrap().contains(EVIL), "{told}");
    for args in [&["ledger", "query"][..], &["usage", "--by", "capability"], &["usage", "--plain"]]
    {
        for form in [&[][..], &["--json"], &["--jsonl"]] {
            if form.is_empty() || !args.contains(&"--plain") {
                let out = place.good(&with(args, form));
                assert!(!steers(&out), "{args:?} {form:?}: {out}");
            }
        }
    }
    assert!(!steers(&place.good(&["ledger", "export", "--jsonl"])));
    gateway.stop();
}

#[test]
fn what_costs_money_says_the_most_it_can_cost_and_wants_a_yes() {
    let place = Place::new();
    let url = provider_that_says("no");
    place.configure(&format!(
        "providers:\n  demo: {{}}\n  house: {{base_url: '{url}'}}\ncapabilities: {{dear: [demo/echo, house/m]}}\n\
         prices:\n  overrides: {{house/m: {{input: 1 USD per 1M, output: 1000 USD per 1M}}}}\n"
    ));
    let gateway = place.serve(&[]);
    // A thousand output tokens at a tenth of a cent each, and a little for the input.
    let ask = ["try", "hi", "-m", "dear", "--max-tokens", "1000"];
    let (code, out, err) = place.run(&ask);
    assert_eq!((code, &*out), (2, ""), "{err}");
    assert!(err.contains("up to 1.00") && err.contains("--yes"), "{err}");
    let plan = place.json(&with(&ask, &["--dry-run", "--json"]));
    assert_eq!(plan["attempts"], serde_json::json!(["demo/echo", "house/m"]));
    assert!(plan["cost_at_most_usd"].as_str().unwrap().starts_with("1.00"), "{plan}");
    let none = serde_json::json!([]);
    assert_eq!(place.json(&["ledger", "query", "--json"])["attempts"], none);
    assert_eq!(place.good(&with(&ask, &["--yes", "--quiet"])), "hi\n");
    assert_eq!(place.json(&["ledger", "query", "--json"])["attempts"].as_array().unwrap().len(), 1);
    gateway.stop();
}

#[test]
fn an_answer_is_one_line_of_facts_and_everything_for_programs() {
    let place = Place::new();
    place.configure("providers: [demo]\n");
    let gateway = place.serve(&[]);
    let (code, out, err) = place.run(&["try", "hello there"]);
    assert_eq!((code, &*out), (0, "hello there\n"));
    let facts: Vec<&str> = err.trim_end().split(" · ").collect();
    assert_eq!((facts[0], facts[2]), ("demo/echo", "0.00 USD"), "{err}");
    assert!(facts[1].contains("tokens in") && facts[3].contains("first token"), "{err}");
    assert!(facts[4].starts_with("req_") && err.lines().count() == 1, "{err}");
    let told = place.json(&["try", "hello there", "--json"]);
    assert_eq!(
        (&told["answer"], &told["provider"], &told["model"]),
        (&"hello there".into(), &"demo".into(), &"echo".into())
    );
    assert!(told["input_tokens"].as_u64().unwrap() > 0 && told["total_ms"].is_u64(), "{told}");
    let (code, _, err) = place.run(&["try", "hi", "-m", "demo/ecko"]);
    assert!(code == 1 && err.contains("`demo/echo`"), "{err}");
    gateway.stop();
}
