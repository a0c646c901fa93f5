//! The routes of the data plane: an exact table, asked with the raw path.
//!
//! There is one reading of a path and everybody uses it: what is allowed without a key, what is metered and what
//! runs all follow from the same match. A path that some other server might read differently (encoded slashes,
//! dot segments, doubled slashes, parameters) is refused before it is looked up.

use std::borrow::Cow;

use dialect::{DialectId, PathFacts, StreamForm};
use domain::{Endpoint, Envelope};
use http::{HeaderMap, HeaderValue, Method, header};

/// Whose shape a route's requests and answers have, errors above all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// That dialect's.
    One(DialectId),
    /// Several know this route; the headers of the request tell ([`Speaks::settle`]).
    ByHeaders,
}

impl Speaks {
    /// Decides [`Speaks::ByHeaders`]: Anthropic's clients always send `anthropic-version`, Google's bear their key in a
    /// header or a query of their own, Cohere's send the name of their SDK.
    pub fn settle(self, headers: &HeaderMap, query: Option<&str>) -> DialectId {
        match self {
            Self::One(dialect) => dialect,
            Self::ByHeaders if headers.contains_key("anthropic-version") => {
                DialectId::AnthropicMessages
            }
            Self::ByHeaders
                if headers.contains_key("x-goog-api-key") || query_key(query).is_some() =>
            {
                DialectId::Gemini
            }
            Self::ByHeaders if headers.get("x-fern-sdk-name").is_some_and(is_cohere) => {
                DialectId::CohereChat
            }
            Self::ByHeaders => DialectId::OpenaiChat,
        }
    }
}

/// The model in a query, as a session names it; its percent signs as [`find`] takes those of an id.
///
/// # Errors
/// A percent sign that stands for something else.
pub fn query_model(query: Option<&str>) -> Result<Option<Cow<'_, str>>, NoRoute> {
    let mut named = pairs(query.unwrap_or_default())
        .filter(|(name, value)| matches!(*name, "model" | "deployment") && !value.is_empty());
    let first = named.next().map(|(_, value)| decode(value)).transpose()?;
    match named.next() {
        None => Ok(first),
        Some(_) => Err(NoRoute::Malformed("the query names two models")),
    }
}

/// The key in a query, as Google's clients may send it.
pub fn query_key(query: Option<&str>) -> Option<&str> {
    pairs(query.unwrap_or_default()).find(|(name, _)| *name == "key").map(|(_, value)| value)
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Python's SDK calls itself `cohere`, JavaScript's `cohere-ai`.
fn is_cohere(name: &HeaderValue) -> bool {
    name.as_bytes().starts_with(b"cohere")
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody who reaches the port. Such a route says nothing about anybody.
    Open,
    /// The holder of a key (or anybody on loopback in the keyless mode).
    Key,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Generate an answer, asked in the route's dialect.
    Chat,
    /// Count tokens.
    CountTokens,
    /// Embed.
    Embeddings,
    /// Pass on to a provider of the route's dialect.
    Pass(Endpoint),
    /// A file, or files, that lie at a provider.
    Files(Deed),
    /// The same of batches.
    Batches(Deed),
    /// Talk with a provider of the route's dialect, over a WebSocket.
    Realtime,
    /// What would let a client talk to a provider without us: refused.
    ClientSecret,
    /// List models.
    Models,
    /// One model; the id is in [`Match::id`].
    Model,
    /// List Bedrock's inference profiles, of which there are none: models are asked for by their own names.
    Profiles,
    /// What the ledger says about one request; the id is in [`Match::id`].
    RequestInfo,
    /// One kept response; the id is in [`Match::id`].
    Response,
    /// The same, to be deleted.
    DeleteResponse,
    /// The items that it was asked with.
    ResponseItems,
    /// The same, to be cancelled.
    CancelResponse,
    /// Whatever OpenAI's conversations are asked.
    Conversations,
    /// The process runs.
    Live,
    /// It takes requests.
    Ready,
    /// The start page.
    Start,
}

/// What is done with what lies at a provider; the id is in [`Match::id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Make one.
    Create,
    /// List the caller's own.
    List,
    /// Say how one stands.
    Get,
    /// Give what is in it: a file's bytes, a batch's results.
    Content,
    /// Stop a batch.
    Cancel,
    /// Delete one.
    Delete,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The path. Its last `*` stands for an id, any other for one segment of no importance.
    pub path: &'static str,
    /// The one method (and `HEAD` where it is `GET`).
    pub method: Verb,
    /// What it does.
    pub action: Action,
    /// Whose shape it has.
    pub speaks: Speaks,
    /// What is around its requests and answers.
    pub envelope: Envelope,
    /// That the path asks for a stream, and in which form if the query says nothing.
    pub stream: Option<StreamForm>,
    /// Who may call it.
    pub access: Access,
    queries: &'static [&'static str],
}

