"""A real inference server with real weights behind the gateway: llama.cpp and SmolLM2-135M-Instruct on this machine.

One question at temperature 0 in every form: six dialects of the client, both of the server, whole and streamed. All
give the text that the server itself gives. What the ledger says was used is what the server says, in its answers and
in its own counters; what it cost is computed here once more.
"""

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
from decimal import Decimal

from client import DIALECTS, ask, verdict
from dialects import anthropic_usage, events, heard, openai_usage, question
from gateway import Gateway, finish, get, skip

PYTHON = os.environ["INFERENCE_PYTHON"]
TEXT, LIMIT = "Name three colours.", 24
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "green", "blue"]}, "ripe": {"type": "boolean"}},
    "required": ["colour", "ripe"],
    "additionalProperties": False,
}
# USD per million fresh tokens, cached ones, and tokens of output: a token costs no whole number of pico-dollars.
PRICES = {
    "local": ("0.1500007", "0.0150003", "0.6000009"),
    "by-chat": ("0.2500001", "0.0250007", "1.0000003"),
    "by-messages": ("0.3500009", "0.0350001", "1.4000007"),
    "vectors": ("0.0200003", "0.0020001", "0"),
}
# (dialect, streamed, usage asked for)
OWN = [
    ("openai", False, False),
    ("openai", True, False),
    ("openai", True, True),
    ("anthropic", False, False),
    ("anthropic", True, False),
]
FORMS = OWN + [(d, streamed, False) for d in ["responses", "gemini", "bedrock", "cohere"] for streamed in (False, True)]
# (provider, what it may be asked in, how it is asked in another dialect than those, what clients ask it)
SENT = [
    ("local", ["openai-chat", "anthropic-messages"], "openai-chat", FORMS),
    ("by-chat", ["openai-chat"], "openai-chat", OWN),
    ("by-messages", ["anthropic-messages"], "anthropic-messages", FORMS),
]


class Server:
    """A llama.cpp server, ended with the test."""

    def __init__(self, port=0, *more):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "llama_server.py")
        self.log = f"llama-{port}-{'-'.join(more)}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [PYTHON, script, str(port), *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        line = self.process.stdout.readline()
        if not line:
            self.died()
        ready = json.loads(line)
        self.address, self.model = ready["address"], ready["model"]
        self.port = int(self.address.rsplit(":", 1)[1])

    def died(self):
        code = self.process.wait()
        with open(self.log) as log:
            said = log.read()[-4000:]
        if code == -signal.SIGILL:
            skip("llama.cpp's build needs AVX2, which this processor lacks")
        if "cannot open shared object file" in said:
            skip(f"llama.cpp's library can't be loaded: {said.splitlines()[-1]}")
        raise SystemExit(f"llama.cpp's server ended with {code}:\n{said}")

    def counters(self):
        """Tokens it read anew, took from its cache, and wrote, since its start."""
        lines = (line.rsplit(" ", 1) for line in get(self.address + "/metrics")[1].splitlines())
        found = {pair[0]: float(pair[1]) for pair in lines if pair[0].startswith("llamacpp:") and len(pair) == 2}
        names = ["prompt_tokens_total", "prompt_tokens_cached_total", "tokens_predicted_total"]
        return [int(found["llamacpp:" + name]) for name in names]

    def stop(self):
        self.process.kill()
        self.process.wait()


def put(port, asked, key=None):
    answer = asyncio.run(ask(port, asked, key, seconds=60))
    if answer.status != 200 or not answer.whole:
        raise SystemExit(f"{asked[0]}: status {answer.status}, whole: {answer.whole}: {answer.body.decode()}")
    return answer


def form(model, dialect, stream, usage):
    return question(dialect, model, TEXT, LIMIT, stream, usage)


def pico(usd):
    return int(Decimal(usd).scaleb(12))


def cost(provider, used):
    """Pico-dollars: all products added, divided once, rounded half up."""
    total = sum(tokens * pico(price) for tokens, price in zip(used, PRICES[provider]))
    return (total + 500_000) // 1_000_000


def config(server, vectors):
    def provider(name, address, more=""):
        return f'  {name}: {{type: llama.cpp, base_url: "{address}/v1", models: [{server.model}]{more}}}\n'

    prices = "".join(
        f"    {name}/{server.model}: {{input: {i} USD per 1M, cache_read: {c} USD per 1M, output: {o} USD per 1M}}\n"
        for name, (i, c, o) in PRICES.items()
    )
    return (
        "auth: {keys: required}\nledger: {durability: strict}\nproviders:\n"
        + provider("local", server.address)
        + provider("by-chat", server.address, ", dialects: [openai-chat]")
        + provider("by-messages", server.address, ", dialects: [anthropic-messages]")
        + provider("vectors", vectors.address)
        + f"prices:\n  unpriced: reject\n  overrides:\n{prices}"
    )


