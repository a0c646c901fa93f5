"""Responses that the gateway keeps: `kill -9` while conversations run, other applications, purges, the end of their time.

Whatever a client has seen to its last byte as kept (`store: true`) is there after every kill, and can be built on.
"""

import glob
import http.client
import json
import os
import random
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

from gateway import LONG, Gateway, Partner, finish, until

CYCLES = 40 if LONG else 4
CLIENTS = 8
SEED = 20261125


def config(base_url, more):
    providers = "".join(
        f'  mock-{name}: {{type: openai, base_url: "{base_url}", dialects: [{name}], key: env:PARTNER_KEY, models: [echo]}}\n'
        for name in ("openai-chat", "openai-responses")
    )
    return (
        "auth: {keys: required}\nproviders:\n" + providers +
        f"prices: {{unpriced: allow}}\nresponses: {{store: on{more}}}\n"
    )


def call(gateway, key, method, path, body=None):
    """Status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.port}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def create(gateway, key, text, previous=None, provider="openai-chat"):
    body = {"model": f"mock-{provider}/echo", "input": text, "previous_response_id": previous}
    return call(gateway, key, "POST", "/v1/responses", body)


class Talker(threading.Thread):
    """One conversation after another; notes each response that was seen whole."""

    def __init__(self, port, key, number, stop, seen):
        super().__init__(daemon=True)
        self.port, self.key, self.stop, self.seen = port, key, stop, seen
        self.random = random.Random(SEED + number)

    def run(self):
        while not self.stop.is_set():
            try:
                self.talk(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20))
            except (OSError, http.client.HTTPException):
                self.stop.wait(0.002)

    def talk(self, connection):
        previous, said = None, []
        provider = self.random.choice(["openai-chat", "openai-responses"])
        for turn in range(4):
            text, stream = f"{turn} {uuid.uuid4()}", self.random.random() < 0.5
            body = {"model": f"mock-{provider}/echo", "input": text, "previous_response_id": previous, "stream": stream}
            headers = {"content-type": "application/json", "authorization": f"Bearer {self.key}"}
            connection.request("POST", "/v1/responses", json.dumps(body), headers)
            answer = connection.getresponse()
            got = answer.read()
            if answer.status != 200:
                return
            if stream:
                events = [line for line in got.split(b"\n") if line.startswith(b"data:")]
                if not events or b'"response.completed"' not in events[-1]:
                    return
                response = json.loads(events[-1][5:])["response"]
            else:
                response = json.loads(got)
            previous = response["id"]
            said.append(text)
            self.seen.append((previous, response["store"], list(said)))


def texts(gateway, key, response):
    """What users said in a kept response's input, the oldest first; or why that can't be had."""
    status, got = call(gateway, key, "GET", f"/v1/responses/{response}/input_items?order=asc&limit=100")
    if status != 200:
        return f"{status} {got}"
    return [item["content"][0]["text"] for item in got["data"] if item["role"] == "user"]


def kills(gateway, key, faults):
    moments, seen = random.Random(SEED), []
    for number in range(CYCLES):
        stop, mine = threading.Event(), []
        talkers = [Talker(gateway.port, key, number * CLIENTS + it, stop, mine) for it in range(CLIENTS)]
        for talker in talkers:
            talker.start()
        until(lambda: len(mine) >= CLIENTS, 20)
        time.sleep(moments.uniform(0.02, 0.3))
        gateway.kill()
        stop.set()
        for talker in talkers:
            talker.join(timeout=30)
        gateway.start()
        for response, stored, said in moments.sample(mine, min(len(mine), 25)):
            if stored is not True:
                faults.append(f"{response} says store: {stored}")
            elif (got := texts(gateway, key, response)) != said:
                faults.append(f"{response} after a kill: {got} instead of {said}")
        seen += mine
    if not seen:
        sys.exit("no response was seen whole: nothing was tested")
    status, answer = create(gateway, key, "on", seen[-1][0])
    if status != 200 or answer["previous_response_id"] != seen[-1][0]:
        faults.append(f"the last one can't be built on: {status} {answer}")
    return seen


def expect(faults, what, got, status, code=None):
    found = got[1].get("error", {}).get("code") if status != 200 else None
    if got[0] != status or (code and found != code):
        faults.append(f"{what}: {got[0]} {found}, expected {status} {code}")


def main():
    partner, faults = Partner(), []
    gateway = Gateway(config(partner.base_url, ""))
    gateway.start()
    try:
        key, other = gateway.key("talk"), gateway.key("other")
        seen = kills(gateway, key, faults)
        mark = f"canary-{uuid.uuid4()}"
        _, first = create(gateway, key, mark)
        expect(faults, "another application reads", call(gateway, other, "GET", f"/v1/responses/{first['id']}"), 404)
        expect(faults, "another application builds", create(gateway, other, "x", first["id"]), 400, "previous_response_not_found")
        _, theirs = create(gateway, other, "theirs")

        gateway.run("responses", "purge", "--app", "talk", "--yes")
        expect(faults, "after a purge", call(gateway, key, "GET", f"/v1/responses/{first['id']}"), 404)
        expect(faults, "another's after the purge", call(gateway, other, "GET", f"/v1/responses/{theirs['id']}"), 200)
        _, last = create(gateway, key, mark)
        gateway.kill()
        for path in glob.glob(os.path.join(gateway.data, "*")):
            with open(path, "rb") as f:
                if mark.encode() in f.read():
                    faults.append(f"the prompt stands in {os.path.basename(path)}")
        done = json.loads(gateway.run("responses", "purge", "--all", "--yes", "--json"))
        if done["purged"] != 2:
            faults.append(f"a purge without a gateway deleted {done}, not the two that were left")

        gateway.write(config(partner.base_url, ", keep: 1s"))
        gateway.start()
        _, brief = create(gateway, key, "brief")
        over = until(lambda: call(gateway, key, "GET", f"/v1/responses/{brief['id']}")[0] == 404, 20, 0.1)
        if not over:
            faults.append("a response outlived its time")
        gateway.write(config(partner.base_url, ", max_size: 1KiB"))
        gateway.kill()
        gateway.start()
        large = create(gateway, key, "large " * 400)
        if large[0] != 200 or large[1]["store"] is not False:
            faults.append(f"one that can't be kept: {large[0]} store {large[1].get('store')}")
        gateway.run("ledger", "verify")
    finally:
        gateway.kill()
        partner.stop()
    finish(faults, f"{CYCLES} kills, {len(seen)} responses seen whole, all there")


main()
