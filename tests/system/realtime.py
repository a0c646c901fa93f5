"""Realtime sessions: each response has a row and a budget covers it before it can begin, whatever begins it.

Sessions that are cut, left or shut down are settled; no spelling of a handshake or of an event gets past the meter.
"""

import base64
import json
import signal
import time

from gateway import KEY, Gateway, Partner, attempts, finish, until
from websocket import BINARY, Closed, Refused, WebSocket

LOUD = base64.b64encode(b"\x10\x20" * 4800).decode()
SILENT = base64.b64encode(b"\x00\x00" * 4800).decode()
# The worst case of a turn: 32,000 tokens of sound in, 4,096 out.
WORST = 32_000 * 32e-6 + 4_096 * 64e-6
PRICES = (
    "input: 4 USD per 1M, output: 16 USD per 1M, cache_read: 0.4 USD per 1M,"
    " audio_input: 32 USD per 1M, audio_output: 64 USD per 1M"
)


def config(first, second):
    provider = '{{type: openai, base_url: "{}", key: env:PARTNER_KEY, models: [gpt-realtime, gpt-realtime-mini, echo]}}'
    return (
        f"auth: {{keys: required}}\nproviders:\n  a: {provider.format(first)}\n  b: {provider.format(second)}\n"
        "capabilities:\n  talk: [a/gpt-realtime, b/gpt-realtime]\n  other: [a/gpt-realtime-mini]\n"
        "budgets:\n  two: {app: two, limit: 2 USD, per: day}\n  small: {app: small, limit: 1 USD, per: day}\n"
        f"prices: {{overrides: {{a/gpt-realtime: {{{PRICES}}}, b/gpt-realtime: {{{PRICES}}}}}}}\n"
        "routing: {circuit: {open_at: 100%, over: 64 calls, probe_after: 1s}}\n"
    )


class Test:
    def __init__(self):
        self.faults, self.figures = [], {}
        self.first, self.second = Partner(), Partner()
        self.gateway = Gateway(config(self.first.base_url, self.second.base_url), server=", drain: 5s")
        self.gateway.start()
        self.keys = {app: self.gateway.key(app) for app in ("app", "two", "small")}

    def check(self, good, what):
        if not good:
            self.faults.append(what)

    def connect(self, model="a/gpt-realtime", app="app", path=None, headers=()):
        socket = WebSocket(
            self.gateway.port, path or f"/v1/realtime?model={model}",
            [("authorization", f"Bearer {self.keys[app]}"), *headers],
        )
        greeting = socket.event()
        self.check(greeting["type"] == "session.created", f"greeted with {greeting}")
        return socket

    def rows(self, socket):
        """The rows of a session, once they are settled."""
        request = socket.headers["x-outrigger-request-id"]

        def found():
            rows = [row for row in attempts(self.gateway.rows()) if row["request"] == request]
            return rows if rows and all(row["done_at"] for row in rows) else None
        rows = until(found, 10, 0.05)
        self.check(rows, f"the session {request} was not settled in time")
        return sorted(rows or [], key=lambda row: (row["call"], row["attempt"]))

    def rule(self, do, partner=None, **more):
        (partner or self.first).control("POST", "/rules", {"match": {}, "do": do, **more})

    def calm(self):
        for partner in (self.first, self.second):
            partner.control("DELETE", "/rules")


def say(socket, text, **response):
    content = [{"type": "input_text", "text": text}]
    socket.send({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}})
    socket.send({"type": "response.create", "response": {"output_modalities": ["text"], **response}})