/// The methods that occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET and HEAD.
    Get,
    /// POST.
    Post,
    /// DELETE, beside the same path's GET.
    Delete,
    /// Any: what is there is the same for all.
    Any,
}

impl Verb {
    /// For the `allow` header of a 405.
    pub fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Delete => "GET, HEAD, DELETE",
            Self::Any => "GET, HEAD, POST, DELETE",
        }
    }

    fn is(self, method: &Method) -> bool {
        match self {
            Self::Get => method == Method::GET || method == Method::HEAD,
            Self::Post => method == Method::POST,
            Self::Delete => method == Method::DELETE,
            Self::Any => Self::Get.is(method) || [Method::POST, Method::DELETE].contains(method),
        }
    }
}

const NO_ENVELOPE: Envelope = Envelope::None;
const VERTEX: Envelope = Envelope::VertexRawPredict;
const OPENAI: Speaks = Speaks::One(DialectId::OpenaiChat);
const RESPONSES: Speaks = Speaks::One(DialectId::OpenaiResponses);
const ANTHROPIC: Speaks = Speaks::One(DialectId::AnthropicMessages);
const GEMINI: Speaks = Speaks::One(DialectId::Gemini);
const CONVERSE: Speaks = Speaks::One(DialectId::BedrockConverse);
const COHERE: Speaks = Speaks::One(DialectId::CohereChat);
const NONE: &[&str] = &[];
/// How a session names its model: OpenAI's way, and Azure's old one.
const SESSION: &[&str] = &["model", "deployment", "api-version"];
/// Google's way to bear a key, and to say how an answer is to be written.
const GOOGLE: &[&str] = &["alt", "key"];
/// Paging, as Google's SDKs ask for it.
const GOOGLE_PAGE: &[&str] = &["alt", "key", "pageSize", "pageToken", "queryBase", "filter"];
/// Azure's way to say which version of its API is spoken.
const VERSION: &[&str] = &["api-version"];
/// Anthropic's SDK marks its beta methods so.
const BETA: &[&str] = &["beta"];
/// Vertex takes what is Google's and what is Anthropic's.
const GOOGLE_BETA: &[&str] = &["alt", "key", "beta"];
/// Paging, as Anthropic's SDK asks for it.
const PAGE: &[&str] = &["beta", "limit", "after_id", "before_id"];
/// Paging of files and batches, as OpenAI's SDK asks for it.
const FILE_PAGE: &[&str] = &["after", "limit", "order", "purpose"];
/// Paging as anybody asks for it.
const ANY_PAGE: &[&str] = &[
    "beta",
    "limit",
    "after_id",
    "before_id",
    "alt",
    "key",
    "pageSize",
    "pageToken",
    "queryBase",
    "filter",
    "page_size",
    "page_token",
    "endpoint",
    "default_only",
];
/// How Bedrock's lists are filtered and paged.
const BEDROCK_PAGE: &[&str] = &[
    "type",
    "typeEquals",
    "maxResults",
    "nextToken",
    "byProvider",
    "byCustomizationType",
    "byOutputModality",
    "byInferenceType",
];
/// How a kept response is asked for.
const KEPT: &[&str] =
    &["include", "include[]", "include%5B%5D", "stream", "starting_after", "include_obfuscation"];
