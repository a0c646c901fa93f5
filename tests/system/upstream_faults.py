"""Partners that misbehave: every fault, streamed and whole, in each pair of dialects; and what takes over.

The client gets an answer of the right shape and never waits much longer than the idle limit; each arrival at the
partner has one row; another offer takes over exactly when no byte has reached the client; a partner that dies after
its first event is never asked again.
"""

import asyncio
import decimal
import itertools
import json
import time
import urllib.request

from client import DIALECTS, ask, verdict
from gateway import KEY, LONG, Gateway, Journal, Partner, attempts, finish, many_files

IDLE = 1.0
SLACK = 1.5
WORKERS = 8
OFFSETS = 400 if LONG else 24
JOURNAL = "journal.jsonl"
PAIRS = list(itertools.product(DIALECTS, ["openai", "anthropic"]))

# fault: (what the partner does to a stream, what the client may then see), the same for a whole answer.
HTML = {"status": 500, "body": "<h1>oh</h1>", "headers": {"content-type": "text/html"}}
ERROR, CUT, OK = {"error"}, {"cut"}, {"ok"}
FAULTS = {
    "close": ("close", ERROR, "close", ERROR),
    "rst": ("rst", ERROR, "rst", ERROR),
    "stall_before_headers": ("stall_before_headers", ERROR, "stall_before_headers", ERROR),
    "stall_after_headers": ("stall_after_headers", ERROR, "stall_after_headers", ERROR),
    "stall_mid_event": ({"fault": "stall_mid_event", "at": 3}, CUT, {"fault": "stall_mid_event", "at": 0}, ERROR),
    "stall_at": ({"fault": "stall_at", "at": 900}, CUT, {"fault": "stall_at", "at": 50}, ERROR),
    "rst_after_headers": ("rst_after_headers", ERROR, "rst_after_headers", ERROR),
    "rst_at": ({"fault": "rst_at", "at": 900}, CUT, {"fault": "rst_at", "at": 50}, ERROR),
    "cut": ({"fault": "cut", "at": 900}, CUT, {"fault": "cut", "at": 50}, ERROR),
    "truncated_chunked": ({"fault": "truncated_chunked", "at": 900}, CUT, {"fault": "truncated_chunked", "at": 50}, ERROR),
    # What is missing comes after the stream's own end mark.
    "length_too_long": ("length_too_long", OK | CUT, "length_too_long", ERROR),
    # Ten bytes of the last event are missing; in Anthropic's dialect its name is there by then, and it has no content.
    "length_too_short": ("length_too_short", OK | CUT, "length_too_short", ERROR),
    "html_200": ("html_200", ERROR, "html_200", ERROR),
    "error_200": ("error_200", ERROR, "error_200", ERROR),
    "empty_200": ("empty_200", ERROR, "empty_200", ERROR),
    "bad_json": ("bad_json", ERROR, "bad_json", ERROR),
    "gzip_bomb": ("gzip_bomb", ERROR, "gzip_bomb", ERROR),
    "infinite_headers": ("infinite_headers", ERROR, "infinite_headers", ERROR),
    "flood_1xx": ("flood_1xx", ERROR, "flood_1xx", ERROR),
    "redirect": ("redirect", ERROR, "redirect", ERROR),
    "garbage": ("garbage", ERROR, "garbage", ERROR),
    "double_answer": ("double_answer", OK, "double_answer", OK),
    # Without a length nobody can tell the end from a cut; a stream has its own end mark.
    "close_delimited": ("close_delimited", OK, "close_delimited", OK | ERROR),
    "usage_twice": ({"usage_twice": True}, OK, {"usage_twice": True}, OK),
    "no_usage": ({"no_usage": True}, OK, {"no_usage": True}, OK | ERROR),
    "missing_done": ({"missing_done": True}, CUT, {"missing_done": True}, OK),
    "error_first": ({"error_first": True}, ERROR, {"error_first": True}, OK),
    "error_after": ({"error_after": 4}, CUT, {"error_after": 4}, OK),
    "split": ({"split": 9}, OK, {"split": 3}, OK),
    **{f"status_{n}": ({"status": n}, ERROR, {"status": n}, ERROR) for n in (400, 401, 403, 404, 408, 413, 429, 500, 503, 529)},
    "status_500_html": (HTML, ERROR, HTML, ERROR),
}
# Something of the answer came: a whole one was made to its end, so it is never taken for empty.
BROKEN_OFF = {"stall_at", "cut", "truncated_chunked"}
# The client's own mistakes: another offer would refuse them too.
NOT_FAILED_OVER = {"status_400", "status_413"}


