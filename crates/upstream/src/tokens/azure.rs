//! Tokens of Microsoft Entra for an application: its secret, or a token of another issuer that it trusts.
//! <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use std::time::Instant;

use domain::ErrorClass;

use super::ask::Desk;
use super::google::bearer;
use super::{Issued, TokenError};
use crate::error::TargetError;
use crate::pool::Pool;
use crate::secret::Secret;

/// The application that asks, and for what.
#[derive(Debug)]
pub struct AzureLogin {
    desk: Desk,
    client_id: String,
    scope: String,
    proof: AzureProof,
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
        Ok(Self { desk, client_id: client_id.to_owned(), scope: scope.to_owned(), proof })
    }
}

impl AzureLogin {
    pub(super) async fn issue(&self, pool: &Pool) -> Result<Issued<Secret>, TokenError> {
        let begun = Instant::now();
        let common = [
            ("grant_type", "client_credentials"),
            ("client_id", &*self.client_id),
            ("scope", &*self.scope),
        ];
        let answer = match &self.proof {
            AzureProof::Secret(secret) => {
                let own = ("client_secret", secret.reveal());
                self.desk.post(pool, &[common[0], common[1], common[2], own]).await?
            }
            AzureProof::File(path) => {
                let token = read_file(path).await?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let own = [("client_assertion_type", kind), ("client_assertion", token.reveal())];
                self.desk.post(pool, &[&common[..], &own].concat()).await?
            }
        };
        bearer(&answer, &self.desk, begun)
    }
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
