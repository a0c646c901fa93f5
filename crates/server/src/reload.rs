//! Putting another configuration in force while running: all of it or nothing.

use std::sync::Arc;
use std::time::Instant;

use config::{Diagnostic, Severity};
use ledger::Record;

use crate::gateway::Gateway;
use crate::imported::CatalogInForce;
use crate::listen::TlsSource;
use crate::secrets;
use crate::serve::{ConfigSource, config_record, limits_spec};
use crate::snapshot::Snapshot;

/// What a reload came to: the revision in force, or why the old one stays.
pub type Outcome = Result<u32, Refused>;

/// Why a configuration was refused.
#[derive(Clone, Debug, Default)]
pub struct Refused {
    /// In one line.
    pub why: String,
    /// Everything that is wrong in the file, in its order; empty where the file reads well.
    pub problems: Vec<Diagnostic>,
    /// The same for people, with the lines of the file.
    pub shown: String,
}

impl Refused {
    fn because(why: impl Into<String>) -> Self {
        let why = why.into();
        Self { shown: why.clone(), why, problems: Vec::new() }
    }

    fn of(problems: Vec<Diagnostic>, text: &str) -> Self {
        let errors: Vec<&Diagnostic> =
            problems.iter().filter(|it| it.severity == Severity::Error).collect();
        let why = match errors.as_slice() {
            [] => "the configuration was refused".to_owned(),
            [only] => placed(only),
            [first, rest @ ..] => format!("{} and {} more", placed(first), rest.len()),
        };
        Self { why, shown: rendered(&problems, text), problems }
    }
}

/// A problem in one line, with its place.
fn placed(problem: &Diagnostic) -> String {
    match problem.line {
        0 => format!("{}: {}", problem.file, problem.message),
        line => format!("{}:{line}:{}: {}", problem.file, problem.column, problem.message),
    }
}

/// Problems as text, with the lines of the file.
pub fn rendered(problems: &[Diagnostic], text: &str) -> String {
    let shown: Vec<String> = problems.iter().map(|it| config::render(it, text)).collect();
    shown.join("\n")
}

/// Reloads the configuration when it changes or when asked to.
pub struct Reloader {
    gateway: Arc<Gateway>,
    source: Box<dyn ConfigSource>,
    text: String,
    /// What was refused last, until it changes: it is counted and logged once, however often it is looked at.
    refused: Option<String>,
    tls: Option<Arc<TlsSource>>,
    certificate: Certificate,
}

/// The files of the certificate as they were read last.
#[derive(Default)]
struct Certificate {
    chain: Vec<u8>,
    key: Vec<u8>,
    looked_at: Option<Instant>,
}

impl Reloader {
    /// Starts from the text in force.
    pub fn new(
        gateway: Arc<Gateway>,
        source: Box<dyn ConfigSource>,
        text: String,
        tls: Option<Arc<TlsSource>>,
    ) -> Self {
        Self { gateway, source, text, refused: None, tls, certificate: Certificate::default() }
    }

    /// Looks whether the file has changed, and reloads it if so; as often as it says, whether the certificate has.
    pub fn look(&mut self, now: Instant) {
        self.look_at_certificate(now);
        // A file that is not there for a moment is being replaced.
        let Ok(text) = self.source.text() else { return };
        if text == self.text {
            // What was refused has been taken back.
            self.refused = None;
        } else if self.refused.as_ref() != Some(&text) {
            drop(self.try_text(text));
        }
    }

    /// Puts a renewed certificate in place; one that can't be used is told once, and the old one stays.
    fn look_at_certificate(&mut self, now: Instant) {
        let snapshot = self.gateway.snapshot.load();
        let (Some(tls), Some(files)) = (&self.tls, &snapshot.config.server.tls) else { return };
        let looked_at = self.certificate.looked_at;
        if looked_at.is_some_and(|at| now.saturating_duration_since(at) < files.reload) {
            return;
        }
        self.certificate.looked_at = Some(now);
        // A file that is not there for a moment is being replaced.
        let (Ok(chain), Ok(key)) =
            (secrets::read_file(&files.cert), secrets::read_file(&files.key))
        else {
            return;
        };
        if (&chain, &key) == (&self.certificate.chain, &self.certificate.key) {
            return;
        }
        match tls.replace(&chain, &key) {
            Ok(()) if looked_at.is_none() => {}
            Ok(()) => tracing::info!("the certificate has been replaced"),
            Err(error) => {
                let why = chained(error);
                tracing::error!(why, "the new certificate can't be used, the old one stays");
            }
        }
        (self.certificate.chain, self.certificate.key) = (chain, key);
    }

