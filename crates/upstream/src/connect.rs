//! From a target to a connected stream: name, guard, TCP, TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::ErrorClass;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::dns::Resolver;
use crate::error::{SendError, Stage};
use crate::guard;
use crate::stream::Stream;
use crate::target::{Host, Http2, Inner};

/// A new stream, and whether it agreed on HTTP/2.
pub(crate) struct Connected {
    pub(crate) stream: Stream,
    pub(crate) h2: bool,
}

/// Connects within `limit`; `http2`: whether HTTP/2 may be agreed on, where the target allows it.
pub(crate) async fn connect(
    target: &Inner,
    resolver: &Resolver,
    limit: Duration,
    http2: Http2,
) -> Result<Connected, SendError> {
    let begun = Instant::now();
    let mut stage = Stage::Connect;
    let work = async {
        let tcp = dial(target, resolver, begun + limit).await?;
        // Events are small and must not wait for a full segment.
        tcp.set_nodelay(true).map_err(|it| failed(Stage::Connect, target, &it.to_string()))?;
        let Some(tls) = &target.tls else {
            return Ok(Connected { stream: Stream::Plain(tcp), h2: false });
        };
        stage = Stage::Tls;
        let config = match http2 {
            Http2::Auto => tls.config(),
            Http2::Never => tls.config_h1(),
        };
        let config = config.map_err(|it| failed(Stage::Tls, target, &it))?;
        let stream = TlsConnector::from(config)
            .connect(tls.name.clone(), tcp)
            .await
            .map_err(|it| failed(Stage::Tls, target, &it.to_string()))?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Connected { stream: Stream::Tls(Box::new(stream)), h2 })
    };
    let outcome = tokio::time::timeout(limit, work).await;
    match outcome {
        Ok(result) => result,
        Err(_) => Err(failed(stage, target, &format!("no answer within {limit:?}"))),
    }
}

async fn dial(
    target: &Inner,
    resolver: &Resolver,
    deadline: Instant,
) -> Result<TcpStream, SendError> {
    let addresses: Arc<[SocketAddr]> = match &target.host {
        Host::Address(address, _) => Arc::new([SocketAddr::new(*address, target.port)]),
        Host::Name(name) => resolver
            .resolve(name, target.port)
            .await
            .map(|it| Arc::from(&*it))
            .map_err(|why| failed(Stage::Connect, target, &why))?,
    };
    let mut why = String::new();
    for (index, address) in addresses.iter().enumerate() {
        if let Err(kind) = guard::check(address.ip(), target.reach) {
            why = match (target.reach, guard::judge(address.ip())) {
                (guard::Reach::Public, guard::Verdict::Private(_)) => format!(
                    "{} is {kind}; `allow_private_address: true` would be needed",
                    address.ip()
                ),
                _ => format!("{} is {kind}", address.ip()),
            };
            continue;
        }
        // One dead address must not eat the time of the next.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(1);
        match tokio::time::timeout(share, TcpStream::connect(*address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => why = String::from("no answer"),
        }
    }
    Err(failed(Stage::Connect, target, &why))
}

fn failed(stage: Stage, target: &Inner, why: &str) -> SendError {
    SendError {
        class: ErrorClass::Unreachable,
        stage,
        sent: false,
        message: format!("can't connect to `{}`: {why}", target.authority),
    }
}
