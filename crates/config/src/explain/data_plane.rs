//! Codes in the `code` field of responses: the one table of them. The server answers by it, and `outrigger explain` reads
//! it.
//!
//! Statuses and retry advice are those that the official SDKs act on: both obey `x-should-retry` before anything else,
//! so a spent budget says `false` or it is hammered three times.

use super::Explained;

/// An error that a response may bear.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorKind {
    /// The stable code in `error.outrigger.code`.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Value of `x-should-retry`.
    pub retry: bool,
    /// What happened, in one sentence.
    pub what: &'static str,
    /// Why it is refused or how it comes about.
    pub why: &'static str,
    /// What to do, where the response has nothing better to say.
    pub fix: &'static str,
}

impl ErrorKind {
    /// As `outrigger explain` tells it.
    pub(super) fn explained(&self) -> Explained {
        let Self { code, status, what, why, fix, .. } = *self;
        Explained { code, status: Some(status), what, why, fix }
    }
}

macro_rules! catalogue {
    ($($name:ident = $code:literal, $status:literal, $retry:literal, $what:literal, $why:literal, $fix:literal;)*) => {
        $(
            #[doc = $what]
            pub static $name: ErrorKind = ErrorKind {
                code: $code,
                status: $status,
                retry: $retry,
                what: $what,
                why: $why,
                fix: $fix,
            };
        )*
        /// Every row.
        pub static CATALOGUE: &[&ErrorKind] = &[$(&$name),*];
    };
}

