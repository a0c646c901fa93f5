//! When a certificate ends: the one fact that is read from it (RFC 5280, section 4.1: tbsCertificate.validity.notAfter).

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of the first certificate of a PEM file; none where it can't be read.
pub(crate) fn not_after(pem: &[u8]) -> Option<jiff::Timestamp> {
    let certificate = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    let (_, certificate, _) = element(&certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    let mut sequences = 0;
    // version, serial number, signature (1st sequence), issuer (2nd), validity (3rd).
    loop {
        let (tag, content, rest) = element(fields)?;
        sequences += u32::from(tag == SEQUENCE);
        if sequences == 3 {
            let (_, _, not_after) = element(content)?;
            let (tag, text, _) = element(not_after)?;
            return moment(tag, std::str::from_utf8(text).ok()?);
        }
        fields = rest;
    }
}

/// A DER element: its tag, its content, what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (figures, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (figures.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ`, whose years are 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn moment(tag: u8, text: &str) -> Option<jiff::Timestamp> {
    let full = match tag {
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let (day, time) = full.split_at_checked(8)?;
    format!("{day}T{time}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificates_end_is_read_in_both_forms_of_time() {
        for (year, month, day) in [(2027, 3, 9), (2051, 12, 31)] {
            let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
            parameters.not_after = rcgen::date_time_ymd(year, month, day);
            let key = rcgen::KeyPair::generate().unwrap();
            let pem = parameters.self_signed(&key).unwrap().pem();
            let end = not_after(pem.as_bytes()).unwrap();
            assert_eq!(end.to_string(), format!("{year}-{month:02}-{day:02}T00:00:00Z"));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        assert_eq!(
            not_after(b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n"),
            None
        );
        assert_eq!(not_after(b"nothing"), None);
    }
}
