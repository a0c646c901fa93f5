//! Codes of the admin API that the data plane does not share.

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
        "bad_body",
        400,
        "The body can't be read.",
        "It is no JSON object, is longer than 64 KiB, or came in too slowly.",
        "Send the object that `GET /openapi.json` on the admin address describes.",
    ),
    code(
        "invalid",
        400,
        "A value is not allowed.",
        "`errors` names each one by its place in the body.",
        "Correct the values.",
    ),
    code(
        "unauthorized",
        401,
        "The admin token is missing or wrong.",
        "Every path of the admin API but the probes and the metrics needs it.",
        "Send `Authorization: Bearer TOKEN`; it is in the file `admin-token` of the data folder, or in \
         OUTRIGGER_ADMIN_TOKEN.",
    ),
    code(
        "not_found",
        404,
        "There is no such thing.",
        "The path, key, offer or request does not exist here.",
        "The message says what is missing; `outrigger key ls` and `outrigger model ls` list what there is.",
    ),
    code(
        "conflict",
        409,
        "That can't be done in this state.",
        "The key is revoked already, or the attempt is closed or still running.",
        "Look at the state first: `outrigger key ls`, `outrigger ledger query --unsettled`.",
    ),
    code(
        "media_type",
        415,
        "The body is not marked as JSON.",
        "A web page can send a form anywhere; it can't send this type without being asked.",
        "Send `content-type: application/json`.",
    ),
    code(
        "config_refused",
        422,
        "The new configuration was refused; the old one stays in force.",
        "The message lists every problem.",
        "`outrigger config check`, then reload again.",
    ),
    code(
        "stopping",
        503,
        "The gateway is stopping.",
        "Its store is being closed.",
        "Wait for its end; commands then work on the data folder itself.",
    ),
];
