//! Signature Version 4, verified: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
//! No clock here: how old a signature is is not looked at.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::demo::Call;

/// Whether the call is signed with one of these pairs, `ID:SECRET` each, for that service.
pub(crate) fn is_good(call: &Call<'_>, pairs: &[String], service: &str) -> bool {
    let Some(header) = call.header("authorization") else { return false };
    let Some(rest) = header.strip_prefix("AWS4-HMAC-SHA256 ") else { return false };
    let part = |name: &str| {
        rest.split(", ").find_map(|it| it.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let scope = part("Credential");
    let Some((id, scope)) = scope.split_once('/') else { return false };
    let secret = pairs.iter().find_map(|pair| pair.strip_prefix(id)?.strip_prefix(':'));
    let Some(secret) = secret else { return false };
    let steps: Vec<&str> = scope.split('/').collect();
    let [day, _, signed_for, "aws4_request"] = steps.as_slice() else { return false };
    if *signed_for != service {
        return false;
    }
    let date = call.header("x-amz-date").unwrap_or_default();
    let names = part("SignedHeaders");
    let covers = |name: &str| names.split(';').any(|it| it == name);
    if !date.starts_with(day) || !covers("host") || !covers("x-amz-date") {
        return false;
    }
    let hash = hex(&Sha256::digest(canonical(call, names).as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let key = steps
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, step| mac(&key, step.as_bytes()));
    hex(&mac(&key, text.as_bytes())) == part("Signature")
}

fn canonical(call: &Call<'_>, names: &str) -> String {
    let (path, query) = call.path.split_once('?').unwrap_or((call.path, ""));
    let mut out = format!("{}\n{}\n{query}\n", call.method, encode(path));
    for name in names.split(';') {
        let value = call.header(name).unwrap_or_default();
        let words: Vec<&str> = value.split_whitespace().collect();
        out.extend([name, ":", &words.join(" "), "\n"]);
    }
    let own = hex(&Sha256::digest(call.body));
    let hash = call.header("x-amz-content-sha256").unwrap_or(&own);
    out.extend(["\n", names, "\n", hash]);
    out
}

/// The path as it is on the wire, encoded once more.
fn encode(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let one = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    path.bytes().map(one).collect::<Vec<_>>().concat()
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with botocore 1.44.8 for 2026-11-25T10:00:00Z.
    #[test]
    fn what_botocore_signs_is_good() {
        let headers = [
            ("host", "bedrock-runtime.us-east-1.amazonaws.com"),
            ("content-type", "application/json"),
            ("x-amz-date", "20261125T100000Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=6cccb1992caa7fb7f807622a1f9bfef5eb8024f9b53506acaa9e87fd6c6ad034",
            ),
        ];
        let call = Call {
            method: "POST",
            path: "/model/anthropic.claude-sonnet-4-5-v1%3A0/converse",
            headers: &headers,
            body: b"{\"messages\":[]}",
        };
        let pair = |secret: &str| vec![format!("AKIDEXAMPLE:{secret}")];
        let good = pair("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        assert!(is_good(&call, &good, "bedrock"));
        assert!(!is_good(&call, &good, "bedrock-mantle"));
        assert!(!is_good(&call, &pair("another"), "bedrock"));
        assert!(!is_good(&Call { body: b"{}", ..call }, &good, "bedrock"));
    }
}