/// The same of its items, in pages.
const KEPT_PAGE: &[&str] = &["include", "include[]", "include%5B%5D", "after", "limit", "order"];
/// One model, as anybody asks for it.
const ANY_MODEL: &[&str] = &["beta", "alt", "key"];

const fn get(
    path: &'static str,
    action: Action,
    speaks: Speaks,
    queries: &'static [&'static str],
) -> Route {
    let (access, envelope) = (Access::Key, NO_ENVELOPE);
    Route { path, method: Verb::Get, action, speaks, envelope, stream: None, access, queries }
}

const fn post(
    path: &'static str,
    action: Action,
    speaks: Speaks,
    queries: &'static [&'static str],
) -> Route {
    let (access, envelope) = (Access::Key, NO_ENVELOPE);
    Route { path, method: Verb::Post, action, speaks, envelope, stream: None, access, queries }
}

const fn pass(path: &'static str, endpoint: Endpoint) -> Route {
    post(path, Action::Pass(endpoint), OPENAI, NONE)
}

/// What a kept response is deleted by.
const fn delete(path: &'static str, action: Action, speaks: Speaks) -> Route {
    Route { method: Verb::Delete, ..post(path, action, speaks, NONE) }
}

/// What is not served whatever the method.
const fn any(path: &'static str, action: Action, speaks: Speaks) -> Route {
    Route { method: Verb::Any, ..post(path, action, speaks, KEPT_PAGE) }
}

/// A verb of Google's on a model, that answers at once.
const fn google(path: &'static str, action: Action) -> Route {
    post(path, action, GEMINI, GOOGLE)
}

/// A verb of Google's that streams: one growing array, unless events are asked for.
const fn google_stream(path: &'static str) -> Route {
    let stream = Some(StreamForm::Array);
    Route { stream, ..post(path, Action::Chat, GEMINI, GOOGLE) }
}

/// The same where the path asks for a stream.
const fn stream(path: &'static str, action: Action, speaks: Speaks) -> Route {
    let stream = Some(StreamForm::Events);
    Route { stream, ..post(path, action, speaks, NONE) }
}

/// A Claude body in a cloud's envelope.
const fn claude(path: &'static str, envelope: Envelope, action: Action) -> Route {
    let queries = match envelope {
        Envelope::VertexRawPredict => GOOGLE_BETA,
        Envelope::None | Envelope::BedrockInvoke | Envelope::AzureDeployment => NONE,
    };
    Route { envelope, ..post(path, action, ANTHROPIC, queries) }
}

/// The same where the path asks for a stream.
const fn claude_stream(path: &'static str, envelope: Envelope) -> Route {
    Route { stream: Some(StreamForm::Events), ..claude(path, envelope, Action::Chat) }
}

const fn open(path: &'static str, action: Action) -> Route {
    Route {
        path,
        method: Verb::Get,
        action,
        speaks: OPENAI,
        envelope: NO_ENVELOPE,
        stream: None,
        access: Access::Open,
        queries: NONE,
    }
}

