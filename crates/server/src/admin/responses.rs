//! Kept responses: their end.

use axum::Json;
use domain::AppName;
use serde::Deserialize;
use serde_json::json;

use super::problem::{self, Problem};
use super::{Answer, Input, State, blocking};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Purge {
    app: Option<String>,
    #[serde(default)]
    all: bool,
}

/// Deletes all kept responses of an application, or all there are.
pub(super) async fn purge(api: State, Input(body): Input<Purge>) -> Answer {
    let app = body
        .app
        .as_deref()
        .map(AppName::new)
        .transpose()
        .map_err(|error| Problem::invalid(&[("/app".to_owned(), error.to_string())]))?;
    if app.is_some() == body.all {
        let detail = "expected either the name of an application or `\"all\": true`";
        return Err(Problem::invalid(&[("/app".to_owned(), detail.to_owned())]));
    }
    let value = blocking(api.0, move |api, store| {
        let purged =
            if store.kept().is_made() { api.gateway.responses.purge(app).wait() } else { Ok(0) };
        let purged = purged.map_err(|error| Problem::new(&problem::KEPT, error.to_string()))?;
        Ok(json!({"purged": purged}))
    });
    value.await.map(Json)
}
