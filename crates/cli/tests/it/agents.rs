//! `outrigger run`: what programs and coding agents get, and that they run as if they had been started without it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::place::{Addresses, Gateway, Place, seen};

/// A gateway without providers of its own, whose first name is `fast`.
const DEMO: &str = "providers: [demo]\ncapabilities: {fast: [demo/echo]}\n";

fn gateway(config: &str) -> (Place, Addresses, Gateway) {
    let place = Place::new();
    let addresses = place.configure(config);
    let gateway = place.serve(&[]);
    (place, addresses, gateway)
}

/// Puts a program on the path that prints its arguments and its environment.
fn stand_in(place: &Place, name: &str) {
    let path = place.at(name);
    std::fs::write(&path, "#!/bin/sh\nfor it in \"$@\"; do echo \"argument $it\"; done\nenv\n")
        .unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What an agent got that was run with the arguments before its name.
fn given(place: &Place, agent: &str, options: &[&str]) -> (Vec<String>, String) {
    stand_in(place, agent);
    let mut command = place.command(&[&["run"], options, &["--", agent, "its own"]].concat());
    let path = format!("{}:/usr/bin:/bin", place.path().display());
    command.env("PATH", path).env("HOME", place.path());
    // What a user may have set, which would lead elsewhere.
    for name in ["ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK", "GOOGLE_API_KEY"] {
        command.env(name, "elsewhere");
    }
    let (code, out, err) = seen(&command.output().unwrap());
    assert_eq!(code, 0, "{out}{err}");
    (out.lines().map(str::to_owned).collect(), err)
}

#[track_caller]
fn has(lines: &[String], line: &str) {
    assert!(lines.iter().any(|it| it == line), "no {line} in {lines:#?}");
}

#[track_caller]
fn lacks(lines: &[String], start: &str) {
    assert!(lines.iter().all(|it| !it.starts_with(start)), "{start} in {lines:#?}");
}

#[test]
fn claude_code_gets_one_key_and_a_model_under_each_of_its_names() {
    let (place, at, gateway) = gateway(DEMO);
    let (lines, said) = given(&place, "claude", &["--model", "demo/lorem", "--key", "or-a-b"]);
    assert_eq!(said, "");
    has(&lines, &format!("ANTHROPIC_BASE_URL=http://{}", at.api));
    has(&lines, "ANTHROPIC_AUTH_TOKEN=or-a-b");
    has(&lines, "OUTRIGGER_API_KEY=or-a-b");
    for name in ["MODEL", "DEFAULT_OPUS_MODEL", "DEFAULT_SONNET_MODEL", "DEFAULT_HAIKU_MODEL"] {
        has(&lines, &format!("ANTHROPIC_{name}=demo/lorem"));
    }
    // It would ask which of two keys to use; and Bedrock passes the gateway by.
    lacks(&lines, "ANTHROPIC_API_KEY=");
    lacks(&lines, "CLAUDE_CODE_USE_BEDROCK=");
    has(&lines, "argument its own");
    gateway.stop();
}

#[test]
fn claude_code_takes_the_gateway_for_a_cloud_and_gets_no_way_past_it() {
    let (place, at, gateway) = gateway(DEMO);
    let key = ["--key", "or-a-b"];
    let (lines, said) = given(&place, "claude", &[&["--as", "bedrock"], &key[..]].concat());
    assert!(said.contains("asks for `fast`"), "{said}");
    has(&lines, "CLAUDE_CODE_USE_BEDROCK=1");
    has(&lines, &format!("ANTHROPIC_BEDROCK_BASE_URL=http://{}", at.api));
    has(&lines, "AWS_BEARER_TOKEN_BEDROCK=or-a-b");
    has(&lines, "ANTHROPIC_MODEL=fast");
    for name in [
        "ANTHROPIC_API_KEY=",
        "ANTHROPIC_BASE_URL=",
        "ANTHROPIC_AUTH_TOKEN=",
        "CLAUDE_CODE_USE_VERTEX=",
    ] {
        lacks(&lines, name);
    }
    let (lines, _) = given(&place, "claude", &[&["--as", "vertex"], &key[..]].concat());
    has(&lines, "CLAUDE_CODE_USE_VERTEX=1");
    has(&lines, &format!("ANTHROPIC_VERTEX_BASE_URL=http://{}/v1", at.api));
    has(&lines, "ANTHROPIC_AUTH_TOKEN=or-a-b");
    lacks(&lines, "CLAUDE_CODE_USE_BEDROCK=");
    lacks(&lines, "ANTHROPIC_BASE_URL=");
    let (code, _, err) = place.run(&["run", "--as", "vertex", "--", "codex"]);
    assert_eq!(code, 2, "{err}");
    gateway.stop();
}

#[test]
fn an_agent_whose_own_models_are_not_there_asks_for_the_first_that_is() {
    let (place, _, gateway) = gateway(DEMO);
    let (lines, said) = given(&place, "claude", &[]);
    has(&lines, "ANTHROPIC_MODEL=fast");
    assert!(said.contains("Claude Code asks for `fast`; --model names another"), "{said}");
    gateway.stop();
    let place = Place::new();
    let providers = "providers: {demo: {}, anthropic: {key: file:key.txt}}";
    std::fs::write(place.at("key.txt"), "sk-x").unwrap();
    place.configure(&format!("{providers}\ncapabilities: {{fast: [demo/echo]}}\n"));
    let gateway = place.serve(&[]);
    let (lines, said) = given(&place, "claude", &[]);
    lacks(&lines, "ANTHROPIC_MODEL=");
    lacks(&lines, "CLAUDE_CODE_MAX_CONTEXT_TOKENS=");
    assert_eq!(said, "");
    // It can't know how much a model holds that its vendor does not name so.
    let model = "anthropic/claude-haiku-4-5";
    let (lines, _) = given(&place, "claude", &["--model", model]);
    let holds = &place.json(&["model", "show", model, "--json"])["max_input_tokens"];
    assert!(holds.as_u64() > Some(100_000), "{holds}");
    has(&lines, &format!("CLAUDE_CODE_MAX_CONTEXT_TOKENS={holds}"));
    gateway.stop();
}

#[test]
fn agents_that_take_settings_get_them_without_a_file_of_the_users_being_touched() {
    let (place, at, gateway) = gateway(DEMO);
    let url = format!("http://{}", at.api);
    let (lines, _) = given(&place, "codex", &["-m", "fast"]);
    has(&lines, "argument model_provider=\"outrigger\"");
    has(
        &lines,
        &format!(
            "argument model_providers.outrigger={{name=\"Outrigger\",base_url=\"{url}/v1\",\
             env_key=\"OPENAI_API_KEY\",wire_api=\"responses\"}}"
        ),
    );
    has(&lines, "argument model=\"fast\"");
    has(&lines, "OPENAI_API_KEY=outrigger");
    assert_eq!(lines.iter().position(|it| it == "argument its own"), Some(6));

    let (lines, _) = given(&place, "opencode", &["-m", "fast", "--key", "or-a-b"]);
    let settings = lines.iter().find_map(|it| it.strip_prefix("OPENCODE_CONFIG_CONTENT=")).unwrap();
    assert!(!settings.contains("or-a-b"), "{settings}");
    let settings: Value = serde_json::from_str(settings).unwrap();
    assert_eq!(settings["model"], "outrigger/fast");
    let provider = &settings["provider"]["outrigger"];
    assert_eq!(
        provider["options"],
        json!({"baseURL": format!("{url}/v1"), "apiKey": "{env:OPENAI_API_KEY}"})
    );
    assert!(provider["models"]["demo/echo"].is_object(), "{provider}");

    let (lines, _) = given(&place, "aider", &["-m", "fast"]);
    has(&lines, &format!("AIDER_OPENAI_API_BASE={url}/v1"));
    has(&lines, "AIDER_MODEL=openai/fast");
    gateway.stop();
}

#[test]
fn gemini_cli_gets_a_home_with_the_users_settings_in_it_but_for_the_way_to_sign_in() {
    let (place, at, gateway) = gateway(DEMO);
    std::fs::create_dir(place.at(".gemini")).unwrap();
    let users = r#"{"ui": {"theme": "x"}, "security": {"auth": {"selectedType": "oauth-personal", "y": 1}}}"#;
    std::fs::write(place.at(".gemini/settings.json"), users).unwrap();
    std::fs::write(place.at(".gemini/GEMINI.md"), "Be brief.").unwrap();
    let (lines, _) = given(&place, "gemini", &["-m", "fast"]);
    has(&lines, &format!("GOOGLE_GEMINI_BASE_URL=http://{}", at.api));
    has(&lines, "GEMINI_API_KEY=outrigger");
    has(&lines, "GEMINI_MODEL=fast");
    lacks(&lines, "GOOGLE_API_KEY=");
    let home = place.at(".local/share/outrigger/agents/gemini");
    has(&lines, &format!("GEMINI_CLI_HOME={}", home.display()));
    let read = |name: &str| std::fs::read_to_string(home.join(".gemini").join(name)).unwrap();
    let settings: Value = serde_json::from_str(&read("settings.json")).unwrap();
    let sign_in = json!({"selectedType": "gemini-api-key", "y": 1});
    assert_eq!(settings, json!({"ui": {"theme": "x"}, "security": {"auth": sign_in}}));
    assert_eq!(read("GEMINI.md"), "Be brief.");
    assert_eq!(std::fs::read_to_string(place.at(".gemini/settings.json")).unwrap(), users);
    gateway.stop();
}

#[test]
fn a_program_that_is_not_known_gets_the_usual_variables_and_it_is_said() {
    let (place, at, gateway) = gateway(DEMO);
    let (lines, said) = given(&place, "tool", &["-m", "fast"]);
    has(&lines, &format!("OPENAI_BASE_URL=http://{}/v1", at.api));
    has(&lines, "ANTHROPIC_API_KEY=outrigger");
    has(&lines, "OPENAI_MODEL=fast");
    assert_eq!(said, "tool: the variables that SDKs look for are set\n");
    assert_eq!(given(&place, "tool", &["--quiet"]).1, "");
    gateway.stop();
}

#[test]
fn what_would_fail_in_the_agent_is_said_before_it_starts() {
    let (place, _, gateway) = gateway(&format!("auth: {{keys: required}}\n{DEMO}"));
    let key = place.json(&["key", "create", "--app", "ci", "--json"])["secret"]
        .as_str()
        .unwrap()
        .to_owned();
    let (code, out, err) = place.run(&["run", "--", "claude"]);
    assert_eq!((code, &*out), (4, ""));
    assert!(err.contains("outrigger key create"), "{err}");
    let (code, _, err) = place.run(&["run", "--key", &key, "-m", "fats", "--", "claude"]);
    assert_eq!(code, 2);
    assert!(err.contains("`fats`") && err.contains("outrigger model ls"), "{err}");
    let (code, _, err) = place.run(&["run", "--key", &key, "--", "no-such-program"]);
    assert_eq!(code, 1);
    assert!(err.contains("can't run `no-such-program`: there is no such program"), "{err}");
    gateway.stop();
}

#[test]
fn what_is_printed_runs_as_it_stands_and_nothing_has_run_before() {
    let (place, at, gateway) = gateway(DEMO);
    stand_in(&place, "gemini");
    let folder = place.path().display();
    let print = |more: &[&str]| {
        let args = [&["run", "--print", "-m", "fast"], more, &["--", "gemini", "it's"]].concat();
        seen(&place.command(&args).env("HOME", place.path()).output().unwrap())
    };
    let (code, line, err) = print(&[]);
    assert_eq!((code, &*err), (0, ""));
    assert!(!place.at(".local").exists());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &line]).env("PATH", format!("{folder}:/usr/bin:/bin"));
    let (code, out, err) = seen(&shell.env("GOOGLE_API_KEY", "elsewhere").output().unwrap());
    assert_eq!((code, &*err), (0, ""), "{line}");
    let lines: Vec<String> = out.lines().map(str::to_owned).collect();
    has(&lines, "argument it's");
    has(&lines, &format!("GOOGLE_GEMINI_BASE_URL=http://{}", at.api));
    lacks(&lines, "GOOGLE_API_KEY=");
    let document: Value = serde_json::from_str(&print(&["--json"]).1).unwrap();
    assert_eq!(document["program"], "gemini");
    assert_eq!(document["arguments"], json!(["it's"]));
    assert_eq!(document["set"]["GEMINI_MODEL"], "fast");
    gateway.stop();
    // Nobody has to be there to print.
    assert_eq!(print(&[]).0, 0);
}

#[test]
fn input_output_and_signals_are_the_programs_own() {
    let (place, _, gateway) = gateway(DEMO);
    let script = "trap 'exit 9' TERM; read it; echo \"got $it\"; read it";
    for options in [&[][..], &["--cap", "1usd"]] {
        let args = [&["run", "-q"], options, &["--", "/bin/sh", "-c", script]];
        let mut command = place.command(&args.concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"a word\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "got a word\n");
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(9), "{options:?}");
        drop(input);
    }
    gateway.stop();
}
