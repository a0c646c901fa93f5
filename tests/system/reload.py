"""Reloads under load, each tenth one with an invalid file: no request fails, each row has one revision.

The file is replaced in one step and the gateway told by SIGHUP; a refused file is in the log with line and column,
and what was in force stays.
"""

import asyncio
import json
import signal
import time

from client import DIALECTS, ask, verdict
from gateway import LONG, Gateway, Partner, attempts, finish, many_files

RELOADS = 10_000 if LONG else 1_000
CLIENTS = 8
BAD = [
    ("providers: {mock: {type: opnai}}\n", "opnai"),
    ("providers:\n  mock: {type: openai, base_ulr: x}\n", "base_ulr"),
    ("providers: [unclosed\n", "unclosed"),
    ("budgets: {x: 5 parsecs per day}\n", "parsecs"),
]


def config(base_url, number):
    """The same for clients, whatever the number; the offers behind the name and the budget change with it."""
    offers = ["mock/lorem, mock/echo", "mock/echo"][number % 2]
    return (
        "auth: {keys: required}\nproviders:\n"
        f'  mock: {{type: openai, base_url: "{base_url}", key: env:PARTNER_KEY, models: [lorem, echo]}}\n'
        f"capabilities:\n  fast: [{offers}]\n"
        f"prices: {{unpriced: allow}}\nbudgets: {{all: {1000 + number} USD per month}}\n"
    )


class Load:
    """Clients that ask without a pause."""

    def __init__(self, port, key):
        self.port, self.key, self.stop = port, key, False
        self.good, self.faults = 0, []

    async def client(self, number):
        dialect, stream = ["openai", "anthropic"][number % 2], number % 4 < 2
        while not self.stop:
            try:
                answer = await ask(self.port, DIALECTS[dialect]("fast", "20 words", stream=stream), self.key)
                seen = verdict(answer, dialect, stream)
            except (OSError, asyncio.IncompleteReadError) as e:
                seen = repr(e)
            if seen == "ok":
                self.good += 1
            else:
                self.faults.append(f"{dialect}, stream: {stream}: {seen}")

    async def run(self, work):
        clients = [asyncio.create_task(self.client(number)) for number in range(CLIENTS)]
        try:
            return await asyncio.to_thread(work)
        finally:
            self.stop = True
            await asyncio.gather(*clients)


class Log:
    """What the gateway said about its reloads, read as it grows."""

    def __init__(self, path):
        self.file, self.rest = open(path, errors="replace"), ""

    def next(self, wanted, seconds=10):
        """The next line that says `wanted` of the configuration, or None. A change may be reloaded twice: the gateway
        looks at the file by itself too, and whoever asks has secrets read anew. A refusal is told once."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            lines = (self.rest + self.file.read()).split("\n")
            self.rest = lines.pop()
            found = [line for line in lines if f"configuration {wanted}" in line]
            if found:
                # One at a time: the rest of the lines is read again.
                at = lines.index(found[0])
                self.rest = "\n".join([*lines[at + 1:], self.rest])
                return json.loads(found[0])
            time.sleep(0.0005)
        return None


def reloads(gateway, base_url):
    faults, revision, good, refused = [], 1, 0, 0
    log = Log(gateway.log_file)
    for number in range(1, RELOADS + 1):
        bad = number % 10 == 0
        text, word = BAD[number // 10 % len(BAD)] if bad else (config(base_url, number), None)
        gateway.write(f"# {number}\n" + text)
        gateway.process.send_signal(signal.SIGHUP)
        said = log.next("refused" if bad else "reloaded")
        if said is None:
            faults.append(f"reload {number}: the gateway said nothing")
            break
        if bad:
            refused += 1
            why = said.get("why", "")
            if word not in why or not any(mark in why for mark in (":2:", ":3:", ":4:", "line")):
                faults.append(f"reload {number}: an invalid file was answered by {said}")
        elif said.get("revision", 0) <= revision:
            faults.append(f"reload {number}: after revision {revision} came {said}")
        else:
            good += 1
            revision = said["revision"]
    return faults, revision, good, refused


def main():
    many_files(512)
    partner = Partner()
    gateway = Gateway(config(partner.base_url, 0), env={"OUTRIGGER_LOG_FORMAT": "json"})
    gateway.start()
    try:
        load = Load(gateway.port, gateway.key("reload"))
        start = time.monotonic()
        faults, revision, good, refused = asyncio.run(load.run(lambda: reloads(gateway, partner.base_url)))
        took = time.monotonic() - start
        faults += load.faults
        rows = attempts(gateway.settled_rows())
        revisions = {row["config_revision"] for row in rows}
        if not revisions <= set(range(1, revision + 1)) or len(revisions) < 2:
            faults.append(f"revision {revision} is the last one; rows have {sorted(revisions, key=str)[:20]}")
        per_request = {}
        for row in rows:
            per_request.setdefault(row["request"], set()).add(row["config_revision"])
        if any(len(found) != 1 for found in per_request.values()):
            faults.append("a request has rows of two revisions")
        if len(rows) != load.good + len(load.faults):
            faults.append(f"{load.good} requests were served, there are {len(rows)} rows")
        counted = gateway.metrics().get("outrigger_config_reloads_refused_total")
        if counted != refused:
            faults.append(f"{refused} files were refused, the metric says {counted}")
        logged = sum("configuration refused" in line for line in gateway.logged(1_000_000).splitlines())
        if logged != refused:
            faults.append(f"{refused} files were refused, the log says so {logged} times")
        gateway.run("ledger", "verify")
        faults += gateway.panics()
    finally:
        gateway.kill()
        partner.stop()
    finish(faults, f"{good} reloads and {refused} refusals in {took:.0f} s under {load.good} requests over "
           f"{len(revisions)} revisions: none failed")


main()
