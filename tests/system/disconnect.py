"""Clients that leave: while they wait, in the middle of a stream, in its last event, during a whole answer.

By FIN, by RST and by HTTP/2's RST_STREAM, over same-dialect and translated routes. The partner must see the close
within 250 ms (99 of 100, by its own journal), every attempt settles once, and its slot and reservation come back.
"""

import asyncio
import itertools
import time

from client import DIALECTS, H2, ask, chat, head, leave, pieces, wire
from gateway import LONG, Gateway, Journal, Partner, attempts, finish, many_files

CASES = 1000 if LONG else 200
WORKERS = 8
SLOTS = 2 * WORKERS
WITHIN = 0.250
JOURNAL = "journal.jsonl"
PROVIDERS = ["mock-openai", "mock-anthropic"]


def config(base_url):
    models = "models: [echo, lorem, embed]"
    return (
        "auth: {keys: required}\nproviders:\n"
        f'  mock-openai: {{type: openai, base_url: "{base_url}", key: env:PARTNER_KEY, {models}}}\n'
        f'  mock-anthropic: {{type: anthropic, base_url: "{base_url}", key: env:PARTNER_KEY, {models}}}\n'
        "prices: {unpriced: reject, overrides: {"
        + ", ".join(
            f"{p}/{m}: {{input: 1 USD per 1M, output: 1 USD per 1M}}"
            for p in PROVIDERS for m in ["echo", "lorem", "embed"]
        )
        + f"}}}}\nrates: {{slots: {{app: leaver, parallel: {SLOTS}}}}}\nbudgets: {{all: 1000 USD per month}}\n"
    )


# What the partner does, by a word in the prompt.
RULES = {
    "wait": {"hold": True},
    "headers": {"fault": "stall_after_headers"},
    "middle": {"gap_ms": 20},
    "last": {"gap_ms": 400},
    "whole": {"hold": True},
    "embed": {"hold": True},
}
# Text after which a client leaves; none: as soon as the partner has the request.
SIGNS = {"middle": [b"delta"], "last": [b'"finish_reason":"stop"', b'"stop_reason":"end_turn"']}


def cases():
    kinds = [
        (moment, dialect, provider)
        for moment, dialect, provider in itertools.product(RULES, DIALECTS, PROVIDERS)
        # A translated stream may close in one piece with its last event; embeddings are one dialect's.
        if (moment != "last" or dialect in provider) and (moment != "embed" or dialect + provider == "openaimock-openai")
    ]
    every = itertools.cycle(itertools.product(kinds, ["fin", "rst", "h2"]))
    return [(number, *kind, way) for number, (kind, way) in zip(range(CASES), every)]


def question(moment, dialect, provider, mark):
    if moment == "embed":
        return "/v1/embeddings", {"model": f"{provider}/embed", "input": moment, "user": mark}, {}
    return DIALECTS[dialect](f"{provider}/lorem", mark, stream=moment != "whole")


async def seen(get, seconds=10):
    end = time.monotonic() + seconds
    while not (found := get()) and time.monotonic() < end:
        await asyncio.sleep(0.002)
    return found


async def one(port, key, journal, case):
    """The seconds from leaving to the partner's notice, or a fault."""
    number, moment, dialect, provider, way = case
    mark = f"{3 if moment == 'last' else 400} {moment} {number}"
    asked = question(moment, dialect, provider, mark)
    if way == "h2":
        h2 = H2(port)
        await h2.open()
        h2.request(1, asked, key)
        writer = h2.writer
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(wire(port, asked, key))

    async def body():
        if way == "h2":
            while True:
                yield await h2.data(1)
        async for piece in pieces(reader, await head(reader)):
            yield piece

    if moment in SIGNS:
        got = b""
        async for piece in body():
            got += piece
            if any(sign in got for sign in SIGNS[moment]):
                break
    arrived = await seen(lambda: journal.arrivals(mark))
    if not arrived:
        return f"{case}: the partner never saw it"
    left = time.time()
    if way == "h2":
        h2.reset(1)
        await writer.drain()
    else:
        leave(writer, way)
    end = await seen(lambda: journal.end(arrived[0]["n"]))
    writer.close()
    if not end or end["ev"] != "cancelled":
        return f"{case}: the partner noticed nothing: {end}"
    if len(journal.arrivals(mark)) != 1:
        return f"{case}: asked {len(journal.arrivals(mark))} times"
    return end["at"] / 1e6 - left


async def all_cases(port, key, journal):
    waiting = iter(cases())
    results = []

    async def worker():
        for case in waiting:
            try:
                results.append(await asyncio.wait_for(one(port, key, journal, case), 30))
            except Exception as e:
                results.append(f"{case}: {e!r}")

    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return results


async def fill(partner, port, key):
    """Takes every slot at once: none may have been lost."""
    asks = [asyncio.create_task(ask(port, chat("mock-openai/echo", f"wait {n}"), key)) for n in range(SLOTS)]
    end = time.monotonic() + 5
    while (held := (await asyncio.to_thread(partner.stats))["held"]) < SLOTS and time.monotonic() < end:
        await asyncio.sleep(0.01)
    partner.control("POST", "/release", {})
    return held, [answer.status for answer in await asyncio.gather(*asks)]


def main():
    many_files(1024)
    partner = Partner(JOURNAL)
    gateway = Gateway(config(partner.base_url))
    gateway.start()
    faults = []
    try:
        for word, do in RULES.items():
            partner.rule(do, contains=word)
        key = gateway.key("leaver")
        results = asyncio.run(all_cases(gateway.port, key, Journal(JOURNAL)))
        faults += [r for r in results if isinstance(r, str)]
        times = sorted(r for r in results if not isinstance(r, str)) or [9.9]
        p99 = times[max(0, -(-len(times) * 99 // 100) - 1)]
        if p99 > WITHIN:
            faults.append(f"99 % of closes reached the partner within {p99 * 1000:.0f} ms only")
        rows = gateway.settled_rows()
        outcomes = [row["outcome"] for row in attempts(rows)]
        if outcomes != ["client_gone"] * CASES:
            counts = {word: outcomes.count(word) for word in set(outcomes)}
            faults.append(f"{CASES} clients left, the rows say {counts}")
        held, statuses = asyncio.run(fill(partner, gateway.port, key))
        if statuses != [200] * SLOTS:
            faults.append(f"{SLOTS} slots, {held} were taken at once: {statuses}")
        gateway.settled_rows()
        gauges = {name: value for name, value in gateway.metrics().items() if "reserved" in name}
        if not gauges or any(gauges.values()):
            faults.append(f"reservations are left: {gauges}")
        gateway.run("ledger", "verify")
        faults += gateway.panics()
    finally:
        gateway.kill()
        partner.stop()
    finish(faults, f"{CASES} clients left; the partner saw it after {times[len(times) // 2] * 1000:.1f} ms (median), "
           f"{p99 * 1000:.1f} ms (99 %), {times[-1] * 1000:.1f} ms (longest)")


main()
