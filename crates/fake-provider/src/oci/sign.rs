//! Request signatures, verified: `draft-cavage-http-signatures-08` with RSA and SHA-256, as
//! <https://docs.oracle.com/en-us/iaas/Content/API/Concepts/signingrequests.htm> has it.

use std::time::{Duration, SystemTime};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::ask::Refused;
use crate::demo::Call;

/// How far a caller's clock may be off.
const SKEW: Duration = Duration::from_mins(5);
/// What every signature covers.
const ALWAYS: [&str; 3] = ["date", "(request-target)", "host"];
/// What it covers besides, of a request with a body.
const WITH_BODY: [&str; 3] = ["content-length", "content-type", "x-content-sha256"];

/// Who may call Oracle's side: a user with an API signing key, for one compartment.
#[derive(Debug, Clone)]
pub struct OciUser {
    /// The tenancy's OCID.
    pub tenancy: String,
    /// The user's OCID.
    pub user: String,
    /// The key's fingerprint.
    pub fingerprint: String,
    /// The compartment that pays.
    pub compartment: String,
    /// The public half of the key: PKCS #1, DER.
    pub public_key: Vec<u8>,
}

impl OciUser {
    /// A user with a new key of 2,048 bits; its private half comes beside, in PEM. `None` when the library makes none.
    pub fn generate() -> Option<(Self, String)> {
        let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
        let private = pair.as_der().ok()?;
        let text = STANDARD.encode(private.as_ref());
        let lines: Vec<&str> = (0..text.len())
            .step_by(64)
            .filter_map(|at| text.get(at..text.len().min(at + 64)))
            .collect();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        );
        let user = OciUser {
            tenancy: "ocid1.tenancy.oc1..partner".to_owned(),
            user: "ocid1.user.oc1..partner".to_owned(),
            fingerprint: "20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34".to_owned(),
            compartment: "ocid1.compartment.oc1..partner".to_owned(),
            public_key: pair.public_key().as_ref().to_vec(),
        };
        Some((user, pem))
    }

    /// Whether the call is signed by this user, all of what must be.
    pub(super) fn signed(&self, call: &Call<'_>) -> bool {
        self.verify(call).is_some()
    }

    fn verify(&self, call: &Call<'_>) -> Option<()> {
        let header = call.header("authorization")?.strip_prefix("Signature ")?;
        let fields: Vec<(&str, &str)> =
            header.split("\",").filter_map(|it| it.trim().split_once("=\"")).collect();
        let field = |name: &str| {
            let value = fields.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
            value.map(|it| it.trim_end_matches('"'))
        };
        let id = format!("{}/{}/{}", self.tenancy, self.user, self.fingerprint);
        let stated = field("version")? == "1" && field("algorithm")? == "rsa-sha256";
        let covered: Vec<&str> = field("headers")?.split(' ').collect();
        let covers = |names: &[&str]| names.iter().all(|name| covered.contains(name));
        let with_body = call.method == "POST";
        if !stated || field("keyId")? != id || !covers(&ALWAYS) || with_body && !covers(&WITH_BODY)
        {
            return None;
        }
        if with_body {
            let digest = STANDARD.encode(Sha256::digest(call.body));
            let length: usize = call.header("content-length")?.parse().ok()?;
            if call.header("x-content-sha256")? != digest || length != call.body.len() {
                return None;
            }
        }
        let text = signing_text(call, &covered)?;
        let signature = STANDARD.decode(field("signature")?).ok()?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public_key);
        key.verify(text.as_bytes(), &signature).ok()
    }
}

fn signing_text(call: &Call<'_>, covered: &[&str]) -> Option<String> {
    let line = |name: &&str| {
        Some(match *name {
            "(request-target)" => {
                format!("{name}: {} {}", call.method.to_ascii_lowercase(), call.path)
            }
            _ => format!("{name}: {}", call.header(name)?),
        })
    };
    let lines: Option<Vec<String>> = covered.iter().map(line).collect();
    Some(lines?.join("\n"))
}