/// Every route of the data plane. The busiest come first.
pub const ROUTES: &[Route] = &[
    post("/v1/chat/completions", Action::Chat, OPENAI, NONE),
    post("/v1/messages", Action::Chat, ANTHROPIC, BETA),
    post("/v1/responses", Action::Chat, RESPONSES, NONE),
    post("/v1/embeddings", Action::Embeddings, OPENAI, NONE),
    post("/v1/responses/input_tokens", Action::CountTokens, RESPONSES, NONE),
    post("/v1/messages/count_tokens", Action::CountTokens, ANTHROPIC, BETA),
    post("/v2/chat", Action::Chat, COHERE, NONE),
    post("/v2/embed", Action::Embeddings, COHERE, NONE),
    pass("/v1/images/generations", Endpoint::ImageGeneration),
    pass("/v1/images/edits", Endpoint::ImageEdit),
    pass("/v1/images/variations", Endpoint::ImageVariation),
    pass("/v1/audio/speech", Endpoint::Speech),
    pass("/v1/audio/transcriptions", Endpoint::Transcription),
    pass("/v1/audio/translations", Endpoint::Translation),
    pass("/v1/moderations", Endpoint::Moderation),
    pass("/v1/rerank", Endpoint::Rerank),
    post("/v2/rerank", Action::Pass(Endpoint::Rerank), COHERE, NONE),
    post("/v1/files", Action::Files(Deed::Create), OPENAI, NONE),
    get("/v1/files", Action::Files(Deed::List), OPENAI, FILE_PAGE),
    get("/v1/files/*", Action::Files(Deed::Get), OPENAI, NONE),
    get("/v1/files/*/content", Action::Files(Deed::Content), OPENAI, NONE),
    delete("/v1/files/*", Action::Files(Deed::Delete), OPENAI),
    post("/v1/batches", Action::Batches(Deed::Create), OPENAI, NONE),
    get("/v1/batches", Action::Batches(Deed::List), OPENAI, FILE_PAGE),
    get("/v1/batches/*", Action::Batches(Deed::Get), OPENAI, NONE),
    post("/v1/batches/*/cancel", Action::Batches(Deed::Cancel), OPENAI, NONE),
    post("/v1/messages/batches", Action::Batches(Deed::Create), ANTHROPIC, BETA),
    get("/v1/messages/batches", Action::Batches(Deed::List), ANTHROPIC, PAGE),
    get("/v1/messages/batches/*", Action::Batches(Deed::Get), ANTHROPIC, BETA),
    get("/v1/messages/batches/*/results", Action::Batches(Deed::Content), ANTHROPIC, BETA),
    post("/v1/messages/batches/*/cancel", Action::Batches(Deed::Cancel), ANTHROPIC, BETA),
    Route {
        queries: BETA,
        ..delete("/v1/messages/batches/*", Action::Batches(Deed::Delete), ANTHROPIC)
    },
    get("/v1/realtime", Action::Realtime, OPENAI, SESSION),
    post("/v1/realtime/client_secrets", Action::ClientSecret, OPENAI, NONE),
    post("/v1/realtime/sessions", Action::ClientSecret, OPENAI, NONE),
    post("/v1/realtime/calls", Action::ClientSecret, OPENAI, NONE),
    get("/v1/models", Action::Models, Speaks::ByHeaders, ANY_PAGE),
    get("/v1/models/*", Action::Model, Speaks::ByHeaders, ANY_MODEL),
    google("/v1beta/models/*:generateContent", Action::Chat),
    google_stream("/v1beta/models/*:streamGenerateContent"),
    // The Vercel AI SDK takes a model's name with a slash for a whole path.
    google("/v1beta/*:generateContent", Action::Chat),
    google_stream("/v1beta/*:streamGenerateContent"),
    google("/v1/models/*:generateContent", Action::Chat),
    google_stream("/v1/models/*:streamGenerateContent"),
    google("/v1beta/models/*:countTokens", Action::CountTokens),
    google("/v1/models/*:countTokens", Action::CountTokens),
    google("/v1beta/models/*:embedContent", Action::Embeddings),
    google("/v1/models/*:embedContent", Action::Embeddings),
    google("/v1beta/models/*:batchEmbedContents", Action::Embeddings),
    google("/v1/models/*:batchEmbedContents", Action::Embeddings),
    get("/v1beta/models", Action::Models, GEMINI, GOOGLE_PAGE),
    get("/v1beta/models/*", Action::Model, GEMINI, GOOGLE),
    google("/v1/projects/*/locations/*/publishers/google/models/*:generateContent", Action::Chat),
    google_stream("/v1/projects/*/locations/*/publishers/google/models/*:streamGenerateContent"),
    google(
        "/v1beta1/projects/*/locations/*/publishers/google/models/*:generateContent",
        Action::Chat,
    ),
    google_stream(
        "/v1beta1/projects/*/locations/*/publishers/google/models/*:streamGenerateContent",
    ),
    google(
        "/v1/projects/*/locations/*/publishers/google/models/*:countTokens",
        Action::CountTokens,
    ),
    google(
        "/v1beta1/projects/*/locations/*/publishers/google/models/*:countTokens",
        Action::CountTokens,
    ),
    google("/projects/*/locations/*/publishers/google/models/*:generateContent", Action::Chat),
    google_stream("/projects/*/locations/*/publishers/google/models/*:streamGenerateContent"),
    google("/projects/*/locations/*/publishers/google/models/*:countTokens", Action::CountTokens),
    google("/v1/publishers/google/models/*:generateContent", Action::Chat),
    google_stream("/v1/publishers/google/models/*:streamGenerateContent"),
    google("/v1beta1/publishers/google/models/*:generateContent", Action::Chat),
    google_stream("/v1beta1/publishers/google/models/*:streamGenerateContent"),
    get("/v1/outrigger/requests/*", Action::RequestInfo, OPENAI, NONE),
    get("/v1/responses/*", Action::Response, RESPONSES, KEPT),
    delete("/v1/responses/*", Action::DeleteResponse, RESPONSES),
    get("/v1/responses/*/input_items", Action::ResponseItems, RESPONSES, KEPT_PAGE),
    post("/v1/responses/*/cancel", Action::CancelResponse, RESPONSES, NONE),
    any("/v1/conversations", Action::Conversations, RESPONSES),
    any("/v1/conversations/*", Action::Conversations, RESPONSES),
    get("/openai/v1/responses/*", Action::Response, RESPONSES, KEPT),
    delete("/openai/v1/responses/*", Action::DeleteResponse, RESPONSES),
    get("/openai/v1/responses/*/input_items", Action::ResponseItems, RESPONSES, KEPT_PAGE),
    post("/openai/v1/responses/*/cancel", Action::CancelResponse, RESPONSES, NONE),
    any("/openai/v1/conversations", Action::Conversations, RESPONSES),
    any("/openai/v1/conversations/*", Action::Conversations, RESPONSES),
    post("/openai/v1/chat/completions", Action::Chat, OPENAI, VERSION),
    post("/openai/v1/responses", Action::Chat, RESPONSES, VERSION),
    post("/openai/v1/responses/input_tokens", Action::CountTokens, RESPONSES, VERSION),
    post("/openai/v1/embeddings", Action::Embeddings, OPENAI, VERSION),
    pass("/openai/v1/images/generations", Endpoint::ImageGeneration),
    pass("/openai/v1/images/edits", Endpoint::ImageEdit),
    pass("/openai/v1/audio/speech", Endpoint::Speech),
    pass("/openai/v1/audio/transcriptions", Endpoint::Transcription),
    pass("/openai/v1/audio/translations", Endpoint::Translation),
    get("/openai/v1/realtime", Action::Realtime, OPENAI, SESSION),
    get("/openai/realtime", Action::Realtime, OPENAI, SESSION),
    post("/openai/v1/realtime/client_secrets", Action::ClientSecret, OPENAI, NONE),
    get("/openai/v1/models", Action::Models, OPENAI, VERSION),
    get("/openai/v1/models/*", Action::Model, OPENAI, VERSION),
    get("/openai/v1/outrigger/requests/*", Action::RequestInfo, OPENAI, NONE),
    post("/anthropic/v1/messages", Action::Chat, ANTHROPIC, BETA),
    post("/anthropic/v1/messages/count_tokens", Action::CountTokens, ANTHROPIC, BETA),
    post("/model/*/converse", Action::Chat, CONVERSE, NONE),
    stream("/model/*/converse-stream", Action::Chat, CONVERSE),
    claude("/model/*/invoke", Envelope::BedrockInvoke, Action::Chat),
    claude_stream("/model/*/invoke-with-response-stream", Envelope::BedrockInvoke),
    get("/foundation-models", Action::Models, CONVERSE, BEDROCK_PAGE),
    get("/foundation-models/*", Action::Model, CONVERSE, NONE),
    // Claude Code asks so before it asks Bedrock for anything.
    get("/inference-profiles", Action::Profiles, CONVERSE, BEDROCK_PAGE),
    // Of either: the body says which.
    post("/model/*/count-tokens", Action::CountTokens, CONVERSE, NONE),
    // Under a version, or under none where a client's base URL is expected to end in it.
    claude(
        "/v1/projects/*/locations/*/publishers/anthropic/models/*:rawPredict",
        VERTEX,
        Action::Chat,
    ),
    claude_stream(
        "/v1/projects/*/locations/*/publishers/anthropic/models/*:streamRawPredict",
        VERTEX,
    ),
    claude(
        "/v1/projects/*/locations/*/publishers/anthropic/models/count-tokens:rawPredict",
        VERTEX,
        Action::CountTokens,
    ),
    claude(
        "/v1beta1/projects/*/locations/*/publishers/anthropic/models/*:rawPredict",
        VERTEX,
        Action::Chat,
    ),
    claude_stream(
        "/v1beta1/projects/*/locations/*/publishers/anthropic/models/*:streamRawPredict",
        VERTEX,
    ),
    claude(
        "/v1beta1/projects/*/locations/*/publishers/anthropic/models/count-tokens:rawPredict",
        VERTEX,
        Action::CountTokens,
    ),
    claude(
        "/projects/*/locations/*/publishers/anthropic/models/*:rawPredict",
        VERTEX,
        Action::Chat,
    ),
    claude_stream("/projects/*/locations/*/publishers/anthropic/models/*:streamRawPredict", VERTEX),
    claude(
        "/projects/*/locations/*/publishers/anthropic/models/count-tokens:rawPredict",
        VERTEX,
        Action::CountTokens,
    ),
    post("/openai/deployments/*/chat/completions", Action::Chat, OPENAI, VERSION),
    post("/openai/deployments/*/embeddings", Action::Embeddings, OPENAI, VERSION),
    post("/openai/responses", Action::Chat, RESPONSES, VERSION),
    post("/openai/responses/input_tokens", Action::CountTokens, RESPONSES, VERSION),
    get("/openai/models", Action::Models, OPENAI, VERSION),
    get("/openai/models/*", Action::Model, OPENAI, VERSION),
    get("/anthropic/v1/models", Action::Models, ANTHROPIC, PAGE),
    get("/anthropic/v1/models/*", Action::Model, ANTHROPIC, BETA),
    get("/anthropic/v1/outrigger/requests/*", Action::RequestInfo, ANTHROPIC, NONE),
    open("/livez", Action::Live),
    open("/readyz", Action::Ready),
    // Claude Code asks so whether anybody is there.
    open("/api/hello", Action::Live),
    open("/", Action::Start),
];

