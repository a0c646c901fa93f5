"""Canaries in every secret, prompt, answer and tool argument, over every error path, at log level `trace`.

A prompt or an answer may be seen by the provider and by the client that sent or got it, and by nobody else; a key by
whom it is for. Looked at: output, logs, metrics, admin API, the ledger's files, exports, and what clients are told.
"""

import asyncio
import base64
import itertools
import os
import urllib.parse

from client import DIALECTS, ask
from gateway import LONG, Gateway, Partner, finish, get, many_files, strings

PARTNER_SECRET = "sk-CANARYPROVIDERKEY7f3a"
REFUSED_SECRET = "sk-CANARYREFUSEDKEY91bb"
HEADER_SECRET = "CANARYHEADERSECRET55d0"
PROMPT = "CANARYPROMPTe1c8"
ANSWER = "CANARYANSWER40ad"
TOOL = "CANARYTOOLARGS77fe"
STOP = "CANARYSTOPWORD3c3c"
# Names of fields and paths: an error may tell them to the client that used them.
NAME = "CANARYNAMEb20d"
ADMIN = "or-admin-CANARYADMINTOKEN2a2a"
SECRETS = [PARTNER_SECRET, REFUSED_SECRET, HEADER_SECRET]
TEXTS = [PROMPT, ANSWER, TOOL, STOP]

FAULTS = [
    {}, "close", "rst", "stall_before_headers", "stall_after_headers", {"fault": "stall_at", "at": 900}, "rst_after_headers",
    {"fault": "cut", "at": 900}, {"fault": "cut", "at": 20}, "truncated_chunked", "length_too_long", "length_too_short",
    "html_200", "error_200", "empty_200", "bad_json", "gzip_bomb", "infinite_headers", "flood_1xx", "redirect", "garbage",
    "double_answer", {"error_first": True}, {"error_after": 3}, {"missing_done": True},
    *({"status": n} for n in (400, 401, 402, 403, 404, 408, 413, 429, 500, 503, 529)),
]


def config(base_url):
    limits = "timeouts: {connect: 1s, first_byte: 300ms, idle: 300ms, total: 5s}"
    out = ["auth: {keys: required}", "telemetry: {log: trace, log_format: json}", "routing: {retries: {max: 1}}"]
    out += ["prices: {unpriced: allow}", "providers:"]
    for number in range(len(FAULTS)):
        for kind in ["openai", "anthropic"]:
            out.append(
                f'  {kind}-{number}: {{type: {kind}, base_url: "{base_url}", key: env:CANARY_KEY, {limits},'
                f" headers: {{x-team-token: env:CANARY_HEADER}}, models: [m{number}]}}"
            )
    out.append(f'  refused: {{type: openai, base_url: "{base_url}", key: env:CANARY_REFUSED, {limits}, models: [echo]}}')
    # A dead address with secrets in every part of what is configured about it.
    out.append(f'  dead: {{type: openai, base_url: "http://127.0.0.1:9/v1", key: env:CANARY_KEY, {limits}, models: [echo]}}')
    out.append("budgets: {none: {app: poor, limit: 1 requests, per: month}}")
    return "\n".join(out) + "\n"


TOOLS = {
    "openai": [{"type": "function", "function": {"name": "look", "description": TOOL, "parameters": {
        "type": "object", "properties": {"where": {"type": "string", "enum": [TOOL]}}}}}],
    "anthropic": [{"name": "look", "description": TOOL, "input_schema": {
        "type": "object", "properties": {"where": {"type": "string", "enum": [TOOL]}}}}],
}


def broken(key):
    """Requests of clients that get them wrong, each with canaries inside."""
    body = '{"model":"openai-0/m0","messages":[{"role":"user","content":"%s"}]' % PROMPT
    yield body.encode()
    yield (body + ',"model":"%s"}' % PROMPT).encode()
    yield (body + ',"%s":1,"%s":2}' % (NAME, NAME)).encode()
    yield (body + ',"max_tokens":"%s"}' % PROMPT).encode()
    yield (body + ',"stream":"%s"}' % PROMPT).encode()
    yield (body + ',"tools":"%s"}' % TOOL).encode()
    yield (body + ',"temperature":"%s"}' % PROMPT).encode()
    yield body.encode().replace(PROMPT.encode(), PROMPT.encode() + b"\xff")
    yield f'["{PROMPT}"]'.encode()
    yield f"{PROMPT}".encode()
    yield b"[" * 200 + PROMPT.encode()


async def play(gateway, key, poor, faults):
    """What clients are told: a list of (what was sent, the answer)."""
    port, told, tasks = gateway.port, [], []
    limit = asyncio.Semaphore(8)

    async def one(name, question, key, own=TEXTS):
        async with limit:
            try:
                answer = await ask(port, question, key, seconds=20)
            except asyncio.TimeoutError:
                faults.append(f"{name}: hangs")
                return
        told.append((name, own, answer))

    for (number, _), client, kind, stream in itertools.product(enumerate(FAULTS), DIALECTS, ["openai", "anthropic"], [True, False]):
        path, body, headers = DIALECTS[client](f"{kind}-{number}/m{number}", f"40 {PROMPT}", stream=stream)
        body["tools"] = TOOLS[client]
        body["stop" if client == "openai" else "stop_sequences"] = [STOP]
        name = f"{FAULTS[number]}, {client} to {kind}, stream {stream}"
        tasks.append(one(name, (path, body, {**headers, "x-custom": PROMPT}), key))
    for client in DIALECTS:
        for provider in ["refused", "dead"]:
            tasks += [one(provider, DIALECTS[client](f"{provider}/echo", PROMPT), key) for _ in range(3)]
        tasks += [one("poor", DIALECTS[client]("openai-0/m0", PROMPT), poor) for _ in range(3)]
        # What a client says wrongly about itself is not repeated to the log either.
        for wrong in ["or-CANARYWRONGKEY-" + "x" * 32, PARTNER_SECRET, key[:-1] + "0", key + "A", "CANARYWRONGKEY"]:
            tasks.append(one("wrong key", DIALECTS[client]("openai-0/m0", PROMPT), wrong))
        for body in broken(key):
            path, _, headers = DIALECTS[client]("", "")
            tasks.append(one(f"broken {body[:60]}", (path, body, headers), key))
        path, body, headers = DIALECTS[client]("openai-0/m0", PROMPT)
        tasks.append(one("path", (path + f"/{NAME}", body, headers), key))
        tasks.append(one("query", (path + f"?{NAME}={PROMPT}", body, headers), key))
        tasks.append(one("coded", (path, body, {**headers, "content-encoding": "gzip"}), key))
        tasks.append(one("header", (path, body, {**headers, "anthropic-version": PROMPT, "x-mock": PROMPT}), key))
    await asyncio.gather(*tasks)
    return told


