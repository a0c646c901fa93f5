"""`kill -9` at random moments under 50 concurrent mixed requests.

After every kill the gateway starts again on the same ledger, which must verify. At the end:

- every answer that a client has seen to its last byte has exactly one row, settled (nothing acknowledged is lost, none
  is counted twice);
- the partner, which keeps a journal of its own in another process, saw no request without an intent, and each settled
  row that names the partner's request id belongs to a different arrival.
"""

import collections
import http.client
import json
import random
import sys
import threading
import time
import uuid

from gateway import LONG, Gateway, Partner, attempts, many_files

CYCLES = 200 if LONG else 25
CLIENTS = 50
SEED = 20261122
JOURNAL = "journal.jsonl"


def config(base_url):
    models = "models: [echo, lorem, slow]"
    return (
        "auth: {keys: required}\nproviders:\n"
        f'  mock-openai: {{type: openai, base_url: "{base_url}", key: env:PARTNER_KEY, {models}}}\n'
        f'  mock-anthropic: {{type: anthropic, base_url: "{base_url}", key: env:PARTNER_KEY, {models}}}\n'
        "prices: {unpriced: allow}\nledger: {durability: strict}\n"
    )


class Client(threading.Thread):
    """Asks one thing after another until told to stop; notes what was answered to the end."""

    def __init__(self, port, key, number, stop, acknowledged):
        super().__init__(daemon=True)
        self.port, self.key, self.stop, self.acknowledged = port, key, stop, acknowledged
        self.random = random.Random(SEED + number)

    def run(self):
        connection = None
        while not self.stop.is_set():
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                self.ask(connection)
            except (OSError, http.client.HTTPException):
                connection = None
                if not self.stop.is_set():
                    time.sleep(0.002)

    def ask(self, connection):
        anthropic = self.random.random() < 0.5
        provider = self.random.choice(["mock-openai", "mock-anthropic"])
        stream = self.random.random() < 0.5
        body = {
            "model": f"{provider}/" + self.random.choice(["echo", "lorem"]),
            "max_tokens": 200,
            "stream": stream,
            "messages": [{"role": "user", "content": f"{self.random.randrange(1, 120)} {uuid.uuid4()}"}],
        }
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.key}"}
        if anthropic:
            headers["anthropic-version"] = "2023-06-01"
        path = "/v1/messages" if anthropic else "/v1/chat/completions"
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            return
        ending = (b"message_stop" if anthropic else b"[DONE]") if stream else b"}"
        if ending in text[-200:]:
            self.acknowledged.append(answer.headers["x-request-id"])


def cycle(gateway, key, number, moment, acknowledged):
    stop = threading.Event()
    clients = [Client(gateway.port, key, number * CLIENTS + i, stop, acknowledged) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(moment)
    gateway.kill()
    stop.set()
    for client in clients:
        client.join(timeout=30)


def arrivals_of(path):
    with open(path) as f:
        return [line["n"] for line in map(json.loads, f) if line["ev"] == "arrive"]


def judge(rows, acknowledged, arrivals):
    faults = []
    intents = attempts(rows)
    settled = collections.Counter(row["request"] for row in intents if row["outcome"] and row["done_at"])
    upstream = collections.Counter(row["upstream_id"] for row in intents if row["upstream_id"])
    keys = collections.Counter((row["request"], row["call"], row["attempt"]) for row in intents)
    for request in acknowledged:
        if settled[request] != 1:
            faults.append(f"acknowledged {request} has {settled[request]} settled rows")
    for name, counts in [("attempt", keys), ("request of the partner", upstream)]:
        twice = [it for it, n in counts.items() if n > 1]
        if twice:
            faults.append(f"{len(twice)} times one {name} has two rows: {twice[:3]}")
    seen = {f"req_fake{n:08x}" for n in arrivals}
    invented = [it for it in upstream if it not in seen]
    if invented:
        faults.append(f"rows for requests that the partner never saw: {invented[:3]}")
    if len(arrivals) > len(intents):
        faults.append(f"the partner saw {len(arrivals)} requests, but there are only {len(intents)} intents")
    if not upstream:
        faults.append("no row names the partner's request id, so rows and arrivals can't be matched")
    return faults


def main():
    many_files(2048)
    moments = random.Random(SEED)
    partner = Partner(JOURNAL)
    gateway = Gateway(config(partner.base_url))
    acknowledged = []
    gateway.start()
    try:
        key = gateway.key("kills")
        for number in range(CYCLES):
            cycle(gateway, key, number, moments.uniform(0.02, 0.6), acknowledged)
            gateway.start()
            gateway.run("ledger", "verify")
        # A last request must work, without further help.
        last = threading.Event()
        client = Client(gateway.port, key, CYCLES * CLIENTS, last, acknowledged)
        before = len(acknowledged)
        client.start()
        until = time.monotonic() + 5
        while len(acknowledged) == before and time.monotonic() < until:
            time.sleep(0.01)
        last.set()
        client.join(timeout=30)
        if len(acknowledged) == before:
            sys.exit("after the last start no request succeeded within 5 s")
        rows = gateway.rows()
        arrivals = arrivals_of(JOURNAL)
    finally:
        gateway.kill()
        partner.stop()
    faults = judge(rows, acknowledged, arrivals)
    if len(acknowledged) < CYCLES:
        faults.append(f"only {len(acknowledged)} requests were acknowledged in {CYCLES} cycles: nothing was tested")
    if faults:
        sys.exit("\n".join(faults[:20]))
    print(f"{CYCLES} kills: {len(acknowledged)} acknowledged, {len(arrivals)} arrivals, {len(rows)} rows, all accounted for")


main()