/// A route found, and what was in its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match<'a> {
    /// The row.
    pub route: &'static Route,
    /// The id in the path, decoded, where the route has one.
    pub id: Option<Cow<'a, str>>,
    /// That the query asks for server-sent events.
    pub events: bool,
}

impl Match<'_> {
    /// What the path says about a request.
    pub fn path_facts(&self) -> PathFacts<'_> {
        let form = |usual| if self.events { StreamForm::Events } else { usual };
        PathFacts { model: self.id.as_deref(), stream: self.route.stream.map(form) }
    }
}

/// No route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// 400: the path could be read in more than one way; the text says how.
    Malformed(&'static str),
    /// 404: nothing is there; this is the route that is most like it.
    Unknown {
        /// The nearest route's path.
        nearest: &'static str,
    },
    /// 405: for this path there is another method.
    WrongMethod {
        /// For the `allow` header.
        allow: &'static str,
    },
    /// 400: a query where none has a meaning.
    Query,
}

/// Finds the route of a request from its raw path and query, as `http::Uri` holds them.
///
/// # Errors
/// See [`NoRoute`].
pub fn find<'a>(method: &Method, path: &'a str, query: Option<&str>) -> Result<Match<'a>, NoRoute> {
    // An exact path needs no further look: the table holds nothing doubtful.
    let exact = || ROUTES.iter().filter(|it| it.path == path && !it.path.contains('*'));
    let mut found = match exact().find(|it| it.method.is(method)).or_else(|| exact().next()) {
        Some(route) if route.method.is(method) => Match { route, id: None, events: false },
        Some(route) => return Err(NoRoute::WrongMethod { allow: allow(route) }),
        None => with_id(method, path)?,
    };
    if query.is_some_and(|it| !query_ok(it, found.route.queries)) {
        return Err(NoRoute::Query);
    }
    found.events = pairs(query.unwrap_or_default()).any(|pair| pair == ("alt", "sse"));
    Ok(found)
}

