//! Putting another configuration in force while running: all of it or nothing.

use std::sync::Arc;

use ledger::Record;

use crate::gateway::Gateway;
use crate::listen::TlsSource;
use crate::secrets;
use crate::serve::{ConfigSource, config_record, limits_spec};
use crate::snapshot::Snapshot;

/// Reloads the configuration when it changes or when asked to.
pub struct Reloader {
    gateway: Arc<Gateway>,
    source: Box<dyn ConfigSource>,
    text: String,
    refused: Option<String>,
    tls: Option<Arc<TlsSource>>,
}

impl Reloader {
    /// Starts from the text in force.
    pub fn new(
        gateway: Arc<Gateway>,
        source: Box<dyn ConfigSource>,
        text: String,
        tls: Option<Arc<TlsSource>>,
    ) -> Self {
        Self { gateway, source, text, refused: None, tls }
    }

    /// Looks for a change; `asked` also reads secrets and certificates anew when the text is the same. What is wrong is
    /// logged once per text, and the old configuration stays.
    pub fn reload(&mut self, asked: bool) {
        let text = match self.source.text() {
            Ok(text) => text,
            Err(why) => return self.refuse(&why, asked),
        };
        let changed = text != self.text && self.refused.as_deref() != Some(text.as_str());
        if !changed && !asked {
            return;
        }
        match self.try_reload(&text) {
            Ok(revision) => {
                tracing::info!(revision, "configuration reloaded");
                self.text = text;
                self.refused = None;
            }
            Err(why) => {
                self.refuse(&why, true);
                self.refused = Some(text);
            }
        }
    }

    fn refuse(&self, why: &str, say: bool) {
        if say {
            self.gateway.metrics.reloads_refused.inc();
            tracing::error!(why, "configuration refused, the old one stays");
        }
    }

    fn try_reload(&self, text: &str) -> Result<u32, String> {
        let config = self.source.check(text)?;
        let old = self.gateway.snapshot.load_full();
        let fixed = old.config.server.api != config.server.api
            || old.config.server.admin != config.server.admin
            || old.config.ledger.dir != config.ledger.dir
            || old.config.ledger.durability != config.ledger.durability
            || old.config.server.tls.is_some() != config.server.tls.is_some();
        if fixed {
            return Err("listen addresses, TLS on or off, and the ledger's folder and durability change only with a \
                        restart"
                .to_owned());
        }
        if let (Some(tls), Some(files)) = (&self.tls, &config.server.tls) {
            let chain = secrets::read_file(&files.cert).map_err(chained)?;
            let key = secrets::read_file(&files.key).map_err(chained)?;
            tls.replace(&chain, &key).map_err(chained)?;
        }
        let revision = old.revision + 1;
        let snapshot = Snapshot::build(
            revision,
            config,
            old.catalog(),
            Arc::clone(&self.gateway.metrics),
            Arc::clone(&self.gateway.numbers),
        )
        .map_err(chained)?;
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
