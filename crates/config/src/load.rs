//! From text to [`Config`]: parse, apply overrides, check the form, read, and judge.

use crate::check::{Problems, check};
use crate::diagnostic::{Diagnostic, Severity};
use crate::origin::{self, Leaf};
use crate::read::{Context, Section};
use crate::spec::{ROOT, ROOT_FIELDS};
use crate::tree::Node;
use crate::{
    Config, Env, Presets, auth, budgets, capabilities, content, ledger, overrides, prices,
    providers, rates, responses, routing, server, teams, telemetry, yaml,
};

/// A configuration that passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// What a person should look at nevertheless.
    pub warnings: Vec<Diagnostic>,
    /// Every value in force and where it came from.
    pub leaves: Vec<Leaf>,
}

/// Reads and checks a configuration. `file_name` is shown in problems.
///
/// # Errors
/// Every problem, in the file's order, warnings among them.
pub fn load(
    text: &str,
    file_name: &str,
    env: &dyn Env,
    presets: &dyn Presets,
) -> Result<Loaded, Vec<Diagnostic>> {
    let root = yaml::parse(text, file_name).map_err(|problem| vec![problem])?;
    finish(root, file_name, env, presets)
}

fn finish(
    mut root: Node,
    file: &str,
    env: &dyn Env,
    presets: &dyn Presets,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut problems = Problems::new(file);
    overrides::apply(&mut root, env, &mut problems);
    check(&root, &ROOT, "", &mut problems);
    let mut cx = Context { env, presets, problems, faulty_providers: Vec::new() };
    let config = read(&root, &mut cx);
    let found = cx.problems.into_sorted();
    if found.iter().any(|it| it.severity == Severity::Error) {
        return Err(found);
    }
    let leaves = origin::leaves(&root, &config, file);
    Ok(Loaded { config, warnings: found, leaves })
}

fn read(root: &Node, cx: &mut Context<'_>) -> Config {
    let top = Section::new(Some(root), ROOT_FIELDS);
    let auth = auth::read(top.section("auth", auth::FIELDS));
    let routing = routing::read(top.section("routing", routing::FIELDS), cx);
    let providers = providers::read(top.get("providers"), cx);
    let capabilities = capabilities::read(top.get("capabilities"), &providers, routing.on_loss, cx);
    Config {
        server: server::read(top.section("server", server::FIELDS), auth.keys, cx),
        auth,
        teams: teams::read(top.get("teams"), &capabilities, cx),
        budgets: budgets::read(top.get("budgets"), &providers, &capabilities, cx),
        rates: rates::read(top.get("rates"), &providers, &capabilities, cx),
        prices: prices::read(top.section("prices", prices::FIELDS), &providers, cx),
        ledger: ledger::read(top.section("ledger", ledger::FIELDS)),
        telemetry: telemetry::read(top.section("telemetry", telemetry::FIELDS)),
        responses: responses::read(top.section("responses", responses::FIELDS)),
        content: content::read(top.section("content", content::FIELDS), cx),
        routing,
        providers,
        capabilities,
    }
}
