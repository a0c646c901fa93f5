//! What can be used without a configuration file: provider keys in the usual environment variables, and inference
//! servers that answer on this machine. Nothing but loopback is contacted.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use catalog::Catalog;
use config::{Found, FoundBy};
use domain::ModelName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A server that takes longer to accept and answer on loopback is busy with something else.
const PROBE_TIMEOUT: Duration = Duration::from_millis(150);
/// Enough of an answer for a long list of models.
const PROBE_BYTES: u64 = 256 * 1024;
/// Most models that are taken over from a server's list.
const MODELS_MAX: usize = 100;

/// Looks for providers: variables first, then local servers. `variable` answers what the environment holds.
pub async fn discover(catalog: &Catalog, variable: impl Fn(&str) -> Option<String>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for preset in catalog
        .presets()
        .filter(|preset| !preset.base_url.contains('{') && !preset.base_url.is_empty())
    {
        let set = preset
            .key_env
            .iter()
            .find(|name| variable(name).is_some_and(|value| !value.trim().is_empty()));
        if let Some(name) = set {
            found.push(Found {
                preset: preset.name.to_string(),
                by: FoundBy::Variable(name.to_string()),
            });
        }
    }
    let mut probes = Vec::new();
    for preset in catalog.presets() {
        for port in &preset.probe_ports {
            probes.push((preset.name.to_string(), *port, probe(*port)));
        }
    }
    // Refused connections answer at once, so one after the other is fast enough and simple.
    let mut taken: Vec<u16> = Vec::new();
    for (preset, port, probe) in probes {
        if !taken.contains(&port)
            && let Some(models) = probe.await
        {
            taken.push(port);
            let url = format!("http://127.0.0.1:{port}/v1");
            found.push(Found { preset, by: FoundBy::Server { url, models } });
        }
    }
    found
}

/// The models of what answers `GET /v1/models` on that port the way inference servers do.
async fn probe(port: u16) -> Option<Vec<ModelName>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let asking = async {
        let mut socket = TcpStream::connect(address).await.ok()?;
        let request = format!(
            "GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        socket.take(PROBE_BYTES).read_to_end(&mut answer).await.ok()?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        (text.starts_with("HTTP/1.1 200") && text.contains("\"data\"")).then(|| listed(&text))
    };
    tokio::time::timeout(PROBE_TIMEOUT, asking).await.ok().flatten()
}

/// The ids in a list of models. One that came in pieces, or holds names that can't be names here, is passed over: whoever
/// knows a model's name can ask for it all the same.
fn listed(answer: &str) -> Vec<ModelName> {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let list: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let models = list["data"].as_array().into_iter().flatten();
    models.filter_map(|it| ModelName::new(it["id"].as_str()?).ok()).take(MODELS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_in_the_environment_names_its_provider() {
        let only = |name: &str| (name == "ANTHROPIC_API_KEY").then(|| "sk-test".to_owned());
        let found = discover(catalog::builtin(), only).await;
        let by = FoundBy::Variable("ANTHROPIC_API_KEY".to_owned());
        assert!(found.contains(&Found { preset: "anthropic".to_owned(), by }), "{found:?}");
    }

    #[tokio::test]
    async fn only_a_server_that_lists_models_counts() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            for answer in [
                "HTTP/1.1 200 OK\r\n\r\n<html>",
                "HTTP/1.1 200 OK\r\n\r\n{\"object\":\"list\",\"data\":[{\"id\":\"llama3.2:1b\"},{\"id\":\"not a name\"}]}",
                "HTTP/1.1 200 OK\r\n\r\n2\r\n{\"data\":",
            ] {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 256];
                let _read = socket.read(&mut request).await.unwrap();
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        assert_eq!(probe(port).await, None);
        assert_eq!(probe(port).await, Some(vec![ModelName::new("llama3.2:1b").unwrap()]));
        assert_eq!(probe(port).await, Some(Vec::new()));
        serving.await.unwrap();
    }
}
