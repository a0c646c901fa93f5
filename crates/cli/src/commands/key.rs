//! `outrigger key`: virtual keys, some of them AWS key pairs. Through the running gateway, or directly in the data folder when none runs.

use clap_complete::engine::ArgValueCandidates;
use domain::{AppName, CapabilityName, TeamName};
use ledger::{KeyAction, KeyEvent, Record};
use serde_json::{Value, json};
use server::keys::{made, shown};
use store::{KeyKind, KeyRecord, NewKey};

use crate::cli::Global;
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::{client, clock, data, names, surroundings};

/// Make, list, rotate and revoke virtual keys.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger key create --app search\n  outrigger key create --app ci --team agents --expires 90d --budget \"5 USD per day\"\n  outrigger key ls"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key. It is shown once.
    #[command(
        after_help = "Examples:\n  outrigger key create --app search\n  outrigger key create --app ci --expires 90d --budget \"5 USD per day\"\n  outrigger key create --app batch --kind aws --capability fast >> batch.env"
    )]
    Create {
        /// The application that will use it.
        #[arg(long)]
        app: String,
        /// What it can do: be sent, or also sign the requests of AWS's SDKs.
        #[arg(long, value_enum, default_value_t)]
        kind: Kind,
        /// The application's team.
        #[arg(long)]
        team: Option<String>,
        /// When it ends by itself: a duration such as 90d.
        #[arg(long, value_name = "DURATION")]
        expires: Option<String>,
        /// A budget of its own, such as "5 USD per day"; may be given several times.
        #[arg(long, value_name = "BUDGET")]
        budget: Vec<String>,
        /// A capability that it may ask for, and nothing else; may be given several times.
        #[arg(long, value_name = "NAME")]
        capability: Vec<String>,
    },
    /// List keys.
    #[command(
        after_help = "Examples:\n  outrigger key ls\n  outrigger key ls --json\n  outrigger key ls --plain"
    )]
    Ls,
    /// Give a key a new secret. It is shown once.
    #[command(
        after_help = "Examples:\n  outrigger key rotate aB3dE6gH9jK2\n  outrigger key rotate aB3dE6gH9jK2 --grace 24h\n  outrigger key rotate aB3dE6gH9jK2 --json"
    )]
    Rotate {
        /// Its public part: the 12 characters after `or-`.
        #[arg(add = ArgValueCandidates::new(names::keys))]
        key: String,
        /// How long the old secret goes on working.
        #[arg(long, value_name = "DURATION", default_value = "0s")]
        grace: String,
    },
    /// End a key at once.
    #[command(
        after_help = "Examples:\n  outrigger key revoke aB3dE6gH9jK2\n  outrigger key revoke aB3dE6gH9jK2 --json\n  outrigger key ls"
    )]
    Revoke {
        /// Its public part: the 12 characters after `or-`.
        #[arg(add = ArgValueCandidates::new(names::keys))]
        key: String,
    },
}

/// The kinds of [`KeyKind`], as they may be typed.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Kind {
    /// A key that is sent: `Authorization: Bearer`, `x-api-key` and the like.
    #[default]
    Virtual,
    /// An AWS key pair: its secret signs requests, and may be sent as a key too.
    Aws,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Virtual => Self::Virtual,
            Kind::Aws => Self::Aws,
        }
    }
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    match &args.command {
        Command::Create { app, kind, team, expires, budget, capability } => {
            let new = new(app, *kind, team.as_deref(), expires.as_deref(), budget)?;
            create(new, capability, global)
        }
        Command::Ls => ls(global),
        Command::Rotate { key, grace } => rotate(public(key), micros(grace)?, global),
        Command::Revoke { key } => revoke(public(key), global),
    }
}

/// The public part of whatever was pasted: it, `or-` and it, or the whole key.
fn public(key: &str) -> &str {
    let rest = key.strip_prefix("or-").unwrap_or(key);
    rest.split('-').next().unwrap_or(rest)
}

fn micros(duration: &str) -> Result<i64, Failure> {
    let micros = limits::units::parse_duration(duration);
    let micros = micros.map_err(|error| Failure::new(Exit::Usage, error))?;
    Ok(i64::try_from(micros).unwrap_or(i64::MAX))
}

fn new(
    app: &str,
    kind: Kind,
    team: Option<&str>,
    expires: Option<&str>,
    budgets: &[String],
) -> Result<NewKey, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, error);
    let mut canonical = Vec::new();
    for budget in budgets {
        let allowance = limits::spec::parse(budget).map_err(|error| usage(&error))?;
        canonical.push(allowance.to_string());
    }
    let expires_at = expires.map(micros).transpose()?.map(|it| clock::now().plus_micros(it));
    Ok(NewKey {
        kind: kind.into(),
        app: AppName::new(app).map_err(|error| usage(&error))?,
        team: team.map(TeamName::new).transpose().map_err(|error| usage(&error))?,
        expires_at,
        budgets: canonical,
        capabilities: Vec::new(),
    })
}