fn with_id<'a>(method: &Method, path: &'a str) -> Result<Match<'a>, NoRoute> {
    let rows = || ROUTES.iter().filter_map(|it| id_in(it.path, path).map(|id| (it, id)));
    // What names a verb after the id is meant rather than an id that ends so.
    let Some((most, _)) = rows().max_by_key(|(it, _)| it.path.len()) else {
        sound(path)?;
        return Err(NoRoute::Unknown { nearest: nearest(path) });
    };
    // One path may have several methods, each a row.
    let same = || rows().filter(|(it, _)| it.path == most.path);
    let fit = same().find(|(it, _)| it.method.is(method));
    let Some((route, id)) = fit.or_else(|| same().max_by_key(|(it, _)| it.method.allow().len()))
    else {
        return Err(NoRoute::Unknown { nearest: most.path });
    };
    // Clients encode ids; after this one decoding it holds what ids hold, and no path is made of it any more.
    let id = match route.action {
        Action::RequestInfo => Cow::Borrowed(id),
        _ => decode(id)?,
    };
    sound_relative(&id)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte);
    // Models and conversations have names with slashes, and what is below them.
    let segments = match route.action {
        Action::Conversations => !id.ends_with('/'),
        action => !is_kept(action) || !id.contains('/'),
    };
    if id.is_empty() || id.len() > 256 || !segments || !id.bytes().all(plain) {
        return Err(NoRoute::Unknown { nearest: route.path });
    }
    if !route.method.is(method) {
        return Err(NoRoute::WrongMethod { allow: allow(route) });
    }
    Ok(Match { route, id: Some(id), events: false })
}

