//! Codes in the `code` field of responses.

use super::Explained;

const fn code(
    code: &'static str,
    status: u16,
    what: &'static str,
    why: &'static str,
    fix: &'static str,
) -> Explained {
    Explained { code, status: Some(status), what, why, fix }
}

pub(super) const CODES: &[Explained] = &[
    code(
        "missing_api_key",
        401,
        "The request bears no virtual key.",
        "`auth.keys` is `required`, or the request came from another machine.",
        "Send the key as `Authorization: Bearer or-...` or `x-api-key`; `outrigger key create --app NAME` makes one.",
    ),
    code(
        "invalid_api_key",
        401,
        "The virtual key is not one of ours.",
        "It is misspelled, cut short, a provider's own key, or a key of another gateway.",
        "Send a key that begins with `or-`. It is shown once, when it is made; `outrigger key rotate` replaces a \
         lost one.",
    ),
    code(
        "key_expired",
        401,
        "The virtual key's time is over.",
        "It was made with `--expires`.",
        "`outrigger key rotate PUBLIC_ID` or `outrigger key create`.",
    ),
    code(
        "key_revoked",
        401,
        "The virtual key was revoked.",
        "Somebody ran `outrigger key revoke`, or it was replaced by a rotation.",
        "Ask for a new key.",
    ),
    code(
        "model_not_allowed",
        403,
        "The key may not use this model.",
        "It was made for some capabilities only (`key create --capability`), or its team may ask for some only \
         (`teams` in the configuration). Such a key may not ask for offers by their own names either.",
        "Use a name of `GET /v1/models`, which lists what the key may use, or ask for a key that may.",
    ),
    code(
        "route_not_allowed",
        403,
        "The request can't be served to this caller at this address.",
        "It came with a foreign `Origin` or `Host`, or for an operation that is not open to it.",
        "Call the gateway by its own address, from a program and not from another site's page.",
    ),
    code(
        "residency_refused",
        403,
        "No offer of the allowed regions can serve the request.",
        "A residency rule binds every offer, fallbacks too.",
        "Ask for a capability with an offer in the region, or have the rule changed.",
    ),
    code(
        "model_not_found",
        404,
        "No capability, offer or model of that name.",
        "`model` is a capability, `provider/model`, or a model id that exactly one provider bears.",
        "Use one of the nearest names in the message or of `GET /v1/models`.",
    ),
    code(
        "bad_json",
        400,
        "The body is not JSON.",
        "It ends early, has a syntax error, is no object, or is nested deeper than 64 levels.",
        "Look at the offset in the message.",
    ),
    code(
        "duplicate_field",
        400,
        "A field is given twice in one object.",
        "Readers disagree on which one counts, so that one of them could be used to get past a check.",
        "Send it once.",
    ),
    code(
        "bad_field",
        400,
        "A field has a value that its dialect does not allow.",
        "The message names the field.",
        "Correct the field.",
    ),
    code(
        "feature_not_portable",
        400,
        "The request uses something that the offer's dialect can't carry.",
        "`on_loss: reject` refuses what would be approximated or dropped.",
        "Leave the field out, use an offer of the same dialect, or set `on_loss: allow` (a header then says what \
         was lost).",
    ),
    code(
        "body_too_large",
        413,
        "The body is longer than the gateway takes.",
        "`server.limits.body` bounds it: 32 MiB unless configured.",
        "Send less, or raise the limit.",
    ),
    code(
        "context_too_long",
        400,
        "The request is longer than the model's context.",
        "The provider refused it, or its size is known beforehand.",
        "Shorten it, or use a model with a longer context.",
    ),
    code(
        "budget_exceeded",
        402,
        "A budget has no room for the request's worst case.",
        "What is settled and what is reserved by running requests never passes a hard budget. Without `max_tokens` \
         the model's own limit is reserved.",
        "Lower `max_tokens`, wait for the window that the message names, or have the budget raised.",
    ),
    code(
        "max_cost_exceeded",
        402,
        "The request could cost more than it allows itself.",
        "It sets a bound on its own cost.",
        "Raise the bound, or lower `max_tokens`.",
    ),
    code(
        "rate_limited",
        429,
        "A rate or parallel cap of the gateway is reached.",
        "`rates` in the configuration sets it; `retry-after-ms` says when there is room again.",
        "Wait that long; official SDKs do so by themselves.",
    ),
    code(
        "upstream_rate_limited",
        429,
        "The provider's own rate limit is reached, and no other offer could take over.",
        "The provider's waiting time is passed on.",
        "Wait, ask the provider for more, or add a fallback to the capability.",
    ),
    code(
        "overloaded",
        503,
        "The gateway sheds load.",
        "It has more open requests or unwritten rows than it can bear.",
        "Try again a little later; `outrigger doctor` on the gateway's machine looks for the cause.",
    ),
    code(
        "no_candidate",
        503,
        "No offer can serve the request now.",
        "Each one is unhealthy, set aside, or can't do what is asked; the message lists them with the reason.",
        "`outrigger route why NAME` shows the same list; try again later or add an offer.",
    ),
    code(
        "upstream_error",
        502,
        "The provider failed.",
        "It answered with an error of its own, and no other offer could take over.",
        "Try again; `outrigger provider test NAME` looks at the provider alone.",
    ),
    code(
        "upstream_unreachable",
        502,
        "The provider can't be reached.",
        "Name look-up, connection or TLS failed; nothing was sent.",
        "Check the network and `base_url`; `outrigger provider test NAME`.",
    ),
    code(
        "upstream_bad_response",
        502,
        "The provider's answer can't be read.",
        "It is not of the dialect, or ends early.",
        "Check that `base_url` and `dialects` of the provider are right.",
    ),
    code(
        "upstream_timeout",
        504,
        "The provider did not answer in time.",
        "`timeouts` of the provider set the deadlines. The attempt may have been billed, so it is not repeated.",
        "Raise the deadline, or stream the answer.",
    ),
    code(
        "upstream_auth",
        502,
        "The provider refused the gateway's own key.",
        "The key in the configuration is wrong, expired or out of credit.",
        "This is for the gateway's operator: check the provider's `key`; `outrigger provider test NAME`.",
    ),
    code(
        "stream_interrupted",
        200,
        "A stream broke off after it had begun.",
        "The provider's connection was lost; what was sent so far has been delivered and is charged.",
        "Ask again. A stream never ends cleanly unless the provider ended it.",
    ),
    code(
        "draining",
        503,
        "The gateway is stopping.",
        "It finishes running requests and takes no new ones.",
        "Try again: a load balancer or the restarted gateway will take it.",
    ),
    code(
        "ledger_unavailable",
        503,
        "The ledger can't be written.",
        "The disk is full or failing. With `durability: strict` nothing is sent that is not recorded first.",
        "Free space on the data folder's disk; the gateway recovers by itself. `outrigger doctor` shows the state.",
    ),
];
