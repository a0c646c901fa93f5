//! Who may call: the token and where it is kept, and the guard in front of every route.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;

use super::problem::{self, Problem};
use super::{Api, OPEN};
use crate::listen::route::keyless_allowed;

const TOKEN_FILE: &str = "admin-token";
const ADDRESS_FILE: &str = "admin-address";
/// Random bytes of a token that is made here.
const TOKEN_BYTES: usize = 32;
/// Fewest characters of a token that is given: shorter ones can be guessed.
const TOKEN_LEN_MIN: usize = 16;

/// A token's digest: what is compared has one length whatever is presented.
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn new(token: &str) -> Self {
        Self(sha2::Sha256::digest(token.as_bytes()).into())
    }

    fn is(&self, presented: &str) -> bool {
        Self::new(presented).0.ct_eq(&self.0).into()
    }
}

/// The admin token: the one given, else the one in the data folder, else a new one, which is kept there (mode 0600)
/// and returned a second time to be shown once.
///
/// # Errors
/// A token shorter than 16 characters, or a file that can't be used.
pub fn token(dir: &Path, given: Option<String>) -> Result<(String, Option<String>), Error> {
    if let Some(given) = given {
        return checked(given.trim(), "the admin token that is given").map(|token| (token, None));
    }
    let path = dir.join(TOKEN_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let name = path.display().to_string();
            return checked(text.trim(), &name).map(|token| (token, None));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut bytes = [0_u8; TOKEN_BYTES];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| Error::other("the system gives no random bytes"))?;
    let token = format!("or-admin-{}", URL_SAFE_NO_PAD.encode(bytes));
    replace(dir, TOKEN_FILE, &format!("{token}\n"))?;
    Ok((token.clone(), Some(token)))
}

fn checked(token: &str, name: &str) -> Result<String, Error> {
    if token.len() >= TOKEN_LEN_MIN && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(token.to_owned());
    }
    let message = format!("{name} must have at least {TOKEN_LEN_MIN} visible ASCII characters");
    Err(Error::new(ErrorKind::InvalidInput, message))
}

/// Leaves the admin API's address in the data folder, for the command line.
///
/// # Errors
/// The file can't be written.
pub fn leave_address(dir: &Path, address: SocketAddr) -> Result<(), Error> {
    // An open listener is reached by loopback.
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    replace(dir, ADDRESS_FILE, &format!("{}\n", SocketAddr::new(ip, address.port())))
}

/// Removes the address again.
pub fn forget_address(dir: &Path) {
    if let Err(error) = std::fs::remove_file(dir.join(ADDRESS_FILE))
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(%error, "the admin API's address could not be removed");
    }
}

/// Writes under another name and renames, so that nobody reads half a file.
fn replace(dir: &Path, name: &str, text: &str) -> Result<(), Error> {
    let unfinished = dir.join(format!("{name}.new"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, dir.join(name))?;
    File::open(dir)?.sync_all()
}

/// Stands in front of everything, unknown paths too: closed unless opened.
pub(super) async fn guard(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let mut response = match allowed(&api, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn allowed(api: &Api, request: &Request) -> Result<(), Problem> {
    let path = request.uri().path();
    // Probes come under whatever name an orchestrator uses, and say nothing but yes or no.
    if path == "/livez" || path == "/readyz" {
        return Ok(());
    }
    let headers = request.headers();
    let host = request.uri().authority().map(http::uri::Authority::as_str);
    let host = host.or_else(|| headers.get(HOST)?.to_str().ok());
    from_here(api.address, host, headers).map_err(|why| Problem::new(&problem::FOREIGN, why))?;
    if OPEN.contains(&path) || presented(headers).is_some_and(|it| api.token.is(it)) {
        return Ok(());
    }
    let fix = "send `Authorization: Bearer TOKEN`; the token is in the file `admin-token` of the data folder or in \
               OUTRIGGER_ADMIN_TOKEN";
    Err(Problem::new(&problem::UNAUTHORIZED, fix))
}

/// On a loopback address the whole guard of the keyless mode; elsewhere the name is the operator's, so only a page of
/// another site is refused.
fn from_here(
    address: SocketAddr,
    host: Option<&str>,
    headers: &HeaderMap,
) -> Result<(), &'static str> {
    if address.ip().is_loopback() {
        return keyless_allowed(host, headers);
    }
    for origin in headers.get_all(http::header::ORIGIN) {
        let site = origin.to_str().ok().and_then(|it| it.split_once("://"));
        if site.map(|(_, authority)| authority) != host {
            return Err("the `origin` is another site");
        }
    }
    Ok(())
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let only = values.next()?.to_str().ok()?;
    let (scheme, token) = only.split_once(' ')?;
    (values.next().is_none() && scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim())
}