class Check:
    """Answers beside the rows that they left."""

    def __init__(self, gateway, key):
        self.gateway, self.key, self.faults, self.charges = gateway, key, [], {}

    def fault(self, name, *what):
        self.faults.append(f"{name}: " + " ".join(str(w) for w in what))

    def row(self, name, answer):
        request = answer.headers["x-outrigger-request-id"]
        rows = [row for row in self.gateway.settled_rows() if row["request"] == request]
        if len(rows) != 1:
            raise SystemExit(f"{name}: {len(rows)} rows in the ledger")
        return rows[0]

    def charged(self, name, answer, used, dialect=None):
        """The row of an answer that used so much."""
        row = self.row(name, answer)
        provider = row["provider"]
        if (row["outcome"], row["usage_quality"]) != ("ok", "reported"):
            self.fault(name, row["outcome"], row["usage_quality"])
        if (row["input"], row["cache_read"], row["output"]) != tuple(used):
            self.fault(name, "the ledger has", row["input"], row["cache_read"], row["output"], "the server said", used)
        if row["reasoning"] or row["cache_write"]:
            self.fault(name, "tokens that nobody made:", row)
        due = cost(provider, used)
        if pico(row["cost_usd"]) != due:
            self.fault(name, "cost", row["cost_usd"], f"and not {due} pico-USD")
        if answer.headers.get("x-outrigger-cost", row["cost_usd"]) != row["cost_usd"]:
            self.fault(name, "the header says", answer.headers["x-outrigger-cost"], "the ledger", row["cost_usd"])
        if dialect and row["provider_dialect"] != dialect:
            self.fault(name, "was sent as", row["provider_dialect"])
        self.charges.setdefault(provider, []).append((due, used))
        return row


def forms(check, server):
    """Every form through every provider gives the server's own text."""
    asked = [form(server.model, *it) for it in OWN]
    put(server.port, asked[0])  # from here on the server has the question in its cache, and reads one token anew
    own = [heard(it[0], put(server.port, asking), it[1]) for asking, it in zip(asked, OWN)]
    text, ended, total = own[0]
    if len(text) < 40 or ended != "limit" or any(it[:2] != (text, ended) for it in own):
        raise SystemExit(f"the server does not answer alike by itself: {own}")
    cases = [(provider, native, sent, it) for provider, native, sent, asks in SENT for it in asks]
    for provider, native, sent, (dialect, stream, more) in cases:
        name = f"{dialect} to {provider}{', streamed' if stream else ''}{', with usage' if more else ''}"
        before = server.counters()
        answer = put(check.gateway.port, form(f"{provider}/{server.model}", dialect, stream, more), check.key)
        counted = [now - then for now, then in zip(server.counters(), before)]
        got, why, told = heard(dialect, answer, stream)
        if (got, why) != (text, ended):
            check.fault(name, "answered", repr(got), why, "and not", repr(text), ended)
        if told is None and (more or not stream or dialect != "openai"):
            check.fault(name, "tells no usage")
        if told is not None and list(told) != counted:
            check.fault(name, "told", told, "the server counted", counted)
        if stream and len(events(answer)) < total[2]:
            check.fault(name, f"came in only {len(events(answer))} events")
        if counted[0] + counted[1] != total[0] + total[1] or counted[2] != total[2]:
            check.fault(name, "the server counted", counted, "and said", total)
        spoken = {"openai": "openai-chat", "anthropic": "anthropic-messages"}.get(dialect)
        check.charged(name, answer, counted, spoken if spoken in native else sent)
    return text, total


