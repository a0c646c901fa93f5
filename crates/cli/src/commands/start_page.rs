//! What a person sees first, once the gateway takes requests; and the same for programs.

use std::time::Instant;

use catalog::{Mode, ModelMode};
use config::{Config, Found, FoundBy};
use domain::Price;
use ledger::Durability;
use server::Ready;

use crate::client_env::reachable;
use crate::clock;

/// The model to try where there is none but the built-in ones.
pub(crate) const DEMO: &str = "demo/echo";

/// What the page tells beside what the gateway says of itself.
pub(crate) struct Page {
    /// Providers that were found without a file.
    pub(crate) found: Vec<Found>,
    /// The configuration's file, or that there is none.
    pub(crate) file: String,
    /// Most that may be spent a day, in USD, where there is no file.
    pub(crate) cap: Option<String>,
    /// What to try first.
    pub(crate) model: String,
    /// When the command began.
    pub(crate) started: Instant,
    /// Whether a person sees it: a secret is shown to nobody else.
    pub(crate) terminal: bool,
}

impl Page {
    /// The page.
    pub(crate) fn text(&self, ready: &Ready) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let data = ready.data_dir.display();
        let mut lines =
            vec![format!("outrigger {version} · {} · data {data}", self.file), String::new()];
        lines.extend(self.providers(ready));
        lines.push(String::new());
        lines.extend(self.addresses(ready));
        lines.extend(ledger(ready));
        if let Some(cap) = &self.cap {
            lines.push(format!(
                "  cap      {cap} USD a day, whoever on this machine asks (--cap; a configuration sets its own)"
            ));
        }
        lines.push(String::new());
        lines.push(format!("  try   outrigger try \"hello\" --model {}", self.model));
        lines.push(
            "  use   outrigger run -- claude          (or: eval \"$(outrigger env)\")".to_owned(),
        );
        if ready.keys_required {
            lines.push(
                "  key   outrigger key create --app NAME  (clients need one: OUTRIGGER_API_KEY)"
                    .to_owned(),
            );
        }
        lines.push(format!(
            "ready in {} ms · Ctrl-C drains, a second one cuts",
            self.started.elapsed().as_millis()
        ));
        lines.join("\n")
    }

    fn providers(&self, ready: &Ready) -> Vec<String> {
        let rows: Vec<(&str, String, usize)> = ready
            .providers
            .iter()
            .map(|(name, models)| (&**name, self.by(name), *models))
            .collect();
        let longest = |of: &dyn Fn(&(&str, String, usize)) -> usize, least: usize| {
            rows.iter().map(of).max().unwrap_or(0).max(least)
        };
        let name = longest(&|row| row.0.chars().count(), "provider".len());
        let by = longest(&|row| row.1.chars().count(), "found by".len());
        let head = format!(
            "  {:<name$}  {:<by$}  models   (built-in table; nobody contacted yet)",
            "provider", "found by"
        );
        let lines =
            rows.iter().map(|row| format!("  {:<name$}  {:<by$}  {:>6}", row.0, row.1, row.2));
        std::iter::once(head).chain(lines).collect()
    }

    fn by(&self, name: &str) -> String {
        match self.found.iter().find(|it| it.preset == name).map(|it| &it.by) {
            Some(FoundBy::Variable(variable)) => variable.clone(),
            Some(FoundBy::Server { url, .. }) => url.clone(),
            None if name == "demo" => "built in, free".to_owned(),
            None => "configuration".to_owned(),
        }
    }

    fn addresses(&self, ready: &Ready) -> Vec<String> {
        let scheme = if ready.tls { "https" } else { "http" };
        let keys = match (ready.keys_required, ready.api.ip().is_loopback()) {
            (true, _) => "a virtual key is required",
            (false, true) => "this machine only, no key needed",
            (false, false) => "no key needed",
        };
        let (api, admin) = (reachable(ready.api), reachable(ready.admin));
        let token = ready.data_dir.join("admin-token");
        let mut lines = vec![
            format!("  api      {scheme}://{api}/v1     {keys}"),
            format!("  admin    http://{admin}        token in {}", token.display()),
        ];
        if let Some(token) = ready.new_admin_token.as_ref().filter(|_| self.terminal) {
            lines.push(format!("           admin token, shown once: {token}"));
        }
        lines
    }
}

fn ledger(ready: &Ready) -> Vec<String> {
    let promise = match ready.durability {
        Durability::Strict => "strict: nothing leaves before its intent is on disk",
        Durability::Relaxed => "relaxed: at most 50 ms of rows may be lost in a crash",
    };
    let mut lines = vec![format!("  ledger   {promise}")];
    if ready.unsettled > 0 {
        let (count, look) = (ready.unsettled, "outrigger ledger query --unsettled");
        lines.push(if count == 1 {
            format!("           an attempt of an earlier run is unsettled, its reservation held: {look}")
        } else {
            format!("           {count} attempts of earlier runs are unsettled, their reservations held: {look}")
        });
    }
    lines
}

/// The ready gateway as JSON.
pub(crate) fn json(ready: &Ready) -> serde_json::Value {
    let providers: Vec<_> = ready
        .providers
        .iter()
        .map(|(name, models)| serde_json::json!({"name": name, "models": models}))
        .collect();
    serde_json::json!({
        "ready": true,
        "api": ready.api.to_string(),
        "admin": ready.admin.to_string(),
        "tls": ready.tls,
        "keys_required": ready.keys_required,
        "durability": ready.durability.as_str(),
        "data_dir": ready.data_dir.display().to_string(),
        "unsettled": ready.unsettled,
        "providers": providers,
    })
}

/// What a newcomer should try: the first capability, else the cheapest chat model of the first provider that has a
/// priced one, else what a provider lists itself (a server on this machine), else a built-in model.
pub(crate) fn model_to_try(config: &Config) -> String {
    if let Some(capability) = config.capabilities.first() {
        return capability.name.to_string();
    }
    let catalog = catalog::builtin();
    let cheapest = |provider: &config::Provider| {
        let host = super::model::host(provider, catalog);
        let models = super::model::models(provider, catalog).into_iter();
        let priced = models.filter(|it| served(&host, it)).filter_map(|model| {
            let sheet = catalog.prices(&host, &model)?.at(clock::now(), Mode::Standard)?;
            Some((sheet.rates.output, model)).filter(|(price, _)| *price > Price::ZERO)
        });
        priced.min().map(|(_, model)| format!("{}/{model}", provider.name))
    };
    let listed = |provider: &config::Provider| {
        provider.models.first().map(|model| format!("{}/{model}", provider.name))
    };
    let of =
        |pick: &dyn Fn(&config::Provider) -> Option<String>| config.providers.iter().find_map(pick);
    of(&cheapest).or_else(|| of(&listed)).unwrap_or_else(|| DEMO.to_owned())
}

/// Whether a model chats and is not at its end.
fn served(host: &str, model: &str) -> bool {
    let catalog = catalog::builtin();
    let chats = catalog.model(host, model).is_some_and(|it| it.mode == ModelMode::Chat);
    let life = catalog.lifecycle(host, model).map(|it| it.status_on(&clock::today()));
    chats && life.is_none_or(|it| it == catalog::LifecycleStatus::Active)
}