    /// Reloads because somebody asks: also what only the file names (secrets, certificates) and imported prices are read
    /// anew.
    pub fn reload(&mut self) -> Outcome {
        match self.source.text() {
            Ok(text) => self.try_text(text),
            Err(why) => {
                let refused = Refused::because(why);
                self.note(refused.why.clone(), &refused);
                Err(refused)
            }
        }
    }

    fn try_text(&mut self, text: String) -> Outcome {
        let outcome = self.put_in_force(&text);
        match &outcome {
            Ok(revision) => {
                tracing::info!(revision, "configuration reloaded");
                self.text = text;
                self.refused = None;
            }
            Err(refused) => self.note(text, refused),
        }
        outcome
    }

    fn note(&mut self, text: String, refused: &Refused) {
        if self.refused.as_ref() == Some(&text) {
            tracing::warn!("the file is still the one that was refused, the old one stays");
            return;
        }
        self.refused = Some(text);
        self.gateway.metrics.reloads_refused.inc();
        tracing::error!(why = refused.shown, "configuration refused, the old one stays");
    }

    fn put_in_force(&self, text: &str) -> Outcome {
        let config = self.source.check(text).map_err(|problems| Refused::of(problems, text))?;
        let old = self.gateway.snapshot.load_full();
        // The listener took these when it was opened; a body's limit is looked up for each request.
        let limits =
            config::ServerLimits { body: config.server.limits.body, ..old.config.server.limits };
        let fixed = limits != config.server.limits
            || old.config.server.trusted_proxies != config.server.trusted_proxies
            || old.config.server.api != config.server.api
            || old.config.server.admin != config.server.admin
            || old.config.ledger.dir != config.ledger.dir
            || old.config.ledger.durability != config.ledger.durability
            || old.config.server.tls.is_some() != config.server.tls.is_some();
        if fixed {
            return Err(Refused::because(
                "listen addresses and their limits, trusted proxies, TLS on or off, and the ledger's folder and durability change only with a restart",
            ));
        }
        let catalog = CatalogInForce::of(&self.gateway.data_dir, old.catalog()).map_err(failed)?;
        let revision = old.revision + 1;
        let snapshot = Snapshot::build(
            revision,
            config,
            catalog,
            Arc::clone(&self.gateway.metrics),
            Arc::clone(&self.gateway.numbers),
            Arc::clone(old.logins()),
        )
        .map_err(failed)?;
        // The last that can fail: nothing has changed before.
        if let (Some(tls), Some(files)) = (&self.tls, &snapshot.config.server.tls) {
            let chain = secrets::read_file(&files.cert).map_err(failed)?;
            let key = secrets::read_file(&files.key).map_err(failed)?;
            tls.replace(&chain, &key).map_err(failed)?;
        }
        let now = self.gateway.now();
        let record = config_record(now, &snapshot, text);
        // Under one lock, or a key that is made in between would lose its budget.
        let mut limits = self.gateway.limits();
        limits.reload(now, limits_spec(&snapshot.config, &self.gateway.keys.load()));
        self.gateway.health().configure(snapshot.health_config());
        self.gateway.snapshot.store(Arc::new(snapshot));
        drop(limits);
        // Rows name the revision; that its record is a moment later on disk loses nothing.
        drop(self.gateway.ledger.append(&Record::Config(Box::new(record))));
        self.gateway.metrics.config_revision.set(i64::from(revision));
        Ok(revision)
    }
}

fn failed(error: impl std::error::Error) -> Refused {
    Refused::because(chained(error))
}

/// An error with its causes, in one line.
pub fn chained(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
