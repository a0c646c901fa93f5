//! Closed unless opened.

use std::os::unix::fs::PermissionsExt as _;

use http::Method;

use super::super::{OPEN, ROUTES, forget_address, leave_address, token};
use super::world::{TOKEN, World, request};

/// A path that a route answers.
fn concrete(path: &str) -> String {
    path.replace("{id}", "abc").replace("{name}", "demo").replace("{*what}", "chat")
}

#[test]
fn every_route_but_health_and_metrics_needs_the_token() {
    let world = World::new();
    for route in ROUTES {
        let (path, method) = (concrete(route.path), route.method.parse::<Method>().unwrap());
        let reply = world.open(method.clone(), &path);
        if OPEN.contains(&route.path) {
            assert_eq!(reply.status, 200, "{path}");
            continue;
        }
        assert_eq!(reply.status, 401, "{path}");
        assert_eq!(reply.headers["www-authenticate"], "Bearer realm=\"outrigger admin\"");
        assert_eq!(reply.headers["content-type"], "application/problem+json");
        assert_eq!(reply.json["status"], 401);
        for wrong in
            ["", "x", TOKEN.trim_start_matches('a'), &TOKEN.to_uppercase(), &format!("{TOKEN}0")]
        {
            let reply = world.send(request(method.clone(), &path, Some(wrong), ""));
            assert_eq!(reply.status, 401, "{path} with {wrong:?}");
        }
    }
}

#[test]
fn paths_that_are_not_there_are_closed_as_well() {
    let world = World::new();
    for path in [
        "/",
        "/v1/outrigger",
        "/v1/outrigger/keys/",
        "//livez",
        "/livez/x",
        "/LIVEZ",
        "/v1/chat/completions",
    ] {
        assert_eq!(world.open(Method::GET, path).status, 401, "{path}");
        assert_eq!(world.get(path).status, 404, "{path}");
    }
    assert_eq!(world.open(Method::DELETE, "/v1/outrigger/keys").status, 401);
    assert_eq!(
        world.send(request(Method::DELETE, "/v1/outrigger/keys", Some(TOKEN), "")).status,
        405
    );
    let near = world.get("/v1/outrigger/key");
    assert!(near.json["detail"].as_str().unwrap().contains("/v1/outrigger/keys"), "{}", near.text);
}

#[test]
fn a_web_page_can_not_reach_it_through_a_name_of_its_own() {
    let world = World::new();
    let send = |path: &str, name: &'static str, value: &'static str| {
        let mut request = request(Method::GET, path, Some(TOKEN), "");
        request.headers_mut().insert(name, value.parse().unwrap());
        world.send(request).status
    };
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example:4142"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        assert_eq!(send("/v1/outrigger/keys", name, value), 403, "{name}: {value}");
        // Metrics need no token, so a page could read them.
        assert_eq!(send("/metrics", name, value), 403, "{name}: {value}");
    }
    assert_eq!(send("/v1/outrigger/keys", "origin", "http://localhost:4142"), 200);
    // Orchestrators probe under names of their own.
    assert_eq!(send("/readyz", "host", "10.0.0.7:4142"), 200);
}

#[test]
fn two_authorizations_are_none() {
    let world = World::new();
    let mut request = request(Method::GET, "/v1/outrigger/status", Some(TOKEN), "");
    request.headers_mut().append("authorization", "Bearer other".parse().unwrap());
    assert_eq!(world.send(request).status, 401);
}

#[test]
fn answers_are_not_kept_by_anybody_on_the_way() {
    let reply = World::new().get("/v1/outrigger/status");
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
}

#[test]
fn the_token_is_made_once_and_kept_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (made, shown) = token(dir.path(), None).unwrap();
    assert_eq!(shown.as_deref(), Some(made.as_str()));
    // Prefix and 32 random bytes in base64.
    assert_eq!(made.len(), "or-admin-".len() + 43);
    let mode = std::fs::metadata(dir.path().join("admin-token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(token(dir.path(), None).unwrap(), (made.clone(), None));
    let given = "given-by-the-environment".to_owned();
    assert_eq!(token(dir.path(), Some(given.clone())).unwrap(), (given, None));
    let other = tempfile::tempdir().unwrap();
    assert_ne!(token(other.path(), None).unwrap().0, made);
}

#[test]
fn a_token_that_can_be_guessed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for short in ["", "admin", "fifteen-letters", "sixteen letters!"] {
        assert!(token(dir.path(), Some(short.to_owned())).is_err(), "{short:?}");
    }
    std::fs::write(dir.path().join("admin-token"), "\n").unwrap();
    let error = token(dir.path(), None).unwrap_err().to_string();
    assert!(error.contains("admin-token"), "{error}");
}

#[test]
fn the_address_is_left_where_the_command_line_looks() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("admin-address");
    for (bound, reached) in
        [("127.0.0.1:81", "127.0.0.1:81"), ("0.0.0.0:81", "127.0.0.1:81"), ("[::]:81", "[::1]:81")]
    {
        leave_address(dir.path(), bound.parse().unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), reached);
    }
    forget_address(dir.path());
    assert!(!file.exists());
    forget_address(dir.path());
}
