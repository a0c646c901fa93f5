//! Who gives out credentials to machines of Azure's, to workloads that Google trusts, and to those who take on a role of AWS.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Issuer, decoded, form, now, refused, reply, stamp, text};
use crate::bedrock::sign::is_good;
use crate::demo::{Call, Reply};
use crate::mock::http1::Request;

pub(super) const AZURE_MACHINE: &str = "/metadata/identity/oauth2/token";
pub(super) const APP_SERVICE: &str = "/msi/token";
pub(super) const SUBJECT: &str = "/subject";
pub(super) const EXCHANGE: &str = "/google/sts";
pub(super) const ACCOUNTS: &str = "/v1/projects/-/serviceAccounts/";

/// The token of a foreign issuer, at an address.
pub(super) fn subject(request: &Request, setup: &Value) -> Result<Reply, &'static str> {
    if request.header("x-shown") != setup["header"].as_str() {
        return Err("the header is another one");
    }
    Ok(reply(200, &json!({"access_token": setup["token"]}), None))
}

/// A query's fields, each at most once.
fn query(request: &Request) -> Result<Vec<(String, String)>, &'static str> {
    let (_, query) = request.target.split_once('?').ok_or("no query")?;
    let mut fields: Vec<(String, String)> = Vec::new();
    for part in query.split('&') {
        let (name, value) = part.split_once('=').ok_or("a field without a value")?;
        let value = decoded(value).ok_or("not percent-encoded")?;
        if fields.iter().any(|it| it.0 == name) {
            return Err("a field is there twice");
        }
        fields.push((name.to_owned(), value));
    }
    Ok(fields)
}

/// Version, resource and identity of a machine's question.
fn asked_by_machine(request: &Request, setup: &Value, version: &str) -> Result<(), &'static str> {
    let fields = query(request)?;
    let get = |name: &str| fields.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    if get("api-version") != Some(version) {
        return Err("api-version is another one");
    }
    let scope = setup["scope"].as_str().unwrap_or_default();
    if get("resource") != Some(scope.trim_end_matches("/.default")) {
        return Err("AADSTS500011: The resource principal was not found in the tenant");
    }
    match get("client_id") {
        None => Ok(()),
        Some(id) if setup["client_id"] == id => Ok(()),
        Some(_) => Err("Identity not found"),
    }
}