/// Whether it is about one kept response.
fn is_kept(action: Action) -> bool {
    matches!(
        action,
        Action::Response | Action::DeleteResponse | Action::ResponseItems | Action::CancelResponse
    )
}

/// Every method of a route's path, for the `allow` header.
fn allow(route: &Route) -> &'static str {
    let has = |verb| ROUTES.iter().any(|it| it.path == route.path && it.method == verb);
    match (has(Verb::Get), has(Verb::Post)) {
        (true, true) => "GET, HEAD, POST",
        _ if has(Verb::Delete) => Verb::Delete.allow(),
        _ => route.method.allow(),
    }
}

/// What stands for the last `*` of a pattern; each other `*` takes one segment that can be read in one way only.
fn id_in<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (head, tail) = pattern.rsplit_once('*')?;
    let mut rest = path.strip_suffix(tail)?;
    let mut parts = head.split('*');
    rest = rest.strip_prefix(parts.next()?)?;
    for part in parts {
        let (segment, after) = rest.split_once('/')?;
        if segment.is_empty() || sound_relative(segment).is_err() {
            return None;
        }
        rest = after.strip_prefix(part.strip_prefix('/')?)?;
    }
    Some(rest)
}

/// Decodes `%2F`, `%3A` and `%40`, which ids hold and SDKs encode; any other percent sign is refused.
fn decode(tail: &str) -> Result<Cow<'_, str>, NoRoute> {
    if !tail.contains('%') {
        return Ok(Cow::Borrowed(tail));
    }
    let mut parts = tail.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        decoded.push(match code {
            "2F" | "2f" => '/',
            "3A" | "3a" => ':',
            "40" => '@',
            _ => return Err(NoRoute::Malformed("the path holds percent-encoding")),
        });
        decoded.push_str(rest);
    }
    Ok(Cow::Owned(decoded))
}

fn sound(path: &str) -> Result<(), NoRoute> {
    match path.strip_prefix('/') {
        Some("") => Ok(()),
        Some(rest) => sound_relative(rest),
        None => Err(NoRoute::Malformed("the path does not begin with a slash")),
    }
}