def structured(check, server):
    """A schema binds the answer, asked for in either dialect: the server's Messages would not heed it, so it is asked in
    its chat API. Where only Messages may be used, the client is told what was lost."""
    body = {"max_tokens": 64, "temperature": 0}
    format = {"type": "json_schema", "json_schema": {"name": "fruit", "strict": True, "schema": SCHEMA}}
    asked = {
        "openai": {**body, "response_format": format},
        "anthropic": {**body, "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    }
    for provider, dialect in itertools.product(["local", "by-chat"], asked):
        name = f"structured, {dialect} to {provider}"
        asking = DIALECTS[dialect](f"{provider}/{server.model}", "Describe a ripe tomato.", **asked[dialect])
        answer = put(check.gateway.port, asking, check.key)
        text, _, told = heard(dialect, answer, False)
        try:
            said = json.loads(text)
        except ValueError:
            said = text
        known = isinstance(said, dict) and said.get("colour") in SCHEMA["properties"]["colour"]["enum"]
        if not known or set(said) != {"colour", "ripe"} or not isinstance(said["ripe"], bool):
            check.fault(name, "answered", said)
        check.charged(name, answer, told, "openai-chat")
    asking = DIALECTS["openai"](f"by-messages/{server.model}", "Describe a ripe tomato.", **asked["openai"])
    answer = put(check.gateway.port, asking, check.key)
    if "response_format=approximated" not in answer.headers.get("x-outrigger-loss", ""):
        check.fault("structured, to by-messages", "lost without a word:", answer.headers)
    check.charged("structured, to by-messages", answer, heard("openai", answer, False)[2], "anthropic-messages")


def refused(check, server):
    """Too long for the model: an error in the client's shape, whoever worded it, and nothing to pay."""
    for provider, dialect in itertools.product(["local", "by-chat", "by-messages"], DIALECTS):
        name = f"too long, {dialect} to {provider}"
        asking = DIALECTS[dialect](f"{provider}/{server.model}", "word " * 6000, max_tokens=8)
        answer = asyncio.run(ask(check.gateway.port, asking, check.key))
        if answer.status != 400 or verdict(answer, dialect, False) != "error" or b"context size" not in answer.body:
            check.fault(name, answer.status, answer.body)
        row = check.row(name, answer)
        if (row["outcome"], row["error"], pico(row["cost_usd"])) != ("failed", "context_too_long", 0):
            check.fault(name, row["outcome"], row["error"], row["cost_usd"])


def tokens(check, server, total):
    """Counted by the server, and free."""
    _, body, headers = form(f"local/{server.model}", "anthropic", False, False)
    body = {name: value for name, value in body.items() if name not in ("temperature", "max_tokens")}
    answer = put(check.gateway.port, ("/v1/messages/count_tokens", body, headers), check.key)
    if answer.json() != {"input_tokens": total[0] + total[1]}:
        check.fault("count_tokens", answer.body, "and not", total)
    row = check.row("count_tokens", answer)
    if row["outcome"] != "ok" or pico(row["cost_usd"]) != 0:
        check.fault("count_tokens", row["outcome"], row["cost_usd"])


def embeddings(check, vectors):
    """The server's vectors, number for number."""
    body = {"model": vectors.model, "input": ["a ripe tomato", "a pear"]}
    own = put(vectors.port, ("/v1/embeddings", body, {})).json()
    named = {**body, "model": f"vectors/{vectors.model}"}
    answer = put(check.gateway.port, ("/v1/embeddings", named, {}), check.key)
    got = answer.json()
    if got["data"] != own["data"] or len(got["data"]) != 2 or len(got["data"][0]["embedding"]) != 576:
        check.fault("embeddings", "are not the server's")
    check.charged("embeddings", answer, openai_usage(own["usage"]))


def books(check, model):
    """The ledger proves itself, and its sums are those of the rows that were checked one by one."""
    check.gateway.run("ledger", "verify")
    everything = []
    for provider, charges in check.charges.items():
        summed(check, "provider", provider, charges)
        everything += charges
    summed(check, "model", model, everything)


def summed(check, by, group, charges):
    """What `outrigger usage` shows."""
    rows = json.loads(check.gateway.run("usage", "--by", by, "--json"))["rows"]
    found = [
        [pico(row["cost_usd"]), row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]]
        for row in rows if row["group"] == group
    ]
    due = [sum(c for c, _ in charges), *(sum(used[i] for _, used in charges) for i in range(3))]
    if found != [due]:
        check.fault(f"usage --by {by}", group, found, "and not", due)


def usual_port_is_free():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return s.connect_ex(("127.0.0.1", 8080)) != 0


def found_by_itself(faults):
    """Without a file the gateway finds a server at llama.cpp's usual port."""
    if not usual_port_is_free():
        return "discovery left out, something listens at port 8080"
    server = Server(8080)
    home = os.path.abspath("home")
    os.makedirs(home)
    gateway = Gateway("", folder="found")
    os.remove(gateway.file)
    gateway.env = {
        "PATH": os.environ["PATH"], "HOME": home,
        "OUTRIGGER__SERVER__API": f"127.0.0.1:{gateway.port}", "OUTRIGGER__SERVER__ADMIN": f"127.0.0.1:{gateway.admin}",
    }
    gateway.start()
    try:
        if "llama.cpp" not in gateway.logged():
            faults.append(f"the first lines don't name the server that was found:\n{gateway.logged()}")
        texts = set()
        for dialect, stream, more in OWN:
            answer = put(gateway.port, form(f"llama.cpp/{server.model}", dialect, stream, more))
            texts.add(heard(dialect, answer, stream)[0])
        if len(texts) != 1:
            faults.append(f"found by itself, it answered {texts}")
    finally:
        gateway.kill()
        server.stop()
    return "found by itself at port 8080"


def main():
    server, vectors = Server(), Server(0, "embeddings")
    gateway = Gateway(config(server, vectors))
    gateway.start()
    try:
        check = Check(gateway, gateway.key("inference"))
        text, total = forms(check, server)
        structured(check, server)
        refused(check, server)
        tokens(check, server, total)
        embeddings(check, vectors)
        books(check, server.model)
        check.faults += gateway.panics()
    finally:
        gateway.kill()
        server.stop()
        vectors.stop()
    found = found_by_itself(check.faults)
    charges = [c for charges in check.charges.values() for c, _ in charges]
    finish(
        check.faults,
        f"{len(charges)} answers priced, {sum(charges)} pico-USD in all, {sum(len(it[3]) for it in SENT)} of them equal: {text[:40]!r}...; {found}",
    )


main()