def turns(test):
    """Text, and sound to which the partner answers by itself: a row each, priced by its buckets."""
    socket = test.connect()
    say(socket, "hello there")
    usages = [socket.until("response.done")[-1]["response"]["usage"]]
    for _ in range(3):
        socket.send({"type": "input_audio_buffer.append", "audio": LOUD})
        socket.send({"type": "input_audio_buffer.append", "audio": SILENT})
        usages.append(socket.until("response.done")[-1]["response"]["usage"])
    socket.close()
    *rows, ahead = test.rows(socket)
    test.check(len(rows) == 4, f"{len(rows)} rows for 4 turns")
    for row, usage in zip(rows, usages):
        told, made = usage["input_token_details"], usage["output_token_details"]
        fresh = told["text_tokens"] - told["cached_tokens_details"]["text_tokens"]
        heard = told["audio_tokens"] - told["cached_tokens_details"]["audio_tokens"]
        buckets = [row[name] for name in ("input", "cache_read", "audio_input", "output", "audio_output")]
        expected = [fresh, told["cached_tokens"], heard, made["text_tokens"], made["audio_tokens"]]
        test.check(buckets == expected, f"buckets {buckets}, not {expected}")
        cost = sum(n * price for n, price in zip(expected, (4e-6, 0.4e-6, 32e-6, 16e-6, 64e-6)))
        test.check(abs(float(row["cost_usd"]) - cost) < 1e-9, f"cost {row['cost_usd']}, not {cost}")
        test.check(abs(float(row["reserved_usd"]) - WORST) < 1e-9, f"reserved {row['reserved_usd']}")
        test.check((row["outcome"], row["endpoint"]) == ("ok", "realtime"), f"row {row}")
    test.check((ahead["finish"], float(ahead["cost_usd"])) == ("unused", 0), f"the turn ahead: {ahead}")
    test.figures["turns"] = len(rows)


def written_down(test):
    """A model that writes down what is said has rows of its own, at its own price."""
    socket = test.connect()
    heard = {"turn_detection": None, "transcription": {"model": "gpt-4o-transcribe"}}
    socket.send({"type": "session.update", "session": {"type": "realtime", "audio": {"input": heard}}})
    socket.until("session.updated")
    socket.send({"type": "input_audio_buffer.append", "audio": LOUD})
    socket.send({"type": "input_audio_buffer.commit"})
    usage = socket.until("conversation.item.input_audio_transcription.completed")[-1]["usage"]
    socket.close()
    rows = test.rows(socket)
    found = [(row["offer"], row["endpoint"], row["audio_input"], row["output"]) for row in rows if row["finish"] != "unused"]
    expected = [("a/gpt-4o-transcribe", "transcription", usage["input_token_details"]["audio_tokens"], usage["output_tokens"])]
    test.check(found == expected, f"written down: {found}, not {expected}")


def budget(test):
    """A budget for one worst case and a half: turns that use little go on, one that uses much is the last but one."""
    test.calm()
    before = test.first.stats()["turns"]
    # 50,000 tokens of output cost 0.8 USD: after one, a worst case still does not fit twice; after two, not once.
    test.rule({"usage": {"output": 40_000}})
    socket = test.connect(app="two")
    say(socket, "one")
    first = socket.until("response.done", "error")[-1]
    test.check(first["type"] == "response.done", f"the first turn: {first}")
    say(socket, "two")
    closed, events = socket.closed()
    kinds = [event["type"] for event in events]
    test.check("response.done" in kinds, f"the second turn was cut: {kinds}")
    test.check(kinds[-1] == "error", f"no word about the budget: {kinds}")
    code = events[-1].get("error", {}).get("code")
    test.check((code, closed.code) == ("insufficient_quota", 1008), f"closed with {code}, {closed}")
    for app in ("two", "small"):
        try:
            test.connect(app=app)
            test.faults.append(f"{app} got a session without a budget")
        except Refused as refused:
            test.check(refused.status == 402, f"{app} was refused with {refused}")
    test.check(test.first.stats()["turns"] - before == 2, "the partner made other responses than two")
    charged = sum(float(row["cost_usd"]) for row in test.rows(socket))
    test.check(charged <= 2, f"a budget of 2 USD was charged {charged}")
    test.figures["charged_usd"] = round(charged, 6)


def cuts(test):
    """The partner breaks off, and so does the client: what ran is settled by its worst case, and nothing stays held."""
    for fault, code in (({"fault": "rst_at", "at": 9, "gap_ms": 5}, 1011), ({"fault": "close", "at": 9, "gap_ms": 5}, 1012)):
        test.calm()
        test.rule(fault)
        socket = test.connect()
        say(socket, "lorem 64")
        closed, events = socket.closed()
        test.check(closed.code == code, f"{fault}: closed with {closed}")
        test.check(code == 1012 or events[-1]["type"] == "error", f"{fault}: no word")
        row, ahead = test.rows(socket)
        test.check((row["outcome"], row["usage_quality"]) == ("interrupted", "bounded"), f"{fault}: {row}")
        test.check(abs(float(row["cost_usd"]) - (32_000 * 4e-6 + 4_096 * 16e-6)) < 1e-9, f"{fault}: {row['cost_usd']}")
        test.check(ahead["finish"] == "unused", f"{fault}: {ahead}")
    test.calm()
    test.rule({"gap_ms": 20})
    socket = test.connect()
    say(socket, "lorem 3000")
    socket.until("response.output_text.delta")
    cancelled = test.first.stats()["in_flight"]
    left = time.monotonic()
    socket.drop()
    gone = until(lambda: test.first.stats()["in_flight"] < cancelled, 5, 0.005)
    took = time.monotonic() - left
    test.check(gone and took < 1, f"the partner saw the client leave after {took:.3f} s")
    row = test.rows(socket)[0]
    test.check((row["outcome"], row["usage_quality"]) == ("client_gone", "bounded"), f"left: {row}")
    test.figures["left_ms"] = round(took * 1000)


