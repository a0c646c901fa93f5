//! RSA signatures as clouds want them of those who call: SHA-256, PKCS #1 v1.5 (`RS256` in a JSON Web Token,
//! `rsa-sha256` in a signed request).

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject};

/// A private key. Its text is not kept, and nothing of it is printed.
pub struct RsaKey(KeyPair);

/// Why a text is not a key to sign with, or a signature could not be made. Holds nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RsaError {
    /// No `-----BEGIN ... PRIVATE KEY-----` in it.
    #[error("it holds no private key in PEM (`-----BEGIN PRIVATE KEY-----`)")]
    Missing,
    /// A pass phrase would be needed.
    #[error(
        "its private key is encrypted; store it without a pass phrase, readable by its owner alone"
    )]
    Encrypted,
    /// Not RSA, too short (2,048 to 8,192 bits are taken), or damaged.
    #[error("its private key is not an RSA key of 2,048 bits or more")]
    Refused,
    /// The library could not sign.
    #[error("the signature could not be made")]
    Signing,
}

impl RsaKey {
    /// Reads a private key in PEM, PKCS #8 or PKCS #1, without a pass phrase.
    pub fn from_pem(text: &str) -> Result<Self, RsaError> {
        // Old files say it in a header, new ones in the label.
        if text.contains("ENCRYPTED") {
            return Err(RsaError::Encrypted);
        }
        let read = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
            pem::Error::NoItemsFound => RsaError::Missing,
            _ => RsaError::Refused,
        })?;
        let pair = match &read {
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(RsaError::Refused),
        };
        pair.map(Self).map_err(|_| RsaError::Refused)
    }

    /// The signature of `message`, as long as the key's modulus.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, RsaError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| RsaError::Signing)?;
        Ok(signature)
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        let mut text = format!("-----BEGIN {label}-----\n");
        for line in STANDARD.encode(der).as_bytes().chunks(64) {
            writeln!(text, "{}", String::from_utf8_lossy(line)).unwrap();
        }
        text + &format!("-----END {label}-----\n")
    }

    /// The PKCS #1 form is the last member of the PKCS #8 form: an octet string with a length in two bytes.
    fn pkcs1_of(pkcs8: &[u8]) -> &[u8] {
        let at = pkcs8.windows(2).position(|it| it == [0x04, 0x82]).unwrap();
        &pkcs8[at + 4..]
    }

    #[test]
    fn signs_with_a_key_in_either_form_what_its_public_half_verifies() {
        let made = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = made.public_key().as_ref().to_vec();
        let der: Pkcs8V1Der<'_> = made.as_der().unwrap();
        let forms = [
            pem("PRIVATE KEY", der.as_ref()),
            pem("RSA PRIVATE KEY", pkcs1_of(der.as_ref())),
            // Oracle's tools write a line of their own below the key.
            pem("PRIVATE KEY", der.as_ref()) + "OCI_API_KEY\n",
        ];
        for text in forms {
            let key = RsaKey::from_pem(&text).unwrap();
            let signature = key.sign(b"to whom it may concern").unwrap();
            let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public);
            verifier.verify(b"to whom it may concern", &signature).unwrap();
            assert!(verifier.verify(b"to whom it may concern!", &signature).is_err());
            assert_eq!(format!("{key:?}"), "***");
        }
    }

    #[test]
    fn says_why_a_text_is_no_key() {
        let of = |text: &str| RsaKey::from_pem(text).unwrap_err();
        assert_eq!(of(""), RsaError::Missing);
        assert_eq!(of("not a key"), RsaError::Missing);
        assert_eq!(of(&pem("ENCRYPTED PRIVATE KEY", b"...")), RsaError::Encrypted);
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(of(old), RsaError::Encrypted);
        assert_eq!(of(&pem("PRIVATE KEY", b"garbage")), RsaError::Refused);
        assert_eq!(of(&pem("EC PRIVATE KEY", b"garbage")), RsaError::Refused);
    }
}
