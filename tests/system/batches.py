"""Files and batches: each lies at one provider, is its application's alone, and costs what the provider's batch price says.

A batch holds its worst case from before it is made until it has ended, through `kill -9`; costs are compared with what
`outrigger model price --mode batch` says of the row's own tokens.
"""

import json
import os
import subprocess
import urllib.error
import urllib.request
import uuid
from decimal import Decimal

from gateway import KEY, Gateway, Partner, attempts, finish, until

FAULTS = []


def config(base_url):
    more = f'base_url: "{base_url}", key: env:PARTNER_KEY'
    return (
        "auth: {keys: required}\nproviders:\n"
        f"  openai: {{type: openai, {more}}}\n  other: {{type: openai, {more}, models: [echo]}}\n"
        f"  anthropic: {{type: anthropic, {more}}}\n"
        "capabilities: {fast: [openai/gpt-5-mini], claude: [anthropic/claude-haiku-4-5]}\n"
        "teams: {walled: {capabilities: [claude]}}\n"
        "budgets:\n  poor: {app: poor, limit: 0.000001 USD, per: month}\n  tight: {app: tight, limit: 0.15 USD, per: month}\n"
    )


def check(what, found, wanted):
    if found != wanted:
        FAULTS.append(f"{what}: {found}, expected {wanted}")