impl Issuer {
    pub(super) fn azure_machine(
        &mut self,
        request: &Request,
        setup: &Value,
    ) -> Result<Reply, &'static str> {
        if request.header("metadata") != Some("true") {
            return Err("Required metadata header not specified");
        }
        if request.header("x-forwarded-for").is_some() {
            return Err("forwarded requests are not served");
        }
        asked_by_machine(request, setup, "2018-02-01")?;
        let mut token = self.token();
        // As texts, as the service writes them.
        token["expires_in"] = json!(self.life().to_string());
        token["expires_on"] = json!((now() + self.life()).to_string());
        token["resource"] = setup["scope"].clone();
        Ok(reply(200, &token, None))
    }

    pub(super) fn app_service(
        &mut self,
        request: &Request,
        setup: &Value,
    ) -> Result<Reply, &'static str> {
        if request.header("x-identity-header") != setup["identity_header"].as_str() {
            return Ok(refused("Unauthorized", "X-IDENTITY-HEADER is another one"));
        }
        asked_by_machine(request, setup, "2019-08-01")?;
        let token = self.token();
        let body = json!({"access_token": token["access_token"], "resource": setup["scope"],
            "expires_on": (now() + self.life()).to_string(), "token_type": "Bearer"});
        Ok(reply(200, &body, None))
    }

    /// RFC 8693, as Google has it.
    pub(super) fn exchange(
        &mut self,
        request: &Request,
        setup: &Value,
    ) -> Result<Reply, &'static str> {
        let form = form(request)?;
        let is = |name: &str, wanted: &Value| form.get(name).map(String::as_str) == wanted.as_str();
        let grant = json!("urn:ietf:params:oauth:grant-type:token-exchange");
        let wanted = json!("urn:ietf:params:oauth:token-type:access_token");
        if !is("grant_type", &grant) || !is("requested_token_type", &wanted) {
            return Err("grant_type or requested_token_type is another one");
        }
        if !is("audience", &setup["audience"]) || !is("subject_token_type", &setup["type"]) {
            return Err("Invalid value for \"audience\" or \"subject_token_type\"");
        }
        if !is("subject_token", &setup["token"]) {
            return Err("The subject token is invalid");
        }
        let scopes =
            ["cloud-platform", "iam"].map(|it| format!("https://www.googleapis.com/auth/{it}"));
        if !scopes.iter().any(|scope| is("scope", &json!(scope))) {
            return Err("Invalid scope");
        }
        let mut token = self.token();
        token["issued_token_type"] = wanted;
        Ok(reply(200, &token, None))
    }

    /// A service account's token for whoever has one that it trusts.
    pub(super) fn impersonate(
        &mut self,
        request: &Request,
        path: &str,
        setup: &Value,
    ) -> Result<Reply, &'static str> {
        let account =
            path.strip_prefix(ACCOUNTS).and_then(|it| it.strip_suffix(":generateAccessToken"));
        if account.is_none() || account != setup["email"].as_str() {
            return Err("no such account");
        }
        let shown = request.header("authorization").and_then(|it| it.strip_prefix("Bearer "));
        if shown.and_then(|it| self.given.get(it)).is_none_or(|end| Instant::now() >= *end) {
            return Ok(refused("UNAUTHENTICATED", "no such token, or expired"));
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| "no JSON")?;
        let seconds =
            body["lifetime"].as_str().and_then(|it| it.strip_suffix('s')?.parse::<u64>().ok());
        let seconds = seconds.filter(|it| (1..=3_600).contains(it)).ok_or("lifetime is none")?;
        if body["scope"] != json!([setup["scope"]]) {
            return Err("another scope");
        }
        self.next += 1;
        let (token, life) = (format!("account-token-{}", self.next), self.life().min(seconds));
        self.given.insert(token.clone(), Instant::now() + Duration::from_secs(life));
        Ok(reply(200, &json!({"accessToken": token, "expireTime": stamp(now() + life)}), None))
    }

    /// `AssumeRole` of AWS's token service: signed by a pair that the role trusts, or by one that was given out before.
    pub(super) fn assume(
        &mut self,
        request: &Request,
        setup: &Value,
    ) -> Result<Reply, &'static str> {
        let headers: Vec<(&str, &str)> = request.headers().collect();
        let call = Call { method: "POST", path: "/", headers: &headers, body: &request.body };
        let mut pairs = self.pairs.clone();
        pairs.extend(setup["pair"].as_str().map(str::to_owned));
        if !is_good(&call, &pairs, "sts") {
            return Ok(xml(
                403,
                "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code>\
                <Message>The request signature we calculated does not match</Message></Error></ErrorResponse>",
            ));
        }
        let form = form(request)?;
        let get = |name: &str| form.get(name).map(String::as_str);
        if get("Action") != Some("AssumeRole") || get("Version") != Some("2011-06-15") {
            return Err("Action or Version is another one");
        }
        if get("RoleArn") != setup["arn"].as_str()
            || get("ExternalId") != setup["external_id"].as_str()
        {
            return Ok(xml(
                403,
                "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                <Message>User is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>",
            ));
        }
        let session = get("RoleSessionName").unwrap_or_default();
        let seconds = get("DurationSeconds").map_or(Some(3_600), |it| it.parse::<u64>().ok());
        if session.len() < 2 || !seconds.is_some_and(|it| (900..=43_200).contains(&it)) {
            return Err("RoleSessionName or DurationSeconds is none");
        }
        let pair = self.pair();
        let text = |name: &str| pair[name].as_str().unwrap_or_default().to_owned();
        let (id, secret) = (text("AccessKeyId"), text("SecretAccessKey"));
        let (token, end) = (text("Token"), text("Expiration"));
        Ok(xml(
            200,
            &format!(
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
             <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>{end}</Expiration></Credentials></AssumeRoleResult>\
             </AssumeRoleResponse>"
            ),
        ))
    }
}

fn xml(status: u16, body: &str) -> Reply {
    let mut reply = text(body);
    reply.status = status;
    reply.headers = vec![("content-type", "text/xml".to_owned())];
    reply
}