def forms(word):
    """The word as it would be found in text, files, URLs and base64."""
    raw = word.encode()
    found = {raw, urllib.parse.quote(word).encode(), raw.hex().encode(), raw.hex().upper().encode()}
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw)
        found.add(coded[4 if shift else 0:-4])
    return found


def hits(where, data, words):
    data = data if isinstance(data, bytes) else data.encode()
    for word in words:
        for form in forms(word):
            at = data.find(form)
            if at >= 0:
                yield f"{where}: {word} stands there: {data[max(0, at - 120):at + 60]!r}"
                break


def outputs(gateway, token, ids):
    """Everything that the gateway and its commands say and keep, by where."""
    with open(gateway.log_file, "rb") as f:
        yield "log", f.read()
    for path in ["/metrics", "/v1/outrigger/status", "/v1/outrigger/keys", "/v1/outrigger/budgets", "/v1/outrigger/providers",
                 "/v1/outrigger/route/openai-0%2Fm0", "/v1/outrigger/ledger/verify", "/readyz", "/openapi.json",
                 *(f"/v1/outrigger/requests/{request}" for request in ids)]:
        status, text = get(f"http://127.0.0.1:{gateway.admin}{path}", token)
        if status != 200:
            yield "admin", f"CANARYBROKENTEST {path} {status}"
        yield f"admin {path}", text
    for args in ["ledger export --format jsonl", "ledger export --format csv", "ledger query", "ledger query --json", "usage",
                 "usage --json", "key ls --json", "config show", "config show --json", "provider ls --json", "doctor", "model ls"]:
        yield args, gateway.run(*args.split(), check=False)
    for request in ids[:20]:
        for args in [["ledger", "show", request, "--json"], ["route", "why", request]]:
            yield " ".join(args), gateway.run(*args, check=False)
    for at, _, names in os.walk(gateway.data):
        for name in names:
            if name not in ("admin-token", "master-key", "master.key"):
                with open(os.path.join(at, name), "rb") as f:
                    yield f"data/{name}", f.read()


def main():
    many_files(1024)
    partner = Partner(None, "--key", PARTNER_SECRET, "--unknown-model", "lorem")
    secrets = {"CANARY_KEY": PARTNER_SECRET, "CANARY_REFUSED": REFUSED_SECRET, "CANARY_HEADER": HEADER_SECRET, "OUTRIGGER_ADMIN_TOKEN": ADMIN}
    gateway = Gateway(config(partner.base_url), env=secrets)
    gateway.start()
    faults, looked, size = [], 0, 0
    try:
        rules = []
        for number, do in enumerate(FAULTS):
            do = {"fault": do} if isinstance(do, str) else dict(do)
            if "status" not in do:
                do["text"] = f"{ANSWER} and some more words, so that there is a middle. " * 6
            rules.append({"match": {"model": f"m{number}"}, "do": do})
        partner.control("POST", "/rules", rules)
        # One of the two is kept sealed, beside its hash.
        key, poor = gateway.key("canary", "aws"), gateway.key("poor")
        told = asyncio.run(play(gateway, key, poor, faults))
        gateway.settled_rows()
        # The secret part of a virtual key; its public part is its name.
        virtual = [key.split("-")[2], poor.split("-")[2]]
        ids = [answer.headers["x-outrigger-request-id"] for _, _, answer in told if "x-outrigger-request-id" in answer.headers]
        sample = ids if LONG else ids[::7]
        for where, data in outputs(gateway, ADMIN, sample):
            looked, size = looked + 1, size + len(data)
            faults += hits(where, data, SECRETS + TEXTS + virtual + ["CANARYBROKENTEST", "CANARYWRONGKEY", NAME, ADMIN])
        for name, _, answer in told:
            text = b"\n".join(f"{k}: {v}".encode() for k, v in answer.headers.items()) + b"\n" + answer.body
            faults += hits(f"answer to {name}", text, SECRETS + virtual)
            # An error of ours tells about the request, not of it.
            if answer.status >= 400:
                faults += hits(f"error for {name}", text, TEXTS)
        good = sum(answer.status == 200 for _, _, answer in told)
        if good < 20 or len(told) - good < 200:
            faults.append(f"{good} answers and {len(told) - good} errors: this test tested nothing")
        if gateway.process.poll() is not None:
            faults.append("the gateway ended")
        faults += gateway.panics()
    finally:
        gateway.kill()
        partner.stop()
    finish(sorted(set(faults)), f"{len(told)} requests over {len(FAULTS)} faults; {looked} outputs with {size / 1e6:.0f} MB looked through")


main()
