//! Tokens of Microsoft Entra: for an application by its secret or a token of another issuer that it trusts, for a machine by
//! its managed identity. <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow>,
//! <https://learn.microsoft.com/en-us/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>,
//! <https://learn.microsoft.com/en-us/azure/app-service/overview-managed-identity#rest-endpoint-reference>

use std::time::Instant;

use domain::ErrorClass;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::ask::Desk;
use super::google::bearer;
use super::{Issued, TokenError};
use crate::error::TargetError;
use crate::pool::Pool;
use crate::secret::Secret;

/// Where a machine of Azure asks for tokens of its own.
const MACHINE: &str = "/metadata/identity/oauth2/token";

/// Who asks, and for what.
#[derive(Debug)]
pub struct AzureLogin {
    desk: Desk,
    who: Who,
}

#[derive(Debug)]
enum Who {
    Application {
        client_id: String,
        scope: String,
        proof: AzureProof,
    },
    /// Path and query; App Service wants its secret shown.
    Machine {
        path: String,
        secret: Option<Secret>,
    },
}

/// What shows that it is the application.
#[derive(Debug)]
pub enum AzureProof {
    /// Its secret.
    Secret(Secret),
    /// A token of another issuer, in a file that is replaced before it expires.
    File(String),
}

impl AzureLogin {
    /// An application of a tenant; `authority` is such as `https://login.microsoftonline.com`.
    pub fn new(
        authority: &str,
        tenant: &str,
        client_id: &str,
        scope: &str,
        proof: AzureProof,
    ) -> Result<Self, TargetError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if tenant.is_empty() || !tenant.bytes().all(plain) {
            return Err(TargetError::Url("the tenant is neither an id nor a domain"));
        }
        let desk = Desk::new(&format!("{authority}/{tenant}/oauth2/v2.0/token"))?;
        let who =
            Who::Application { client_id: client_id.to_owned(), scope: scope.to_owned(), proof };
        Ok(Self { desk, who })
    }

    /// The machine's own identity, by its metadata service at `origin`; with a `client_id`, one of several.
    pub fn machine(
        origin: &str,
        client_id: Option<&str>,
        scope: &str,
    ) -> Result<Self, TargetError> {
        let desk = Desk::metadata(&format!("{origin}{MACHINE}"))?;
        let path = asked(desk.path(), "2018-02-01", client_id, scope);
        Ok(Self { desk, who: Who::Machine { path, secret: None } })
    }

    /// The identity of an App Service, a Function or a Container App, by the address and the secret of its environment.
    pub fn app_service(
        url: &str,
        secret: Secret,
        client_id: Option<&str>,
        scope: &str,
    ) -> Result<Self, TargetError> {
        let desk = Desk::metadata(url)?;
        let path = asked(desk.path(), "2019-08-01", client_id, scope);
        Ok(Self { desk, who: Who::Machine { path, secret: Some(secret) } })
    }

    pub(super) async fn issue(&self, pool: &Pool) -> Result<Issued<Secret>, TokenError> {
        let begun = Instant::now();
        let answer = match &self.who {
            Who::Machine { path, secret } => {
                let header = match secret {
                    Some(secret) => ("x-identity-header", secret.reveal()),
                    None => ("metadata", "true"),
                };
                self.desk.get(pool, path, &[header]).await?
            }
            Who::Application { client_id, scope, proof } => {
                let common = [
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id),
                    ("scope", scope),
                ];
                match proof {
                    AzureProof::Secret(secret) => {
                        let own = ("client_secret", secret.reveal());
                        self.desk.post(pool, &[common[0], common[1], common[2], own]).await?
                    }
                    AzureProof::File(path) => {
                        let token = read_file(path).await?;
                        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                        let own =
                            [("client_assertion_type", kind), ("client_assertion", token.reveal())];
                        self.desk.post(pool, &[&common[..], &own].concat()).await?
                    }
                }
            }
        };
        bearer(&answer, &self.desk, begun)
    }
}

/// What a machine asks for: a resource, which in the scope of an application has `/.default` after it.
fn asked(path: &str, version: &str, client_id: Option<&str>, scope: &str) -> String {
    let resource = scope.strip_suffix("/.default").unwrap_or(scope);
    let resource = utf8_percent_encode(resource, NON_ALPHANUMERIC);
    let mut query = format!("{path}?api-version={version}&resource={resource}");
    if let Some(id) = client_id {
        query.extend(["&client_id=", &utf8_percent_encode(id, NON_ALPHANUMERIC).to_string()]);
    }
    query
}

/// A file that somebody else keeps up to date, read off the data thread.
pub(super) async fn read_file(path: &str) -> Result<Secret, TokenError> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(owned)).await;
    let why = match read {
        Ok(Ok(text)) if !text.trim().is_empty() => return Ok(Secret::new(text)),
        Ok(Ok(_)) => "it is empty".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the reading was cut short".to_owned(),
    };
    let message = format!(
        "no credential for the provider: the token file {path} can't be read: {why}; see that whoever keeps it up to \
         date is running, and that the gateway may read it"
    );
    Err(TokenError { class: ErrorClass::Auth, message })
}
