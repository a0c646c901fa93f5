//! Every command's help ends with three examples, each on a line of its own; here each is run as it stands.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::place::{Addresses, EXE, Place, seen};

/// Stand in for a key, a request and an attempt in help; exchanged for real ones.
const KEY: &str = "aB3dE6gH9jK2";
const REQUEST: &str = "req_0190f3a1b2c3d4e5f60718293a4b5c6d";
/// As many unsettled attempts as the examples of `ledger write-off` need.
const UNSETTLED: usize = 4;

const PROVIDERS: &str = "
providers:
  demo: {}
  openai: {key: env:OPENAI_API_KEY, base_url: http://API/openai/v1}
  anthropic: {key: env:ANTHROPIC_API_KEY, base_url: http://API/anthropic/v1}
capabilities:
  fast: [demo/lorem, demo/echo]
budgets:
  all: 50 USD per month
";

const APP: &str = "
import json, os, urllib.request
body = {'model': 'fast', 'messages': [{'role': 'user', 'content': '5 words'}]}
ask = urllib.request.Request(os.environ['OPENAI_BASE_URL'] + '/chat/completions', json.dumps(body).encode(),
    {'content-type': 'application/json', 'authorization': 'Bearer ' + os.environ['OPENAI_API_KEY']})
print(json.load(urllib.request.urlopen(ask))['choices'][0]['message']['content'])
";

/// Every command, found by its own help.
pub(crate) fn commands(place: &Place, path: &[String]) -> Vec<Vec<String>> {
    let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
    args.push("--help");
    let help = place.good(&args);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| {
        let name = line.strip_prefix("  ")?;
        (!name.starts_with(' ')).then(|| name.split(' ').next().unwrap().to_owned())
    });
    let mut all = vec![path.to_vec()];
    for name in names {
        let mut below = path.to_vec();
        below.push(name);
        all.extend(commands(place, &below));
    }
    all
}

/// A command's examples.
fn examples(place: &Place, path: &[String]) -> Vec<String> {
    let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
    args.push("--help");
    let help = place.good(&args);
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    lines.filter(|line| !line.is_empty()).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn every_command_has_three_examples_and_a_manual_page() {
    let place = Place::new();
    let all = commands(&place, &[]);
    assert!(all.len() > 30, "{}", all.len());
    for path in &all {
        let examples = examples(&place, path);
        assert_eq!(examples.len(), 3, "{path:?}: {examples:?}");
        for example in &examples {
            assert!(example.contains("outrigger"), "{path:?} wraps or forgets itself: {example}");
        }
        let name = path.join(" ");
        assert!(examples.iter().any(|it| it.contains(&format!("outrigger {name}"))), "{path:?}");
        let mut page = vec!["man"];
        page.extend(path.iter().map(String::as_str));
        assert!(place.good(&page).contains(".TH"), "{path:?}");
    }
}

/// A folder as somebody has it who follows the help.
struct Scene {
    place: Place,
    requests: Vec<String>,
    unsettled: Vec<String>,
}

impl Scene {
    fn new() -> (Self, crate::place::Gateway) {
        let place = Place::new();
        let addresses = place.configure(PROVIDERS);
        let text = std::fs::read_to_string(place.at("outrigger.yaml")).unwrap();
        place.write(&text.replace("//API/", &format!("//{}/", addresses.api)));
        std::fs::copy(place.at("outrigger.yaml"), place.at("staging.yaml")).unwrap();
        std::fs::write(place.at("app.py"), APP).unwrap();
        std::fs::write(place.at("key.txt"), "or-none\n").unwrap();
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../catalog/tests/it/fixtures");
        for (from, to) in
            [("litellm.json", "model_prices_and_context_window.json"), ("genai.json", "data.json")]
        {
            std::fs::copy(format!("{fixtures}/{from}"), place.at(to)).unwrap();
        }
        programs(&place);
        let mut scene = Self { place, requests: Vec::new(), unsettled: Vec::new() };
        scene.leave_unsettled();
        let gateway = scene.serve();
        let asked = scene.bash("outrigger try hello --jq .request_id", &scene.place);
        scene.requests.push(asked.1.trim().to_owned());
        (scene, gateway)
    }

    fn serve(&self) -> crate::place::Gateway {
        self.place.serve(&[("OPENAI_API_KEY", "x"), ("ANTHROPIC_API_KEY", "x")])
    }

    /// Kills a gateway while requests run.
    fn leave_unsettled(&mut self) {
        let gateway = self.serve();
        let long = "word ".repeat(500);
        let ask = || self.shell(&format!("outrigger try '{long}' --model demo/slow"), &self.place);
        let mut clients: Vec<_> = (0..UNSETTLED).map(|_| ask().spawn().unwrap()).collect();
        while self.listed().len() < UNSETTLED {
            std::thread::yield_now();
        }
        gateway.signal("-KILL");
        drop(gateway);
        for client in &mut clients {
            assert!(!client.wait().unwrap().success());
        }
        self.unsettled = self.listed();
    }

    /// Attempts that nobody closed.
    fn listed(&self) -> Vec<String> {
        let jq = ".attempts[] | \"\\(.request)/\\(.call)/\\(.attempt)\"";
        let out = self
            .bash(&format!("outrigger ledger query --unsettled --jq '{jq}' || true"), &self.place)
            .1;
        out.lines().map(str::to_owned).collect()
    }

    fn shell(&self, line: &str, place: &Place) -> Command {
        let mut command = Command::new("bash");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.place.at("bin").display());
        let path = format!("{path}:{}", std::env::var("PATH").unwrap_or_default());
        command.args(["-euo", "pipefail", "-c", line]).current_dir(place.path()).env_clear();
        command.env("PATH", path).env("HOME", place.path()).stdin(Stdio::null());
        command.env("OPENAI_API_KEY", "x").env("ANTHROPIC_API_KEY", "x");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn bash(&self, line: &str, place: &Place) -> (i32, String, String) {
        seen(&self.shell(line, place).output().unwrap())
    }

    /// The example with what stands in for something exchanged for it.
    fn real(&mut self, example: &str) -> String {
        let mut line = example.to_owned();
        if line.contains(KEY) {
            let made = self.bash("outrigger key create --app spare --jq .key.id", &self.place);
            line = line.replace(KEY, made.1.trim());
        }
        let attempt = format!("{REQUEST}/0/0");
        if line.contains(&attempt) {
            line = line.replace(&attempt, &self.unsettled.pop().unwrap());
        }
        line.replace(REQUEST, &self.requests[0])
    }

    /// Runs an example that ends by itself and judges how.
    fn try_out(&mut self, example: &str) {
        let line = self.real(example);
        let elsewhere = Place::new();
        // What writes a first configuration is for a folder without one.
        let first = line.starts_with("outrigger init");
        let place = if first { &elsewhere } else { &self.place };
        let (code, out, err) = self.bash(&line, place);
        // A machine may have findings.
        let findings = ["outrigger doctor", "outrigger lint"];
        let fine = code == 0 || code == 6 && findings.iter().any(|it| line.starts_with(it));
        assert!(fine, "{line}: {code}\n{out}{err}");
        if line.contains("--json") && !line.contains('>') && !line.contains('|') {
            serde_json::from_str::<Value>(&out).unwrap_or_else(|it| panic!("{line}: {it}: {out}"));
        }
    }

    /// Starts a gateway as an example says, and ends it once it is ready.
    fn start(&self, example: &str) {
        let place = Place::new();
        let text = std::fs::read_to_string(self.place.at("outrigger.yaml")).unwrap();
        let Addresses { api, admin } = Addresses::free();
        std::fs::write(place.at("outrigger.yaml"), text).unwrap();
        let mut shell = self.shell(&format!("exec {example}"), &place);
        shell.env("OUTRIGGER__SERVER__API", &api).env("OUTRIGGER__SERVER__ADMIN", &admin);
        let child = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut gateway = crate::place::Gateway::of(child);
        while std::net::TcpStream::connect(&api).is_err() {
            assert!(gateway.runs(), "{example}");
            std::thread::yield_now();
        }
        gateway.stop();
    }
}

/// Programs that examples name, beside the command itself: they see to it that they got what they need.
fn programs(place: &Place) {
    let bin = place.at("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(EXE, bin.join("outrigger")).unwrap();
    let client = "#!/bin/sh\ntest -n \"$OPENAI_BASE_URL\" && test -n \"$ANTHROPIC_BASE_URL\"\n";
    for (name, text) in
        [("claude", client), ("npm", client), ("man", "#!/bin/sh\ngrep -q '^.TH outrigger'\n")]
    {
        std::fs::write(bin.join(name), text).unwrap();
        std::fs::set_permissions(bin.join(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
}

#[test]
fn every_example_runs_as_it_stands() {
    let (mut scene, gateway) = Scene::new();
    let mut all: Vec<String> =
        commands(&scene.place, &[]).iter().flat_map(|path| examples(&scene.place, path)).collect();
    all.sort();
    all.dedup();
    assert!(all.len() > 80, "{}", all.len());
    // A repair needs the folder for itself.
    let (alone, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|it| it.starts_with("outrigger ledger repair"));
    let (serving, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|it| it.starts_with("outrigger serve"));
    for example in &others {
        scene.try_out(example);
    }
    for example in &serving {
        scene.start(example);
    }
    gateway.stop();
    for example in &alone {
        scene.try_out(example);
    }
    assert_eq!(scene.place.json(&["ledger", "verify", "--json"])["ok"], true);
}