class Client:
    """One application, or, with the partner's own key and address, the partner's owner."""

    def __init__(self, base, key):
        self.base, self.key = base, key

    def ask(self, method, path, body=None, kind="application/json", **headers):
        """(status, headers, body)"""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        said = {"authorization": f"Bearer {self.key}", "content-type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
        request = urllib.request.Request(self.base + path, data=data, method=method, headers=said)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def json(self, method, path, body=None, **headers):
        status, _, said = self.ask(method, path, body, **headers)
        return status, json.loads(said)

    def upload(self, lines, **headers):
        text = "\n".join(it if isinstance(it, str) else json.dumps(it) for it in lines)
        edge = uuid.uuid4().hex
        form = (
            f'--{edge}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--{edge}\r\n'
            f'content-disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n{text}\r\n--{edge}--\r\n'
        )
        status, _, said = self.ask("POST", "/files", form.encode(), f"multipart/form-data; boundary={edge}", **headers)
        return status, json.loads(said)

    def batch(self, *lines):
        """(status, headers, batch) of a batch of these lines at `openai`."""
        status, file = self.upload(lines, x_outrigger_provider="openai")
        if status != 200:
            return status, {}, file
        ask = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        status, headers, said = self.ask("POST", "/batches", ask)
        return status, headers, json.loads(said)

    def ended(self, path, status="status", ends=("completed", "failed", "expired", "cancelled", "ended"), **headers):
        """The batch, asked for until it has ended."""
        return until(lambda: (it := self.json("GET", path, **headers)[1]).get(status) in ends and it, 20, 0.02)


def line(name, model="gpt-5-mini", text="hello there"):
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_completion_tokens": 1000}
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def row_of(gateway, request):
    return next((row for row in attempts(gateway.rows()) if row["request"] == request), None)


def settled(gateway, request, what):
    """The row of a batch, once it is settled, and priced as batches are."""
    row = until(lambda: (it := row_of(gateway, request)) and it["done_at"] and it, 30, 0.1)
    if not row:
        FAULTS.append(f"{what}: its row is not settled: {row_of(gateway, request)}")
        return None
    command = [os.environ["OUTRIGGER_BIN"], "model", "price", row["offer"], "--mode", "batch", "--json"]
    command += ["--input", str(row["input"]), "--output", str(row["output"] + row["reasoning"]), "--cache-read", str(row["cache_read"])]
    said = json.loads(subprocess.run(command, env=gateway.env, capture_output=True, text=True, check=True).stdout)
    check(f"{what}: its cost", Decimal(row["cost_usd"]), Decimal(said["cost_usd"]))
    check(f"{what}: its endpoint", row["endpoint"], "batches")
    if row["input"] == 0:
        FAULTS.append(f"{what}: nothing was used")
    return row


def files(one, other):
    status, said = one.upload([line("a")])
    check("an upload to nobody", (status, said["error"]["outrigger"]["code"]), (400, "provider_not_said"))
    if "`openai`, `other`" not in said["error"]["message"]:
        FAULTS.append(f"an upload to nobody does not say who there is: {said}")
    status, file = one.upload([line("a")], x_outrigger_provider="openai")
    check("an upload", (status, file.get("purpose")), (200, "batch"))
    path = f"/files/{file['id']}"
    check("its content", one.ask("GET", path + "/content")[2].decode(), json.dumps(line("a")))
    for who, found in ((one, 200), (other, 404)):
        check("a file", [who.json("GET", path)[0], who.ask("GET", path + "/content")[0]], [found, found])
    check("another's deletion", other.json("DELETE", path)[0], 404)
    check("lists", [[it["id"] for it in who.json("GET", "/files")[1]["data"]] for who in (one, other)], [[file["id"]], []])
    check("a deletion", one.json("DELETE", path)[1].get("deleted"), True)
    check("a dry run", one.json("POST", "/batches", {}, x_outrigger_dry_run="true")[0], 400)
    check("a file that is gone", one.json("GET", path)[0], 404)
    for lines, place, word in (
        ([line("a"), "{"], "line 2", "JSON"), ([line("a", "fast")], "line 1", "capability"),
        ([line("a", "openai/gpt-5-mini")], "line 1", "offer"), ([line("a"), "", line("b", "gpt-5")], "line 3", "one model"),
        ([{**line("a"), "url": "/v1/videos"}], "line 1", "url"), ([], "file", "no request"),
    ):
        status, said = one.upload(lines, x_outrigger_provider="openai")
        message = said["error"]["message"] if status != 200 else ""
        if status != 400 or place not in message or word not in message:
            FAULTS.append(f"lines {lines} were answered with {status} {said}")


def batches(gateway, one, other, poor):
    status, headers, batch = one.batch(line("a"), line("b", text="hello again"))
    check("a batch", (status, batch.get("status")), (200, "validating"))
    request = headers["x-outrigger-request-id"]
    row = row_of(gateway, request)
    check("its row", (row and row["offer"], row and row["done_at"]), ("openai/gpt-5-mini", None))
    path = f"/batches/{batch['id']}"
    check("another's batch", [other.json("GET", path)[0], other.json("POST", path + "/cancel")[0]], [404, 404])
    batch = one.ended(path)
    settled(gateway, request, "a batch")
    content = one.ask("GET", f"/files/{batch['output_file_id']}/content")[2].decode()
    check("its output", [json.loads(it)["custom_id"] for it in content.splitlines()], ["a", "b"])
    check("another's output", other.ask("GET", f"/files/{batch['output_file_id']}/content")[0], 404)
    check("the list", [it["status"] for it in one.json("GET", "/batches")[1]["data"]], ["completed"])
    check("a batch beyond a budget", poor.batch(line("a"))[0], 402)
    status, headers, batch = one.batch(line("a"), line("expire-b"))
    late = one.ended(f"/batches/{batch['id']}")
    check("a late batch", late["status"], "expired")
    settled(gateway, headers["x-outrigger-request-id"], "a late batch")


def claude(gateway, one, walled):
    more = {"anthropic_version": "2023-06-01"}
    def request(name, model="claude-haiku-4-5"):
        return {"custom_id": name, "params": {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": f"hello {name}"}]}}
    ask = {"requests": [request("a"), request("b"), request("expire")]}
    for who in (one, walled):
        status, headers, said = who.ask("POST", "/messages/batches", ask, **more)
        check("a message batch", status, 200)
        batch = json.loads(said)
        path = f"/messages/batches/{batch['id']}"
        batch = who.ended(path, "processing_status", **more)
        check("its results' address", batch["results_url"], f"/v1{path}/results")
        results = who.ask("GET", path + "/results", **more)[2].decode().splitlines()
        check("its results", [json.loads(it)["result"]["type"] for it in results], ["succeeded", "succeeded", "expired"])
        settled(gateway, headers["x-outrigger-request-id"], "a message batch")
    check("a bound key elsewhere", walled.json("POST", "/messages/batches", {"requests": [request("a", "claude-opus-4-5")]}, **more)[0], 403)
    mixed = {"requests": [request("a"), request("b", "claude-opus-4-5")]}
    check("two models", one.json("POST", "/messages/batches", mixed, **more)[0], 400)
    check("an error's shape", one.json("GET", "/messages/batches/msgbatch_x", **more)[1]["type"], "error")


def killed(gateway, partner, tight):
    """A batch's reservation outlives the process, and is settled by what was used although its client never asks."""
    # Each holds more than half of the budget: 1,000 answers of 1,000 tokens at 1 USD a million, and the questions.
    lines = [line(f"stay-{n}", text="x" * 64) for n in range(90)]
    status, headers, batch = tight.batch(*lines)
    check("the first batch", status, 200)
    check("a second beside it", tight.batch(*lines)[0], 402)
    gateway.kill()
    gateway.start()
    check("a second after a kill", tight.batch(*lines)[0], 402)
    path = f"/batches/{batch['id']}"
    check("its cancellation", tight.json("POST", path + "/cancel")[0], 200)
    gateway.kill()
    owner = Client(partner.base_url, KEY)
    check("the partner's end", owner.ended(path)["status"], "cancelled")
    gateway.start()
    settled(gateway, headers["x-outrigger-request-id"], "a batch that ended unseen")
    check("a second once it has ended", tight.batch(*lines)[0], 200)


def main():
    partner = Partner(None, "--unknown-model", "echo")
    gateway = Gateway(config(partner.base_url))
    gateway.start()
    try:
        base = f"http://127.0.0.1:{gateway.port}/v1"
        one, other, poor, tight = (Client(base, gateway.key(app)) for app in ("one", "other", "poor", "tight"))
        made = json.loads(gateway.run("key", "create", "--app", "walled", "--team", "walled", "--json"))
        files(one, other)
        batches(gateway, one, other, poor)
        claude(gateway, one, Client(base, made["secret"]))
        killed(gateway, partner, tight)
        gateway.run("ledger", "verify")
        FAULTS.extend(gateway.panics())
    finally:
        gateway.kill()
        partner.stop()
    finish(FAULTS, "files and batches: one provider, one application, the batch price, reservations through 2 kills")


main()