fn create(new: NewKey, capabilities: &[String], global: &Global) -> Done {
    let value = if let Some(admin) = client::running(global)? {
        admin.post(
            "/v1/outrigger/keys",
            &json!({
                "app": new.app.as_str(), "kind": new.kind.as_str(),
                "team": new.team.as_ref().map(TeamName::as_str),
                "expires_at": new.expires_at.map(|it| it.to_string()), "budgets": new.budgets,
                "capabilities": capabilities,
            }),
        )?
    } else {
        let new = NewKey { capabilities: configured(capabilities, global)?, ..new };
        data::write(global, "key_create", |store| {
            let keys = store.keys().cant("open the keys")?;
            let (record, secret) = keys.create(&new, clock::now()).cant("make the key")?;
            let value = made(&record, &secret, clock::now());
            Ok((value, vec![event(&record, KeyAction::Created)]))
        })?
    };
    show_once(&value, global)
}

/// The capabilities of those names; each must be configured, as a running gateway demands too.
fn configured(names: &[String], global: &Global) -> Result<Vec<CapabilityName>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let config = surroundings::load(global)?.loaded.config;
    let mut found = Vec::new();
    for name in names {
        let name = server::keys::capability(name, &config);
        let name = name.map_err(|error| Failure::new(Exit::Usage, error))?;
        if !found.contains(&name) {
            found.push(name);
        }
    }
    Ok(found)
}

/// The secret goes to standard output alone, so that it can be piped into a file; the talk goes elsewhere. Of a key pair
/// both halves do, by the names that AWS's SDKs look for.
fn show_once(value: &Value, global: &Global) -> Done {
    let output = global.output();
    output.either(value, || {
        let secret = value["secret"].as_str().unwrap_or_default();
        match value["key"]["access_key_id"].as_str() {
            Some(id) => {
                output.line(&format!("AWS_ACCESS_KEY_ID={id}"))?;
                output.line(&format!("AWS_SECRET_ACCESS_KEY={secret}"))?;
            }
            None => output.line(secret)?,
        }
        let text = |key: &str| value["key"][key].as_str().unwrap_or_default();
        output.say(&format!(
            "key {} for {}: shown this once, keep it safe",
            text("id"),
            text("app")
        ));
        Ok(())
    })
}

fn event(record: &KeyRecord, action: KeyAction) -> Record {
    Record::Key(Box::new(KeyEvent {
        at: clock::now(),
        action,
        key: record.public.clone(),
        app: record.app.clone(),
        team: record.team.clone(),
        budgets: record.budgets.iter().cloned().map(Into::into).collect(),
        capabilities: Some(record.capabilities.clone()),
    }))
}

fn ls(global: &Global) -> Done {
    let output = global.output();
    let value = match client::running(global)? {
        Some(admin) => admin.get("/v1/outrigger/keys")?,
        None if !surroundings::data_dir(global).join("ledger.db").exists() => {
            json!({"keys": []})
        }
        None => data::write(global, "key_ls", |store| {
            let records = store.keys().cant("open the keys")?.list().cant("list the keys")?;
            let list: Vec<Value> = records.iter().map(|it| shown(it, clock::now())).collect();
            Ok((json!({"keys": list}), Vec::new()))
        })?,
    };
    output.listing(&value, "keys", || {
        let keys = value["keys"].as_array().cloned().unwrap_or_default();
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or("-").to_owned();
        let day = |it: &Value, key: &str| text(it, key).chars().take(10).collect::<String>();
        let list = |it: &Value, key: &str| {
            let list = it[key].as_array().cloned().unwrap_or_default();
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
        };
        let may = |it: &Value| {
            if it["capabilities"].is_null() { "all".into() } else { list(it, "capabilities") }
        };
        let rows: Vec<Vec<String>> = keys
            .iter()
            .map(|it| {
                vec![
                    text(it, "id"),
                    text(it, "kind"),
                    text(it, "app"),
                    text(it, "team"),
                    text(it, "state"),
                    day(it, "created_at"),
                    day(it, "expires_at"),
                    may(it),
                    list(it, "budgets"),
                ]
            })
            .collect();
        output.table(
            &[
                "key",
                "kind",
                "app",
                "team",
                "state",
                "created",
                "expires",
                "may ask for",
                "budgets",
            ],
            &rows,
            &[],
        )?;
        if rows.is_empty() {
            output.say("no keys yet: outrigger key create --app NAME");
        }
        Ok(())
    })
}

fn rotate(key: &str, grace: i64, global: &Global) -> Done {
    let value = match client::running(global)? {
        Some(admin) => {
            let path = format!("/v1/outrigger/keys/{}/rotate", client::encoded(key));
            admin.post(&path, &json!({"grace_seconds": grace / 1_000_000}))?
        }
        None => data::write(global, "key_rotate", |store| {
            let keys = store.keys().cant("open the keys")?;
            let now = clock::now();
            let rotated = keys.rotate(key, now, now.plus_micros(grace));
            let (record, secret) = rotated.cant("rotate the key")?;
            let value = made(&record, &secret, now);
            Ok((value, vec![event(&record, KeyAction::Rotated)]))
        })?,
    };
    show_once(&value, global)
}

fn revoke(key: &str, global: &Global) -> Done {
    let output = global.output();
    let value = match client::running(global)? {
        Some(admin) => admin
            .post(&format!("/v1/outrigger/keys/{}/revoke", client::encoded(key)), &json!({}))?,
        None => data::write(global, "key_revoke", |store| {
            let keys = store.keys().cant("open the keys")?;
            let record = keys.revoke(key, clock::now()).cant("revoke the key")?;
            Ok((
                json!({"key": shown(&record, clock::now())}),
                vec![event(&record, KeyAction::Revoked)],
            ))
        })?,
    };
    output.either(&value, || output.line(&format!("revoked {key}")))
}