class Case:
    def __init__(self, number, fault, client, provider, stream, backed, do, expected):
        self.fault, self.client, self.provider, self.stream, self.backed = fault, client, provider, stream, backed
        self.do, self.expected = do, expected
        self.model = f"m{number}"
        self.mark = f"40 words, case {number}"
        self.answer, self.verdict, self.took = None, None, None

    def name(self):
        how = "streamed" if self.stream else "whole"
        return f"{self.fault}, {self.client} client, {self.provider} partner, {how}{', backed' if self.backed else ''}"

    def offered_by(self):
        """A refused key is set aside for a while: providers that refuse it are not shared."""
        return f"auth-{self.model}" if self.fault in ("status_401", "status_403") else f"first-{self.provider}"

    def asked(self):
        """The offer itself, or a capability in which another offer stands behind it."""
        return f"cap-{self.model}" if self.backed else f"{self.offered_by()}/{self.model}"


def fault_cases():
    for fault, (streamed, seen_streamed, whole, seen_whole) in FAULTS.items():
        for (client, provider), stream, backed in itertools.product(PAIRS, [True, False], [False, True]):
            do, seen = (streamed, seen_streamed) if stream else (whole, seen_whole)
            if backed and seen == ERROR and fault not in NOT_FAILED_OVER:
                seen = OK
            yield fault, client, provider, stream, backed, do, seen


