//! A virtual key for one run: made before it, with a budget; revoked after it, when what was spent is said.

use std::path::Path;

use domain::AppName;
use ledger::query::{self, Filter, GroupBy};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::{self, Admin};
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::{clock, data};

/// How long a key lives that was made for one run, should nobody be left to revoke it.
const KEY_MICROS: i64 = 24 * 3600 * 1_000_000;

/// A virtual key for one run.
pub(crate) struct Key {
    admin: Admin,
    id: String,
    app: String,
    /// The whole key, as it is sent.
    pub(crate) secret: String,
}

impl Key {
    /// Makes one for a program, which may spend so much.
    pub(crate) fn made(program: &str, cap: &str, global: &Global) -> Result<Self, Failure> {
        let admin = client::running(global)?.ok_or_else(|| {
            Failure::new(Exit::Usage, "a cap needs the gateway's data folder or its admin address")
                .hint("run it beside `outrigger serve`, or with --url")
        })?;
        let name = Path::new(program).file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let app = AppName::new(name).map_or_else(|_| "run".to_owned(), |app| app.to_string());
        let expires = clock::now().plus_micros(KEY_MICROS).to_string();
        let made = admin.post(
            "/v1/outrigger/keys",
            &json!({"app": app, "expires_at": expires, "budgets": [cap]}),
        )?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Self { admin, id: text(&made["key"]["id"]), app, secret: text(&made["secret"]) })
    }

    /// Ends the key and says what was spent.
    pub(crate) fn ended(self, global: &Global) -> Done {
        self.admin.post(&format!("/v1/outrigger/keys/{}/revoke", self.id), &json!({}))?;
        let Ok(reader) = data::read(global) else { return Ok(()) };
        let filter = Filter { key: Some(self.id), ..Filter::default() };
        let sums = query::usage(&reader, &filter, GroupBy::Key, &|_| String::new());
        let sums = sums.cant("read the ledger")?;
        let Some(total) = sums.last() else { return Ok(()) };
        let noun = if total.requests == 1 { "request" } else { "requests" };
        let output = global.output();
        output.say(&format!("{}: {} {noun}, {} USD", self.app, total.requests, total.cost));
        Ok(())
    }
}