def failover(test):
    """Before the switch a session fails over like any request."""
    for do in ({"status": 503}, {"status": 429}, {"fault": "rst"}):
        test.calm()
        test.rule(do, times=1)
        socket = test.connect("talk")
        offer = socket.headers["x-outrigger-offer"]
        test.check(offer == "b/gpt-realtime", f"{do}: served by {offer}")
        socket.close()
        failed = test.rows(socket)[0]
        told = (failed["offer"], failed["outcome"], float(failed["cost_usd"]))
        test.check(told == ("a/gpt-realtime", "failed", 0), f"{failed}")
    test.calm()


def bypass(test):
    """Nothing arrives that is not paid for: wrong keys, wrong models, and events that could be read in two ways."""
    test.calm()
    before = [partner.stats() for partner in (test.first, test.second)]
    bound = json.loads(test.gateway.run("key", "create", "--app", "bound", "--capability", "other", "--json"))
    test.keys["bound"] = bound["key"] if "key" in bound else bound["secret"]
    path, plain = "/v1/realtime?model=", [("authorization", f"Bearer {test.keys['app']}")]
    tries = [
        (path + "a/gpt-realtime", []),
        (path + "a/gpt-realtime", [("authorization", f"Bearer {KEY}")]),
        (path + "a/gpt-realtime", [("authorization", f"Bearer {test.keys['small']}")]),
        (path + "a/gpt-realtime", [("authorization", f"Bearer {test.keys['bound']}")]),
        (path + "a/gpt-realtime", [("sec-websocket-protocol", f"realtime, openai-insecure-api-key.{KEY}")]),
        (path + "talk", [("authorization", f"Bearer {test.keys['bound']}")]),
        (path + "A/GPT-REALTIME", plain),
        (path + "a/gpt-realtime&model=b/gpt-realtime", plain),
        ("/V1/realtime?model=a/gpt-realtime", plain),
        ("/v1/realtime/?model=a/gpt-realtime", plain),
        ("/v1//realtime?model=a/gpt-realtime", plain),
        ("/v1/realtime?model=a%252Fgpt-realtime", plain),
        ("/v1/realtime", plain),
        (path + "a/gpt-realtime", [*plain, ("content-length", "5")]),
        (path + "a/gpt-realtime", [*plain, ("transfer-encoding", "chunked")]),
        (path + "a/gpt-realtime", [*plain, ("upgrade", "h2c")]),
        ("/v1/chat/completions", plain),
    ]
    for at, (target, headers) in enumerate(tries):
        try:
            WebSocket(test.gateway.port, target, headers)
            test.faults.append(f"a session for try {at}: {target}")
        except Refused as refused:
            test.check(400 <= refused.status < 500, f"try {at}: {refused}")
        except Closed:
            test.faults.append(f"try {at} was not answered")
    after = [partner.stats() for partner in (test.first, test.second)]
    test.check([s["arrivals"] for s in after] == [s["arrivals"] for s in before], "a refused handshake reached a partner")
    socket = test.connect()
    turns, events = test.first.stats()["turns"], test.first.stats()["events"]
    unreadable = [
        '{"type":"response.cancel","type":"response.create"}',
        '{"type":"response.cancel","typ\\u0065":"response.create"}',
        '[{"type":"response.create"}]', '{"type":"response.create"', '\ufeff{"type":"response.create"}', "", "null",
        '{"type":"session.update","session":{"type":"realtime","model":"gpt-realtime-mini"}}',
        '{"type":"session.update","session":{"type":"realtime","model":"b/gpt-realtime"}}',
    ]
    for text in unreadable:
        socket.send(text)
        answer = socket.event()
        test.check(answer["type"] == "error", f"{text!r} was answered with {answer['type']}")
    socket.send(b'{"type":"response.create"}', BINARY)
    test.check(socket.event()["type"] == "error", "a binary frame was taken")
    stats = test.first.stats()
    test.check((stats["turns"], stats["events"]) == (turns, events), "an event that can't be read reached the partner")
    # In pieces it is what it is: the first row is this response's.
    socket.send('{"type":"respon', final=False)
    socket.send('se.create","response":{"output_modalities":["text"]}}', 0)
    socket.until("response.done")
    socket.close()
    test.check([row["finish"] for row in test.rows(socket)] == ["stop", "unused"], "a response in pieces has no row")
    test.figures["tries"] = len(tries) + len(unreadable) + 1


