//! What a shell completes: commands, and the names that there are now.

use std::process::{Command, Stdio};

use crate::place::{EXE, Place};

const CONFIG: &str = "providers: [demo]\ncapabilities: {fast: [demo/echo], slow: [demo/slow]}\n";

/// What a shell's script is told for the last of these words.
fn candidates(place: &Place, shell: &str, words: &[&str]) -> Vec<String> {
    let mut command = place.command(&[]);
    command.arg("--").arg("outrigger").args(words).env("OUTRIGGER_COMPLETE", shell);
    command.env("_CLAP_COMPLETE_INDEX", words.len().to_string()).env("_CLAP_IFS", "\n");
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // zsh and fish get a description behind each.
    let bare = |line: &str| line.split(['\t', ':']).next().unwrap().to_owned();
    text.lines().map(bare).collect()
}

#[test]
fn names_come_from_the_configuration_and_the_folder_when_no_gateway_runs() {
    let place = Place::new();
    place.configure(CONFIG);
    let made = place.json(&["key", "create", "--app", "search", "--team", "web", "--json"]);
    let key = made["key"]["id"].as_str().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let of = |words: &[&str]| candidates(&place, shell, words);
        assert_eq!(of(&["led"]), ["ledger"]);
        let models = of(&["try", "hi", "--model", ""]);
        assert_eq!(models[..3], ["fast", "slow", "demo/echo"], "{shell}");
        assert_eq!(of(&["route", "why", "demo/l"]), ["demo/lorem"]);
        assert_eq!(of(&["key", "revoke", ""])[0], key);
        assert_eq!(of(&["usage", "--app", ""]), ["search"]);
        assert_eq!(of(&["usage", "--team", ""]), ["web"]);
        assert_eq!(of(&["provider", "test", "d"]), ["demo"]);
        assert_eq!(of(&["explain", "budget_"]), ["budget_exceeded"]);
    }
}

#[test]
fn names_come_from_the_running_gateway_and_requests_from_its_ledger() {
    let place = Place::new();
    place.configure(CONFIG);
    let gateway = place.serve(&[]);
    let made = place.json(&["key", "create", "--app", "search", "--json"]);
    let asked = place.json(&["try", "hi", "--model", "fast", "--json"]);
    // The file is not the gateway's any more: what it serves is asked of itself.
    place.write("providers: {}\n");
    assert_eq!(candidates(&place, "bash", &["try", "hi", "--model", "f"]), ["fast"]);
    assert_eq!(candidates(&place, "bash", &["key", "revoke", ""])[0], made["key"]["id"]);
    assert_eq!(candidates(&place, "bash", &["ledger", "show", "req_"])[0], asked["request_id"]);
    gateway.stop();
}

#[test]
fn a_folder_without_anything_completes_what_is_built_in_and_is_left_as_it_is() {
    let place = Place::new();
    assert_eq!(candidates(&place, "bash", &["model", "show", "demo/e"]), ["demo/echo"]);
    assert_eq!(candidates(&place, "bash", &["ledger", "show", "req_"]), [""; 0]);
    place.write("providers: [nonsense\n");
    assert_eq!(candidates(&place, "bash", &["usage", "--app", "x"]), [""; 0]);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}

/// The scripts themselves, in whichever of the shells is installed; bash is.
#[test]
fn scripts_are_read_by_their_shells_and_ask_for_candidates() {
    let place = Place::new();
    place.configure(CONFIG);
    std::os::unix::fs::symlink(EXE, place.at("outrigger")).unwrap();
    let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap());
    let bash = "eval \"$(outrigger completion bash)\"
        COMP_WORDS=(outrigger try hi --model fa) COMP_CWORD=4
        _clap_complete_outrigger outrigger fa --model; echo \"${COMPREPLY[@]}\"";
    let fish = "outrigger completion fish | source; complete -C 'outrigger try hi --model fa'";
    let zsh = "compdef() { echo \"$1 $2\" }; eval \"$(outrigger completion zsh)\"
        CURRENT=5; words=(outrigger try hi --model fa); _describe() { echo ${(P)3} }
        _clap_dynamic_completer_outrigger";
    for (shell, script, expected) in [
        ("bash", bash, "fast"),
        ("fish", fish, "fast"),
        ("zsh", zsh, "_clap_dynamic_completer_outrigger outrigger\nfast"),
    ] {
        let mut command = Command::new(shell);
        if shell != "fish" {
            command.arg(if shell == "zsh" { "-f" } else { "--norc" });
        }
        command.args(["-c", script]).current_dir(place.path()).stdin(Stdio::null());
        command.env("PATH", &path).env("HOME", place.path());
        match command.output() {
            Ok(output) => {
                let text = String::from_utf8(output.stdout).unwrap();
                let seen = text.trim();
                assert_eq!(seen, expected, "{shell}: {}", String::from_utf8_lossy(&output.stderr));
            }
            Err(error) => assert!(shell != "bash", "{error}"),
        }
    }
}
