//! A value that must not be shown.

use std::fmt;

use zeroize::Zeroizing;

/// A credential: wiped from memory when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a credential; surrounding white space (the newline of a file) is cut.
    pub fn new(mut value: String) -> Self {
        let trimmed = value.trim();
        if trimmed.len() != value.len() {
            let kept = trimmed.to_owned();
            zeroize::Zeroize::zeroize(&mut value);
            value = kept;
        }
        Self(Zeroizing::new(value))
    }

    /// The credential itself, for the one place that writes it into a header.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What it is known by where it must not be kept: 64 bits of its hash tell a provider's keys
    /// apart, and tell nothing about them.
    pub fn mark(&self) -> u64 {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(self.0.as_bytes());
        let (head, _) = hash.split_at(8);
        head.iter().fold(0, |mark, byte| mark << 8 | u64::from(*byte))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn is_not_printed_and_is_trimmed() {
        let secret = Secret::new("sk-canary\n".to_owned());
        assert_eq!(secret.reveal(), "sk-canary");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
    }
}