def offset_cases(lengths):
    """Deaths at bytes spread over the whole stream: a different offer takes over or the client is told."""
    for (client, provider), fault in itertools.product(PAIRS, ["cut", "rst_at"]):
        length = lengths[provider]
        offsets = sorted({0, 1, length - 1, *(length * i // OFFSETS for i in range(OFFSETS))})
        for at in offsets:
            yield f"{fault} at {at}", client, provider, True, True, {"fault": fault, "at": at}, OK | CUT


def stream_length(base_url, provider):
    """Bytes of the stream that the cases get. The mark is as long as theirs, and none of theirs."""
    path, body, headers = DIALECTS[provider]("lorem", "40 words, case none", stream=True)
    if provider == "openai":
        body["stream_options"] = {"include_usage": True}
    request = urllib.request.Request(
        base_url.removesuffix("/v1") + path, json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {KEY}", "x-api-key": KEY, **headers},
    )
    with urllib.request.urlopen(request) as answer:
        return len(answer.read())


def config(base_url, cases):
    limits = f"timeouts: {{connect: 1s, first_byte: {IDLE}s, idle: {IDLE}s, total: 20s}}"
    out = ["auth: {keys: required}", "prices: {unpriced: allow, overrides: {"]
    out += [
        f"  {side}/{model}: {{input: 1 USD per 1M, output: 2 USD per 1M}},"
        for side, model in [("first-openai", "timed"), ("second", "lorem")]
    ]
    out += ["}}", "routing: {retries: {max: 0}}", "providers:"]
    offered = {"first-openai": ["timed"], "second": ["lorem"]}
    kinds = {"second": "openai"}
    for case in cases:
        offered.setdefault(case.offered_by(), []).append(case.model)
        kinds[case.offered_by()] = case.provider
    for name, models in offered.items():
        there = f'type: {kinds[name]}, base_url: "{base_url}", key: env:PARTNER_KEY'
        out += [f"  {name}: {{{there}, {limits}, models: [{', '.join(models)}]}}"]
    out += ["capabilities:", "  timed: [first-openai/timed, second/lorem]"]
    out += [f"  cap-{case.model}: [{case.offered_by()}/{case.model}, second/lorem]" for case in cases if case.backed]
    return "\n".join(out) + "\n"


async def play(port, key, cases):
    waiting = iter(cases)

    async def worker():
        for case in waiting:
            question = DIALECTS[case.client](case.asked(), case.mark, stream=case.stream)
            start = time.monotonic()
            try:
                case.answer = await ask(port, question, key, seconds=20)
                case.verdict = verdict(case.answer, case.client, case.stream)
            except asyncio.TimeoutError:
                case.verdict = "hangs"
            case.took = time.monotonic() - start

    await asyncio.gather(*(worker() for _ in range(WORKERS)))


def judge(case, journal, rows):
    """What is wrong with one case."""
    if case.verdict not in case.expected:
        yield f"{case.name()}: {case.verdict} after {case.took:.1f} s instead of {' or '.join(case.expected)}"
        return
    if case.took > IDLE + SLACK:
        yield f"{case.name()}: took {case.took:.1f} s"
    arrivals = [it["model"] for it in journal.arrivals(case.mark)]
    served = [row["model"] for row in rows]
    if sorted(arrivals) != sorted(served):
        yield f"{case.name()}: the partner saw {arrivals}, the ledger has {served}"
    if any(not row["done_at"] for row in rows):
        yield f"{case.name()}: an attempt is not settled"
    if case.fault in BROKEN_OFF and not case.stream and rows and not rows[0]["output"]:
        yield f"{case.name()}: broke off and is accounted as if nothing had been said"
    last = rows[-1]["outcome"] if rows else None
    if (case.verdict == "ok") != (last == "ok"):
        yield f"{case.name()}: the client saw {case.verdict}, the last row says {last}"
    if case.verdict == "cut" and served != [case.model]:
        yield f"{case.name()}: cut after its first byte, and yet tried {served}"
    if case.verdict == "error" and case.backed and case.fault in NOT_FAILED_OVER and served != [case.model]:
        yield f"{case.name()}: the client's own mistake was tried {served}"


def accounted(gateway, partner, key):
    """A partner that takes the request and says nothing: both attempts are in the books, and the sum is right."""
    partner.rule("stall_before_headers", model="timed")
    answer = asyncio.run(ask(gateway.port, DIALECTS["openai"]("timed", "40 words, timed"), key))
    rows = [row for row in attempts(gateway.settled_rows()) if row["capability"] == "timed"]
    offers = [(row["offer"], row["outcome"], row["error"]) for row in rows]
    if answer.status != 200 or offers != [("first-openai/timed", "failed", "timeout"), ("second/lorem", "ok", "none")]:
        yield f"a partner that times out: {answer.status}, rows {offers}"
        return
    if "fallback" not in str(rows[1]["marks"]) and "failover" not in str(rows[1]["marks"]):
        yield f"the second attempt is not marked as the one that took over: {rows[1]['marks']}"
    if rows[0]["usage_quality"] != "bounded":
        yield f"what may have been billed unseen is not bounded: {rows[0]['usage_quality']}"
    for row in rows:
        cost = decimal.Decimal(row["input"] + 2 * row["output"]) / 1_000_000
        if decimal.Decimal(str(row["cost_usd"])) != cost:
            yield f"{row['offer']} costs {row['cost_usd']} instead of {cost}"


def main():
    many_files(1024)
    partner = Partner(JOURNAL, "--unknown-model", "lorem")
    lengths = {kind: stream_length(partner.base_url, kind) for kind in ["openai", "anthropic"]}
    cases = [Case(n, *it) for n, it in enumerate(itertools.chain(fault_cases(), offset_cases(lengths)))]
    gateway = Gateway(config(partner.base_url, cases))
    gateway.start()
    faults = []
    try:
        for case in cases:
            case.rule = {"match": {"model": case.model}, "do": case.do}
        partner.control("POST", "/rules", [case.rule for case in cases])
        key = gateway.key("faults")
        start = time.monotonic()
        asyncio.run(play(gateway.port, key, cases))
        took = time.monotonic() - start
        journal = Journal(JOURNAL)
        rows = {}
        for row in attempts(gateway.settled_rows()):
            rows.setdefault(row["request"], []).append(row)
        for case in cases:
            request = case.answer.headers.get("x-outrigger-request-id") if case.answer else None
            faults += judge(case, journal, sorted(rows.get(request, []), key=lambda row: row["attempt"]))
        faults += accounted(gateway, partner, key)
        if partner.stats()["trapped"]:
            faults.append("a redirect was followed")
        gateway.run("ledger", "verify")
        faults += gateway.panics()
    finally:
        gateway.kill()
        partner.stop()
    counts = {word: sum(case.verdict == word for case in cases) for word in ["ok", "error", "cut"]}
    longest = max(case.took or 0 for case in cases)
    finish(faults, f"{len(FAULTS)} faults and {OFFSETS} offsets in {len(cases)} cases: {counts['ok']} served, "
           f"{counts['error']} errors, {counts['cut']} streams cut; longest {longest:.1f} s, all {took:.0f} s")


main()
