//! Oracle Cloud's request signatures: `draft-cavage-http-signatures-08` with RSA and SHA-256. Pure: time, bytes and keys
//! are arguments. <https://docs.oracle.com/en-us/iaas/Content/API/Concepts/signingrequests.htm>

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::UnixMicros;
use sha2::{Digest, Sha256};

use crate::rsa::{RsaError, RsaKey};

/// The content type of every body that is signed.
const JSON: &str = "application/json";

/// An API signing key of a user.
#[derive(Debug)]
pub struct OciKey {
    /// `{tenancy}/{user}/{fingerprint}`: no secret.
    pub id: String,
    /// The private half.
    pub key: RsaKey,
}

/// A request as it is on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    /// `POST`.
    pub method: &'a str,
    /// Path and query as they are sent.
    pub target: &'a str,
    /// The `host` header.
    pub host: &'a str,
    /// The body, of JSON; empty where there is none.
    pub body: &'a [u8],
}

/// The headers to send with the request: date, digest of the body if there is one, signature.
///
/// # Errors
/// Where the key does not sign.
pub fn sign(
    request: &Signable<'_>,
    key: &OciKey,
    now: UnixMicros,
) -> Result<Vec<(&'static str, String)>, RsaError> {
    let date = date(now);
    let line = request.method.to_ascii_lowercase();
    let mut covered = vec![
        ("date", date.clone()),
        ("(request-target)", format!("{line} {}", request.target)),
        ("host", request.host.to_owned()),
    ];
    let mut added = vec![("date", date)];
    if !request.body.is_empty() {
        let digest = STANDARD.encode(Sha256::digest(request.body));
        added.push(("x-content-sha256", digest.clone()));
        covered.push(("content-length", request.body.len().to_string()));
        covered.push(("content-type", JSON.to_owned()));
        covered.push(("x-content-sha256", digest));
    }
    let names: Vec<&str> = covered.iter().map(|(name, _)| *name).collect();
    let text: Vec<String> = covered.iter().map(|(name, it)| format!("{name}: {it}")).collect();
    let signature = STANDARD.encode(key.key.sign(text.join("\n").as_bytes())?);
    let authorization = format!(
        r#"Signature algorithm="rsa-sha256",headers="{}",keyId="{}",signature="{signature}",version="1""#,
        names.join(" "),
        key.id,
    );
    added.push(("authorization", authorization));
    Ok(added)
}

/// `Wed, 25 Nov 2026 10:00:00 GMT`.
fn date(at: UnixMicros) -> String {
    let seconds = u64::try_from(at.secs()).unwrap_or(0);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = include_str!("oci/test_key.pem");
    const BODY: &[u8] = b"{\"compartmentId\":\"ocid1.compartment.oc1..a\"}";

    fn signed(method: &str, body: &[u8]) -> Vec<(&'static str, String)> {
        let id = "ocid1.tenancy.oc1..t/ocid1.user.oc1..u/20:3b:97".to_owned();
        let key = OciKey { id, key: RsaKey::from_pem(PEM).unwrap() };
        let request = Signable {
            method,
            target: "/20231130/actions/chat?x=1",
            host: "inference.generativeai.us-chicago-1.oci.oraclecloud.com",
            body,
        };
        sign(&request, &key, UnixMicros::from_secs(1_795_600_800)).unwrap()
    }

    /// Made with `oci.signer.Signer` of Oracle's Python SDK 2.189 (`oci/golden.py`): the signature is deterministic.
    #[test]
    fn signs_as_oracles_own_sdk_does() {
        let golden: Vec<&str> = include_str!("oci/golden.txt").lines().collect();
        let [post_date, post_digest, post, get] = golden.as_slice() else { panic!("four lines") };
        let with_body = signed("POST", BODY);
        assert_eq!(
            with_body,
            [
                ("date", (*post_date).to_owned()),
                ("x-content-sha256", (*post_digest).to_owned()),
                ("authorization", (*post).to_owned()),
            ]
        );
        let without = signed("GET", b"");
        assert_eq!(without[1], ("authorization", (*get).to_owned()));
    }
}