/// What could be read in more than one way.
fn sound_relative(path: &str) -> Result<(), NoRoute> {
    let malformed = |why| Err(NoRoute::Malformed(why));
    if !path.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        return malformed("the path holds a character outside visible ASCII");
    }
    if path.contains('%') {
        return malformed("the path holds percent-encoding");
    }
    if path.contains('\\') {
        return malformed("the path holds a backslash");
    }
    if path.contains([';', '#', '?']) {
        return malformed("the path holds a parameter");
    }
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment == "." || segment == ".." {
            return malformed("the path holds a dot segment");
        }
        if segment.is_empty() && segments.peek().is_some() {
            return malformed("the path holds an empty segment");
        }
    }
    Ok(())
}

fn query_ok(query: &str, allowed: &[&str]) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@-%".contains(&byte);
    !query.is_empty()
        && query.len() <= 512
        && query.split('&').all(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            allowed.contains(&name)
                && value.bytes().all(plain)
                && (name != "beta" || value == "true")
                && (name != "alt" || value == "sse" || value == "json")
        })
}

/// Whose shape the refusal of a path has that no route serves.
pub fn likely(path: &str) -> Speaks {
    if path.contains("/messages")
        || path.starts_with("/anthropic")
        || path.contains("/publishers/anthropic/")
    {
        ANTHROPIC
    } else if path.starts_with("/v1beta") || path.contains("/models/") && path.contains(':') {
        GEMINI
    } else if path.starts_with("/model/") {
        CONVERSE
    } else if path.starts_with("/v2/") {
        COHERE
    } else {
        Speaks::ByHeaders
    }
}

fn nearest(path: &str) -> &'static str {
    let path: String = path.chars().take(64).collect();
    let mut nearest = ("/v1/chat/completions", usize::MAX);
    for route in ROUTES.iter().filter(|it| it.access == Access::Key) {
        // It takes no fewer edits than the lengths differ by.
        if route.path.len().abs_diff(path.len()) < nearest.1 {
            let edits = distance(path.as_bytes(), route.path.as_bytes());
            if edits < nearest.1 {
                nearest = (route.path, edits);
            }
        }
    }
    nearest.0
}

/// Edits between two short texts (Levenshtein).
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(right) {
            let here = (diagonal + usize::from(a != b)).min(before + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = here;
            before = here;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Whether a request may use the keyless mode of a loopback listener. A web page that the user happens to visit
/// can make the browser call this port; its `origin` gives it away, and a name that was rebound to 127.0.0.1
/// gives itself away in `host`.
///
/// `host` is the authority of the request: `host:`, or `:authority` on HTTP/2.
///
/// # Errors
/// What is foreign about it.
pub fn keyless_allowed(host: Option<&str>, headers: &HeaderMap) -> Result<(), &'static str> {
    if !host.is_some_and(loopback_authority) {
        return Err("the `host` is not a loopback name");
    }
    for origin in headers.get_all(header::ORIGIN) {
        let local = origin.to_str().ok().and_then(|it| {
            let rest = it.strip_prefix("http://").or_else(|| it.strip_prefix("https://"))?;
            Some(loopback_authority(rest))
        });
        if local != Some(true) {
            return Err("the `origin` is another site");
        }
    }
    for site in headers.get_all("sec-fetch-site") {
        if !matches!(site.as_bytes(), b"none" | b"same-origin" | b"same-site") {
            return Err("a browser sent it for another site");
        }
    }
    Ok(())
}

fn loopback_authority(authority: &str) -> bool {
    let host = ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .find_map(|it| authority.get(..it.len()).filter(|head| head.eq_ignore_ascii_case(it)));
    let rest = host.and_then(|it| authority.get(it.len()..));
    match rest {
        Some("") => true,
        Some(rest) => rest.strip_prefix(':').is_some_and(|port| {
            (1..=5).contains(&port.len()) && port.bytes().all(|it| it.is_ascii_digit())
        }),
        None => false,
    }
}

#[cfg(test)]
mod tests;
