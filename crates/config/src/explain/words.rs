//! Words that stand in the ledger's rows: how an attempt ended, what went wrong, why an offer was taken or left, how far
//! a figure can be trusted. A word that is also a response's code is explained there.

use super::Explained;

const fn word(
    code: &'static str,
    what: &'static str,
    why: &'static str,
    fix: &'static str,
) -> Explained {
    Explained { code, status: None, what, why, fix }
}

const NOTHING: &str = "Nothing to do.";

pub(super) const CODES: &[Explained] = &[
    // How an attempt ended.
    word("ok", "The answer was delivered whole.", "An attempt's outcome.", NOTHING),
    word(
        "client_gone",
        "The client left before the answer was whole.",
        "It closed the connection, or its own timeout ran out. The provider was told to stop; what was used is charged.",
        "Raise the client's timeout, or stream the answer.",
    ),
    word(
        "failed",
        "The provider failed.",
        "The row's `error` says how; if another offer could take over, the next attempt of the request did.",
        "`outrigger route why REQUEST_ID` tells the whole story.",
    ),
    word(
        "interrupted",
        "The stream was cut after its first byte had gone out.",
        "After the first byte nothing is tried again: the client saw an error event and an aborted body.",
        "Ask again. Often? `outrigger usage --by provider` shows whose errors they are.",
    ),
    word(
        "refused",
        "The request was refused before any attempt.",
        "The row's `refusal` is the code that the client got.",
        "`outrigger explain CODE` with that code.",
    ),
    word(
        "unsettled",
        "The process died between an attempt's start and its end.",
        "It may have been billed, so its reservation is held until somebody decides.",
        "Look at the provider's bill, then `outrigger ledger write-off ATTEMPT --why TEXT`, with `--charge` if it is there.",
    ),
    word(
        "in_flight",
        "The attempt runs.",
        "It has an intent and no end yet, and the process that began it is alive.",
        NOTHING,
    ),
    word(
        "written_off",
        "Somebody gave the unsettled attempt up.",
        "The row says who and why, and whether the reservation was charged.",
        NOTHING,
    ),
    // What went wrong with an attempt.
    word("none", "Nothing went wrong.", "An attempt's error class.", NOTHING),
    word(
        "unreachable",
        "No connection to the provider.",
        "Refused, no route, name not found, or TLS failed. Nothing was sent and nothing billed.",
        "`outrigger provider test NAME`.",
    ),
    word(
        "timeout",
        "The provider did not answer in time.",
        "One of `providers.NAME.timeouts` ran out. It may have billed.",
        "Raise the timeout, or stream.",
    ),
    word(
        "server_error",
        "The provider failed by itself.",
        "It answered with a server's error.",
        "A fallback in the capability takes over; the provider's status page may know more.",
    ),
    word(
        "bad_response",
        "The provider answered what its protocol does not allow.",
        "The answer was cut, no JSON, or of another dialect. It may have billed.",
        "Check `providers.NAME.base_url` and its `type`.",
    ),
    word(
        "auth",
        "The provider refused the gateway's credential.",
        "The key is wrong, expired or may not use the model.",
        "`outrigger provider test NAME`.",
    ),
    word(
        "quota",
        "The account at the provider has no quota or balance left.",
        "The provider says that what was paid for is used up.",
        "Top the account up, or add a fallback.",
    ),
    word(
        "invalid_request",
        "The provider found the request wrong.",
        "Another offer would refuse it as well, so none was asked.",
        "The client's answer has the provider's message.",
    ),
    word(
        "content_filter",
        "The provider's content filter refused.",
        "A rule of the provider's, about the prompt or the answer.",
        "Change the prompt, or ask a provider with other rules.",
    ),
    word(
        "stall",
        "Data stopped flowing in the middle of an answer.",
        "`providers.NAME.timeouts.idle` ran out between two pieces.",
        "Raise it where a model thinks long without a sign of life.",
    ),
    word(
        "refusal",
        "We refused it ourselves.",
        "The row's `refusal` says why.",
        "`outrigger explain CODE`.",
    ),
    // Why an offer was taken or left.
    word(
        "not_considered",
        "The offer was not looked at.",
        "The request ended before its turn.",
        NOTHING,
    ),
    word(
        "first",
        "The offer was asked first.",
        "It is the first healthy one of its capability.",
        NOTHING,
    ),
    word("next", "The offer stood ready.", "It takes over if those before it fail.", NOTHING),
    word(
        "probe",
        "The offer had failed before, and this request tried whether it works again.",
        "An open breaker lets one request through after a while.",
        NOTHING,
    ),
    word(
        "last_resort",
        "The offer was not well, but nothing else was left.",
        "Every other one was left for its own reason.",
        "Add a fallback to the capability.",
    ),
    word(
        "not_allowed",
        "The key may not use the offer.",
        "A rule of the key's says so.",
        "Ask for a key that may.",
    ),
    word(
        "endpoint",
        "The offer does not serve this operation.",
        "Not every provider has embeddings or token counts.",
        "Name one that has.",
    ),
    word(
        "feature",
        "The offer can't do something that the request used.",
        "Its dialect or its model lacks it.",
        "Leave the feature out, or add an offer that has it.",
    ),
    word(
        "lossy",
        "Translation would have lost a part of the request.",
        "`on_loss: reject` is set for the capability.",
        "Use an offer of the request's own dialect, or set `on_loss: allow`.",
    ),
    word(
        "residency",
        "The offer lies outside the required residency.",
        "A residency rule binds every offer.",
        "Add an offer in the region.",
    ),
    word(
        "retired",
        "The model was retired.",
        "Its provider's end date has passed.",
        "`outrigger model show OFFER` names the successor where one is known.",
    ),
    word(
        "not_yet",
        "The offer was not available yet.",
        "Its start lies ahead.",
        "Wait, or use another.",
    ),
    word(
        "set_aside",
        "The provider had asked to be left alone for a while.",
        "It sent `Retry-After`; asking before then makes it worse.",
        NOTHING,
    ),
    word(
        "no_credential",
        "Every credential for the offer had been refused.",
        "A refused key is set aside and tried again later.",
        "`outrigger provider test NAME`.",
    ),
    word(
        "ramp",
        "The offer was recovering.",
        "After a failure it gets a part of the requests first, and this one was not among them.",
        NOTHING,
    ),
    word(
        "plan_full",
        "The offer was not needed.",
        "Enough others were to be asked before it.",
        NOTHING,
    ),
    word(
        "breaker",
        "The offer had failed too often.",
        "Its breaker is open for one class of error: `breaker_timeout`, `breaker_rate_limited` and so on name it.",
        "It is tried again by itself; `outrigger route why NAME` says when.",
    ),
    // How far usage can be trusted.
    word("reported", "The provider said how much was used.", "The best there is.", NOTHING),
    word(
        "counted",
        "We counted what passed through.",
        "The provider did not say, or its stream was cut.",
        NOTHING,
    ),
    word(
        "bounded",
        "An upper bound: nobody knows the true figure.",
        "A crash, a silent provider, or a whole answer that was cut; it is never less than what was used.",
        "The provider's bill knows.",
    ),
    // What became of a feature in translation.
    word(
        "emulated",
        "The feature was carried by other means, without loss of meaning.",
        "The other dialect says it otherwise.",
        NOTHING,
    ),
    word(
        "approximated",
        "The feature was carried with some loss of meaning.",
        "The other dialect has only something like it.",
        "`on_loss: reject` refuses instead.",
    ),
    word(
        "dropped",
        "The feature was left out.",
        "The other dialect has nothing like it.",
        "`on_loss: reject` refuses instead.",
    ),
];
