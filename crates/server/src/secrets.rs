//! Reading secrets from where the configuration says they are.

use std::sync::Arc;

use config::{
    AwsKeys as AwsReference, AzureProof as ProofReference, GoogleLogin as GoogleReference,
    Secret as Reference, TokenSource,
};
use upstream::oci::OciKey;
use upstream::sigv4::AwsKeys;
use upstream::tokens::{
    AwsLogin, AzureLogin, AzureProof, ContainerToken, GoogleKeyError, GoogleLogin, Login, Tokens,
};
use upstream::{RsaKey, Secret};

use crate::snapshot::SigningKeys;

/// Why a secret can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or empty.
    #[error("environment variable {0} is not set")]
    Unset(String),
    /// The file can't be read.
    #[error("file {path} can't be read")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file has no such profile, or none with a key pair.
    #[error("file {path} has no key pair under `{name}`")]
    Profile {
        /// Which file.
        path: String,
        /// Which profile.
        name: String,
    },
    /// A log-in of Google's can't be used.
    #[error("no tokens can be had of Google")]
    Google(#[from] GoogleKeyError),
    /// The address where credentials are given out can't be used.
    #[error("the address where its credentials are given out can't be used")]
    Desk(#[from] upstream::TargetError),
    /// A signing key can't be used.
    #[error("the signing key can't be used")]
    SigningKey(#[from] upstream::RsaError),
    /// The file has no such profile, or none with a whole signing key.
    #[error("file {path} has no `user`, `tenancy`, `fingerprint` and `key_file` under `{name}`")]
    OciProfile {
        /// Which file.
        path: String,
        /// Which profile.
        name: String,
    },
    /// The file is empty.
    #[error("file {0} is empty")]
    Empty(String),
}

/// Reads a secret.
pub fn read(reference: &Reference) -> Result<Secret, SecretError> {
    match reference {
        Reference::Plain(value) => Ok(Secret::new(value.clone())),
        Reference::Env(name) => std::env::var(name)
            .ok()
            .map(Secret::new)
            .filter(|secret| !secret.is_empty())
            .ok_or_else(|| SecretError::Unset(name.clone())),
        Reference::File(path) => {
            let text = String::from_utf8_lossy(&read_file(path)?).into_owned();
            let secret = Secret::new(text);
            if secret.is_empty() { Err(SecretError::Empty(path.clone())) } else { Ok(secret) }
        }
    }
}

/// Reads a key pair of AWS, or who asks for one.
pub fn aws(reference: &AwsReference) -> Result<SigningKeys, SecretError> {
    match reference {
        AwsReference::Pair { access_key_id, secret_access_key, session_token } => {
            Ok(SigningKeys::Fixed(AwsKeys {
                access_key_id: read(access_key_id)?.reveal().to_owned(),
                secret: read(secret_access_key)?,
                session_token: session_token.as_ref().map(read).transpose()?,
            }))
        }
        AwsReference::Profile { name, path } => {
            let text = String::from_utf8_lossy(&read_file(path)?).into_owned();
            profile(&text, name)
                .map(SigningKeys::Fixed)
                .ok_or_else(|| SecretError::Profile { path: path.clone(), name: name.clone() })
        }
        AwsReference::Container { url, token } => {
            let token = token.as_ref().map(|token| match token {
                Reference::File(path) => Ok(ContainerToken::File(path.clone())),
                other => read(other).map(ContainerToken::Text),
            });
            let login = AwsLogin::container(url, token.transpose()?)?;
            Ok(SigningKeys::Issued(Tokens::new(login)))
        }
        AwsReference::Instance { url } => {
            Ok(SigningKeys::Issued(Tokens::new(AwsLogin::instance(url)?)))
        }
        AwsReference::WebIdentity { url, role, session, file } => {
            let login = AwsLogin::web_identity(url, role, session, file)?;
            Ok(SigningKeys::Issued(Tokens::new(login)))
        }
    }
}

/// Reads who asks for tokens.
pub fn tokens(reference: &config::Tokens) -> Result<Arc<Tokens<Login>>, SecretError> {
    let config::Tokens { scope, from } = reference;
    let login = match from {
        TokenSource::Google(GoogleReference::Key(key)) => {
            Login::Google(GoogleLogin::from_json(read(key)?.reveal(), scope)?)
        }
        TokenSource::Google(GoogleReference::Metadata { host }) => {
            Login::Google(GoogleLogin::metadata(host, scope)?)
        }
        TokenSource::Azure(config::AzureLogin { authority, tenant, client_id, proof }) => {
            let proof = match proof {
                ProofReference::Secret(secret) => AzureProof::Secret(read(secret)?),
                ProofReference::File(path) => AzureProof::File(path.clone()),
            };
            Login::Azure(AzureLogin::new(authority, tenant, client_id, scope, proof)?)
        }
    };
    Ok(Tokens::new(login))
}

/// Reads a signing key of Oracle Cloud.
pub fn oci(reference: &config::OciKey) -> Result<OciKey, SecretError> {
    match reference {
        config::OciKey::Named { tenancy, user, fingerprint, private_key } => Ok(OciKey {
            id: format!("{tenancy}/{user}/{fingerprint}"),
            key: RsaKey::from_pem(read(private_key)?.reveal())?,
        }),
        config::OciKey::Profile { name, path, home } => {
            let text = String::from_utf8_lossy(&read_file(path)?).into_owned();
            let [tenancy, user, fingerprint, file] = oci_profile(&text, name).ok_or_else(|| {
                SecretError::OciProfile { path: path.clone(), name: name.clone() }
            })?;
            let file = match file.strip_prefix("~/") {
                Some(rest) => format!("{home}/{rest}"),
                None => file,
            };
            let pem = read(&Reference::File(file))?;
            let id = format!("{tenancy}/{user}/{fingerprint}");
            Ok(OciKey { id, key: RsaKey::from_pem(pem.reveal())? })
        }
    }
}

/// Tenancy, user, fingerprint and the key's file of a profile in the file that Oracle's own tools keep. What a profile does
/// not say, `DEFAULT` does: <https://docs.oracle.com/en-us/iaas/Content/API/Concepts/sdkconfig.htm>.
fn oci_profile(text: &str, name: &str) -> Option<[String; 4]> {
    let names = ["tenancy", "user", "fingerprint", "key_file"];
    let mut found = [const { None }; 4];
    let mut exists = false;
    for wanted in ["DEFAULT", name] {
        let mut inside = false;
        for line in text.lines().map(str::trim) {
            if let Some(title) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
                inside = title.trim() == wanted;
                exists |= title.trim() == name;
            } else if let (true, Some((key, value))) = (inside, line.split_once('=')) {
                let place = names.iter().position(|it| *it == key.trim());
                if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
                    *slot = Some(value.trim().to_owned());
                }
            }
        }
    }
    let [tenancy, user, fingerprint, file] = found;
    exists.then_some([tenancy?, user?, fingerprint?, file?])
}