catalogue! {
    MISSING_API_KEY = "missing_api_key", 401, false,
        "The request bears no virtual key.",
        "`auth.keys` is `required`, or the request came from another machine.",
        "Send the key as `Authorization: Bearer or-...` or `x-api-key`; `outrigger key create --app \
         NAME` makes one.";
    INVALID_API_KEY = "invalid_api_key", 401, false,
        "The virtual key is not one of ours.",
        "It is misspelled, cut short, a provider's own key, or a key of another gateway; or two headers \
         bear different keys.",
        "Send a key that begins with `or-`. It is shown once, when it is made; `outrigger key rotate` \
         replaces a lost one.";
    UNKNOWN_ACCESS_KEY = "unknown_access_key", 403, false,
        "The request is signed with an AWS key pair that is not one of ours.",
        "Its access key id belongs to AWS itself or to another gateway, or to a key that was made without \
         `--kind aws`; or it comes with a session token, which no pair of ours has.",
        "`outrigger key create --app NAME --kind aws` makes a pair: set AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY to it and unset AWS_SESSION_TOKEN.";
    MALFORMED_SIGNATURE = "malformed_signature", 403, false,
        "The request's AWS signature does not say what it must.",
        "Signature Version 4 names a key, a day, a region, a service and the signed headers, `host` and \
         `x-amz-date` among them.",
        "Let an AWS SDK sign the request. A proxy in between must not take headers away.";
    BAD_SIGNATURE = "bad_signature", 403, false,
        "The request's AWS signature does not hold.",
        "The secret is another one, the request was changed on its way (a proxy that rewrites `host` or the \
         path does that), the body is not signed as a whole, or the clock is more than five minutes off.",
        "Compare the secret, the clock and the address. `outrigger key rotate` replaces a lost secret.";
    KEY_EXPIRED = "key_expired", 401, false,
        "The virtual key's time is over.",
        "It was made with `--expires`.",
        "`outrigger key rotate PUBLIC_ID` makes a new secret for it; `outrigger key create` makes \
         another key.";
    KEY_REVOKED = "key_revoked", 401, false,
        "The virtual key was revoked.",
        "Somebody ran `outrigger key revoke`, or it was replaced by a rotation.",
        "Ask whoever runs the gateway for a new one.";
    MODEL_NOT_ALLOWED = "model_not_allowed", 403, false,
        "The key may not use this model.",
        "It was made for some capabilities only (`key create --capability`), or its team may ask for \
         some only (`teams` in the configuration). Such a key may not ask for offers by their own names \
         either.",
        "Use a name of `GET /v1/models`, which lists what the key may use, or ask for a key that may.";
    ORIGIN_REFUSED = "origin_refused", 403, false,
        "The request came with a foreign `Host` or `Origin`.",
        "Without required keys only this machine's own programs may call, so that a web page can't \
         spend.",
        "Call 127.0.0.1 or localhost from a program; to serve others, set `auth: {keys: required}`.";
    MODEL_NOT_FOUND = "model_not_found", 404, false,
        "No capability, offer or model of that name.",
        "`model` is a capability, `provider/model`, or a model id that exactly one provider bears; or \
         the provider itself does not know the model.",
        "Use one of the nearest names in the message or of `GET /v1/models`.";
    ROUTE_NOT_FOUND = "route_not_found", 404, false,
        "There is no such path.",
        "It is misspelled, or belongs to an API that is not served here.",
        "The answer names the nearest path; `/v1/chat/completions`, `/v1/messages`, `/v1/embeddings` \
         and `/v1/models` are the usual ones.";
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, false,
        "The path exists, but not for this method.",
        "Most paths take `POST`; lists take `GET`.",
        "Use the method that the header `allow` names.";
    UPGRADE_REQUIRED = "upgrade_required", 426, false,
        "A realtime session was asked for without a WebSocket.",
        "`GET /v1/realtime` answers a handshake after RFC 6455 over HTTP/1.1 only.",
        "Connect with a WebSocket client: `wss://.../v1/realtime?model=...`.";
    KEY_WOULD_PASS = "key_would_pass", 403, false,
        "A key of the provider's own would leave the gateway.",
        "With an ephemeral key, or a call over WebRTC, the client talks to the provider itself: nothing \
         would be counted, priced or held to a budget.",
        "Connect to `/v1/realtime` over a WebSocket, with a virtual key; a browser bears it as the \
         subprotocol `openai-insecure-api-key.or-...`.";
    SESSION_OVER = "session_over", 408, false,
        "A realtime session has reached its end.",
        "It lasted an hour, or nobody said anything for a quarter of one.",
        "Connect again.";
    BAD_PATH = "bad_path", 400, false,
        "The path holds something that no path of ours has.",
        "Escapes, dot segments and doubled slashes make two readers see two paths, so they are refused.",
        "Send the path as it is documented.";
    BAD_JSON = "bad_json", 400, false,
        "The body is not a JSON object.",
        "It ends early, has a syntax error, is no object, or is nested deeper than 64 levels.",
        "Look at the offset in the message.";
    DUPLICATE_FIELD = "duplicate_field", 400, false,
        "A field is given twice in one object.",
        "Readers disagree on which one counts, so that one of them could be used to get past a check.",
        "Send it once.";
    BAD_FIELD = "bad_field", 400, false,
        "A field has a value that its API does not allow.",
        "The message names the field.",
        "Correct the field.";
    FEATURE_NOT_PORTABLE = "feature_not_portable", 400, false,
        "The request uses something that the dialect of the offers left can't carry.",
        "`on_loss: reject` refuses what would be approximated or dropped; the message names the \
         feature.",
        "Leave the field out, use an offer of the same dialect, or set `on_loss: allow` (a header then \
         says what was lost).";
    URL_NOT_FETCHED = "url_not_fetched", 400, false,
        "An image or a document at a URL could not be fetched.",
        "The offer takes it inline only, so the gateway fetches it (`routing.fetch_urls`): over http or https, from \
         public addresses or the hosts that the configuration names, within 15 s, 16 URLs a request, and no more \
         than `server.limits.body` together. PNG, JPEG, GIF and WebP images, PDF, text and office documents are taken.",
        "Send it inline, as base64, or put it where the gateway may reach it.";
    BODY_TOO_LARGE = "body_too_large", 413, false,
        "The body is longer than the gateway takes.",
        "`server.limits.body` bounds it: 32 MiB unless configured.",
        "Send less, or raise the limit.";
    BODY_CODED = "body_coded", 415, false,
        "The body is compressed.",
        "A few bytes could become a very large body, so only plain ones are read.",
        "Send it without `content-encoding`.";
    BODY_TIMEOUT = "body_timeout", 408, true,
        "The body came in too slowly.",
        "A request that trickles holds a connection and its memory.",
        "Try again on a better connection.";
    CONTEXT_TOO_LONG = "context_too_long", 400, false,
        "The request does not fit the context of any offer that could serve it.",
        "The provider refused it, or its size is known beforehand.",
        "Shorten it, or use a model with a longer context.";
    BUDGET_EXCEEDED = "budget_exceeded", 402, false,
        "A hard budget does not cover the worst case of the request.",
        "What is settled and what is reserved by running requests never passes a hard budget. Without \
         `max_tokens` the model's own limit is reserved.",
        "Lower `max_tokens`, wait for the window that the message names, or have the budget raised.";
    UNPRICED = "unpriced", 402, false,
        "What the request can cost at the offer is not known, and a money budget applies.",
        "The offer has no known price, or nothing bounds its output, and `prices.unpriced` is `reject`: \
         what can't be known can't pass a money budget.",
        "Give it a price under `prices.overrides`, send `max_tokens`, or set `prices: {unpriced: \
         allow}`; its cost is then unknown.";
    RATE_LIMITED = "rate_limited", 429, true,
        "A rate or parallel cap of the gateway is reached.",
        "`rates` in the configuration sets it; `retry-after-ms` says when there is room again.",
        "Wait that long; official SDKs do so by themselves.";
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited", 429, true,
        "Every offer that could serve the request is rate limited by its provider.",
        "The provider's waiting time is passed on.",
        "Wait, ask the provider for more, or add a fallback to the capability.";
    OVERLOADED = "overloaded", 503, true,
        "The gateway sheds load.",
        "It has more open requests or unwritten rows than it can bear.",
        "Try again a little later; `outrigger doctor` on the gateway's machine looks for the cause.";
    NO_CANDIDATE = "no_candidate", 503, true,
        "No offer can serve the request now.",
        "Each one is unhealthy, set aside, or can't do what is asked; the message lists them with the \
         reason.",
        "`outrigger route why NAME` shows the same list; try again later or add an offer.";
    UPSTREAM_ERROR = "upstream_error", 502, true,
        "The provider failed.",
        "It answered with an error of its own, and no other offer could take over.",
        "Try again; `outrigger provider test NAME` looks at the provider alone.";
    UPSTREAM_REFUSED = "upstream_refused", 400, false,
        "The provider found the request wrong.",
        "Its own message is passed on; another offer would most likely refuse it as well.",
        "Correct what the message names.";
    UPSTREAM_UNREACHABLE = "upstream_unreachable", 502, true,
        "The provider can't be reached.",
        "Name look-up, connection or TLS failed; nothing was sent and nothing billed.",
        "Check the network and `base_url`; `outrigger provider test NAME`.";
    UPSTREAM_BAD_RESPONSE = "upstream_bad_response", 502, false,
        "The provider answered what its protocol does not allow.",
        "It is not of the dialect, or ends early. The attempt may have been billed, so it is not \
         repeated.",
        "Check that `base_url` and `dialects` of the provider are right.";
    UPSTREAM_TIMEOUT = "upstream_timeout", 504, false,
        "The provider did not answer in time.",
        "`timeouts` of the provider set the deadlines. The attempt may have been billed, so it is not \
         repeated.",
        "Raise the deadline, or stream the answer.";
    UPSTREAM_AUTH = "upstream_auth", 502, false,
        "The provider refused the gateway's own credential.",
        "The key in the configuration is wrong, expired or revoked.",
        "This is for the gateway's operator: check the provider's `key`; `outrigger provider test \
         NAME`.";
    UPSTREAM_QUOTA = "upstream_quota", 502, false,
        "The gateway's account at the provider has no quota or balance left.",
        "The provider says that what was paid for is used up.",
        "This is for the gateway's operator: top the account up, or add a fallback to the capability.";
    STREAM_INTERRUPTED = "stream_interrupted", 502, false,
        "The provider's stream was cut after it had begun.",
        "The provider's connection was lost, or the gateway stopped; what was sent so far has been \
         delivered and is charged.",
        "Ask again. A stream never ends cleanly unless the provider ended it.";
    DRAINING = "draining", 503, true,
        "The gateway is stopping.",
        "It finishes running requests and takes no new ones.",
        "Try again: a load balancer or the restarted gateway will take it.";
    LEDGER_UNAVAILABLE = "ledger_unavailable", 503, true,
        "The ledger can't be written, so nothing may be sent.",
        "The disk is full or failing. With `durability: strict` nothing is sent that is not recorded \
         first.",
        "Free space on the data folder's disk; the gateway recovers by itself. `outrigger doctor` shows \
         the state.";
    REQUEST_NOT_FOUND = "request_not_found", 404, false,
        "No request of this key has that id.",
        "The id is misspelled, was pruned, or belongs to another key's request.",
        "Use the id of the header `x-outrigger-request-id`, with the key that made the request; an \
         operator uses `outrigger ledger show ID`.";
    PREVIOUS_RESPONSE_NOT_FOUND = "previous_response_not_found", 400, false,
        "The response that the request builds on is not there.",
        "Its id is misspelled, it was made with `store: false` or by another application, was deleted, or its time \
         (`responses.keep`) is over; the same goes for each response that it builds on itself.",
        "Send the earlier items again in `input`, without `previous_response_id`.";
    RESPONSE_NOT_FOUND = "response_not_found", 404, false,
        "No response of this application has that id.",
        "It is misspelled, was made with `store: false` or by another application, was deleted, or its time \
         (`responses.keep`) is over.",
        "Use the `id` of a response that says `store: true`, with a key of the application that made it.";
    RESPONSES_NOT_KEPT = "responses_not_kept", 404, false,
        "The gateway keeps no responses.",
        "`responses.store` is `off`, as it is unless configured.",
        "Send earlier items again in `input`; or the operator sets `responses: {store: on}`.";
    CONVERSATION_TOO_LONG = "conversation_too_long", 400, false,
        "The responses that the request builds on are too many or too large.",
        "At most 1,000 responses are followed, and with their items the request must stay below \
         `server.limits.body`.",
        "Begin a new conversation, with what matters of the old one in `input`.";
    STATE_NOT_SERVED = "state_not_served", 400, false,
        "The gateway keeps responses, but nothing like this.",
        "Conversations, responses in the background and replayed streams are kept by OpenAI only.",
        "Build on a response with `previous_response_id`, and stream a response while it is made.";
    KEPT_UNAVAILABLE = "kept_unavailable", 503, true,
        "What the gateway keeps can't be read or written now.",
        "The disk fails or is full, or the master key is another one than when it was kept.",
        "Try again; an operator looks into the log and at `kept.db` in the data folder.";
    NOT_LODGED = "not_lodged", 404, false,
        "No file or batch of this application has that id.",
        "The id is misspelled, was deleted or has expired, belongs to another application, or was made at \
         the provider past the gateway.",
        "List with `GET /v1/files`, `GET /v1/batches` or `GET /v1/messages/batches`; upload the file \
         again through the gateway.";
    PROVIDER_NOT_SAID = "provider_not_said", 400, false,
        "Several providers could take this file or batch, and nothing says which.",
        "A file or a batch lies at one provider, and more than one of the configuration speaks this API.",
        "Name one in the header `x-outrigger-provider`.";
    LODGED_UNAVAILABLE = "lodged_unavailable", 503, true,
        "What lies at providers can't be looked up or recorded.",
        "`kept.db` in the data folder can't be read or written: a full disk above all.",
        "Free space on the data folder's disk, and try again.";
    INTERNAL = "internal", 500, false,
        "A fault of the gateway.",
        "Only this request failed; its reservation was settled.",
        "Look into the log by the request's id, and report it.";
}
