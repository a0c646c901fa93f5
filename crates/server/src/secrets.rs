//! Reading secrets from where the configuration says they are.

use config::Secret as Reference;
use upstream::oci::OciKey;
use upstream::tokens::GoogleKeyError;
use upstream::{RsaKey, Secret};

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
    /// A profile is of a kind that can't be used.
    #[error("profile `{name}` {why}")]
    ProfileKind {
        /// Which profile.
        name: String,
        /// Why, and what to do.
        why: &'static str,
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
}
