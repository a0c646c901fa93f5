//! `fake-provider`: a mock partner as a process of its own. Prints one line of JSON with its addresses, then serves
//! until it is killed.

use std::io::Write as _;
use std::process::ExitCode;

use fake_provider::{Mock, MockOptions, OciUser};
use serde_json::{Value, json};

const HELP: &str = "fake-provider [options]
  --listen ADDR         address to serve on (127.0.0.1:0)
  --control ADDR        address of the control API (127.0.0.1:0)
  --journal FILE        append a line of JSON for each arrival and each end
  --key KEY             accept this key only (may be repeated)
  --unknown-model NAME  answer models that are not ours as this one, instead of 404
  --flaky-percent N     calls to `flaky` that fail (30)
  --keep N              latest requests kept for GET /__mock/requests (256)
  --oci                 take signatures of a new user of Oracle Cloud on its side, who is in the printed line
  --tls                 serve TLS (feature tls); the certificate is in the printed line
";

fn main() -> ExitCode {
    let (options, oci) = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            drop(write!(std::io::stderr(), "{message}\n\n{HELP}"));
            return ExitCode::from(2);
        }
    };
    let mock = match Mock::start_with(options) {
        Ok(mock) => mock,
        Err(e) => {
            drop(writeln!(std::io::stderr(), "fake-provider: {e}"));
            return ExitCode::FAILURE;
        }
    };
    let ready = json!({"base_url": mock.base_url(), "control_url": mock.control_url(), "ca_pem": mock.ca_pem(), "oci": oci});
    if writeln!(std::io::stdout(), "{ready}").is_err() {
        return ExitCode::FAILURE;
    }
    loop {
        std::thread::park();
    }
}

/// The settings, and who may call Oracle's side.
fn options(mut args: impl Iterator<Item = String>) -> Result<(MockOptions, Value), String> {
    let (mut o, mut oci) = (MockOptions::default(), Value::Null);
    while let Some(name) = args.next() {
        if name == "--tls" {
            o.tls = true;
            continue;
        }
        if name == "--oci" {
            let (user, private_key) = OciUser::generate().ok_or("no key could be made")?;
            oci = json!({"tenancy": user.tenancy, "user": user.user, "fingerprint": user.fingerprint,
                "compartment": user.compartment, "private_key": private_key});
            o.demo.oci_user = Some(user);
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{name} needs a value, or is not known"))?;
        let bad = |e: &dyn std::fmt::Display| format!("{name} {value}: {e}");
        match name.as_str() {
            "--listen" => o.listen = value.parse().map_err(|e| bad(&e))?,
            "--control" => o.control = value.parse().map_err(|e| bad(&e))?,
            "--journal" => o.journal = Some(value.into()),
            "--key" => o.demo.keys.push(value),
            "--unknown-model" => o.demo.unknown_model = Some(value),
            "--flaky-percent" => o.demo.flaky_percent = value.parse().map_err(|e| bad(&e))?,
            "--keep" => o.keep = value.parse().map_err(|e| bad(&e))?,
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok((o, oci))
}