/// The key pair of a profile in the file that AWS's own tools keep:
/// <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>.
fn profile(text: &str, name: &str) -> Option<AwsKeys> {
    let mut found = [None, None, None];
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(title) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            inside = title.trim() == name;
        } else if let (true, Some((key, value))) = (inside, line.split_once('=')) {
            let names = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];
            let place = names.iter().position(|it| key.trim().eq_ignore_ascii_case(it));
            if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
                *slot = Some(value.trim().to_owned());
            }
        }
    }
    let [access_key_id, secret, session_token] = found;
    Some(AwsKeys {
        access_key_id: access_key_id?,
        secret: Secret::new(secret?),
        session_token: session_token.map(Secret::new),
    })
}

/// Reads a file that the configuration names.
pub fn read_file(path: &str) -> Result<Vec<u8>, SecretError> {
    std::fs::read(path).map_err(|source| SecretError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_as_oracles_tools_write_it() {
        let text = "[DEFAULT]\nuser=ocid1.user.oc1..a\nfingerprint=20:3b\nkey_file=~/.oci/key.pem\n\
                    tenancy=ocid1.tenancy.oc1..t\nregion=us-chicago-1\n\n[CI]\nuser = ocid1.user.oc1..b\n";
        let of = |name| oci_profile(text, name);
        let whole = |user: &str| {
            ["ocid1.tenancy.oc1..t", user, "20:3b", "~/.oci/key.pem"].map(String::from)
        };
        assert_eq!(of("DEFAULT"), Some(whole("ocid1.user.oc1..a")));
        assert_eq!(of("CI"), Some(whole("ocid1.user.oc1..b")));
        assert_eq!(of("OTHER"), None);
        assert_eq!(oci_profile("[DEFAULT]\nuser=u\n", "DEFAULT"), None);
    }

    #[test]
    fn a_profile_is_read_as_aws_tools_write_it() {
        let text = "# work\n[default]\naws_access_key_id = AKIA1\naws_secret_access_key=s/e+c=\n\n\
                    [ci]\nregion = eu-west-1\naws_access_key_id=AKIA2\naws_secret_access_key = t\naws_session_token = u==\n";
        let keys = profile(text, "default").unwrap();
        assert_eq!((keys.access_key_id.as_str(), keys.secret.reveal()), ("AKIA1", "s/e+c="));
        assert_eq!(keys.session_token, None);
        let keys = profile(text, "ci").unwrap();
        assert_eq!(keys.session_token.as_ref().map(Secret::reveal), Some("u=="));
        assert_eq!(profile(text, "other"), None);
        assert_eq!(profile("[default]\naws_access_key_id = AKIA1\n", "default"), None);
    }
}