def forms(test):
    """A browser's way to bear a key, and Azure's way to name a model: served, and the key stays here."""
    test.calm()
    key = test.keys["app"]
    protocols = ("sec-websocket-protocol", f"realtime, openai-insecure-api-key.{key}, openai-beta.realtime-v1")
    for path, headers in (
        ("/v1/realtime?model=a%2Fgpt-realtime", [protocols]),
        ("/openai/v1/realtime?model=a/gpt-realtime", [("api-key", key)]),
        ("/openai/realtime?api-version=2025-04-01-preview&deployment=talk", [("api-key", key)]),
    ):
        socket = WebSocket(test.gateway.port, path, headers)
        test.check(socket.event()["type"] == "session.created", f"{path}: no session")
        asked = any(name == "sec-websocket-protocol" for name, _ in headers)
        chosen = socket.headers.get("sec-websocket-protocol")
        test.check(chosen == ("realtime" if asked else None), f"{path}: the subprotocol {chosen}")
        socket.close()
    kept = json.dumps(test.first.control("GET", "/requests"))
    test.check(key not in kept and "insecure" not in kept, "a partner saw a client's key")
    test.check("realtime=v1" in kept, "the beta was not passed on")


def revoked(test):
    """A key that is revoked ends its sessions with the turn that runs."""
    made = json.loads(test.gateway.run("key", "create", "--app", "brief", "--json"))
    test.keys["brief"] = test.keys.get("brief") or next(s for s in made.values() if str(s).startswith("or-") and str(s).count("-") == 2)
    socket = test.connect(app="brief")
    test.gateway.run("key", "revoke", test.keys["brief"].split("-")[1])
    say(socket, "one")
    closed, events = socket.closed()
    test.check(closed.code == 1008 and events[-1]["type"] == "error", f"a revoked key: {closed}, {events[-1:]}")


def drain(test):
    """SIGTERM: a session that rests is closed at once, one that speaks when it has spoken."""
    test.calm()
    test.rule({"gap_ms": 10})
    resting, speaking = test.connect(), test.connect()
    say(speaking, "lorem 64")
    speaking.until("response.output_text.delta")
    begun = time.monotonic()
    test.gateway.process.send_signal(signal.SIGTERM)
    closed, _ = resting.closed()
    test.check(closed.code == 1001 and time.monotonic() - begun < 3, f"the session that rested: {closed}")
    closed, events = speaking.closed()
    test.check(closed.code == 1001, f"the session that spoke: {closed}")
    test.check(any(event["type"] == "response.done" for event in events), "a response was cut by the drain")
    code = test.gateway.process.wait(timeout=20)
    test.check(code == 0, f"the gateway ended with {code}")
    test.figures["drained_ms"] = round((time.monotonic() - begun) * 1000)


def main():
    test = Test()
    try:
        for part in (turns, written_down, budget, cuts, failover, bypass, forms, revoked, drain):
            try:
                part(test)
            except (OSError, Closed, Refused, KeyError, IndexError, ValueError) as error:
                test.faults.append(f"{part.__name__}: {type(error).__name__} {error}")
        test.check(not test.gateway.panics(), "the gateway panicked")
        test.gateway.run("ledger", "verify")
        left = [row for row in attempts(test.gateway.rows()) if not row["done_at"]]
        test.check(not left, f"{len(left)} attempts are not settled")
    finally:
        if test.gateway.process.poll() is None:
            test.gateway.kill()
        test.first.stop()
        test.second.stop()
    finish(test.faults, test.figures)


main()