pub(super) fn unauthenticated() -> Refused {
    let message =
        "The required information to complete authentication was not provided or was incorrect.";
    Refused::new(401, message).code("NotAuthenticated")
}

/// The refusal of a call whose clock is off, or that bears no date.
pub(crate) fn late(date: Option<&str>, now: SystemTime) -> Option<Refused> {
    let said = date.unwrap_or_default();
    let Ok(at) = httpdate::parse_http_date(said) else { return Some(unauthenticated()) };
    let off = now.duration_since(at).unwrap_or_else(|ahead| ahead.duration());
    let current = httpdate::fmt_http_date(now);
    let message = format!("Date '{said}' is not within allowed clock skew. Current '{current}'");
    (off > SKEW).then(|| Refused::new(401, message).code("NotAuthenticated"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Wed, 25 Nov 2026 10:00:00 GMT";

    const BODY: &[u8] = b"{\"compartmentId\":\"ocid1.compartment.oc1..a\"}";

    /// Made with `oci.signer.Signer` of the vendor's Python SDK 2.189, for the gateway's own signer to be held against.
    fn golden() -> (OciUser, Vec<(&'static str, &'static str)>) {
        let lines: Vec<&str> =
            include_str!("../../../upstream/src/oci/golden.txt").lines().collect();
        let [DATE, digest, authorization, _] = lines.as_slice() else { panic!("four lines") };
        let pem = include_str!("../../../upstream/src/oci/test_key.pem");
        let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let pair = KeyPair::from_pkcs8(&STANDARD.decode(der).expect("Base64")).expect("a key");
        let user = OciUser {
            tenancy: "ocid1.tenancy.oc1..t".to_owned(),
            user: "ocid1.user.oc1..u".to_owned(),
            fingerprint: "20:3b:97".to_owned(),
            compartment: "ocid1.compartment.oc1..c".to_owned(),
            public_key: pair.public_key().as_ref().to_vec(),
        };
        let headers = vec![
            ("date", DATE),
            ("host", "inference.generativeai.us-chicago-1.oci.oraclecloud.com"),
            ("content-type", "application/json"),
            ("content-length", "44"),
            ("x-content-sha256", *digest),
            ("authorization", *authorization),
        ];
        (user, headers)
    }

    #[test]
    fn what_the_vendors_sdk_signs_is_good_and_nothing_else() {
        let (user, headers) = golden();
        let call = Call {
            method: "POST",
            path: "/20231130/actions/chat?x=1",
            headers: &headers,
            body: BODY,
        };
        assert!(user.signed(&call));
        assert!(
            !user.signed(&Call {
                body: b"{\"compartmentId\":\"ocid1.compartment.oc1..b\"}",
                ..call
            })
        );
        assert!(!user.signed(&Call { path: "/20231130/actions/chat", ..call }));
        for at in 0..headers.len() {
            let mut changed = headers.clone();
            changed[at].1 = "another";
            assert!(!user.signed(&Call { headers: &changed, ..call }), "{}", headers[at].0);
            changed.remove(at);
            assert!(!user.signed(&Call { headers: &changed, ..call }), "{}", headers[at].0);
        }
        let other = OciUser { fingerprint: "20:3b:98".to_owned(), ..user };
        assert!(!other.signed(&call));
    }

    #[test]
    fn a_clock_may_be_five_minutes_off() {
        let at = httpdate::parse_http_date(DATE).expect("a date");
        assert!(late(Some(DATE), at + SKEW).is_none());
        assert!(late(Some(DATE), at - SKEW).is_none());
        for now in [at + SKEW + Duration::from_secs(1), at - SKEW - Duration::from_secs(1)] {
            let refused = late(Some(DATE), now).expect("refused");
            assert_eq!((refused.status, refused.code), (401, Some("NotAuthenticated")));
        }
        assert!(late(None, at).is_some());
    }

    #[test]
    fn a_new_key_is_a_key() {
        let (user, pem) = OciUser::generate().expect("a key");
        assert!(pem.lines().all(|line| line.len() <= 64));
        assert!(user.public_key.len() > 256);
    }
}
