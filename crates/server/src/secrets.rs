//! Reading secrets from where the configuration says they are.

use config::Secret as Reference;
use upstream::Secret;

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

/// Reads a file that the configuration names.
pub fn read_file(path: &str) -> Result<Vec<u8>, SecretError> {
    std::fs::read(path).map_err(|source| SecretError::File { path: path.to_owned(), source })
}
