"""A planted panic: only its own request fails, its attempt is settled, the counter rises, all else goes on.

Needs a gateway that is built with the feature `planted-panic`.
"""

import asyncio

from client import DIALECTS, ask, verdict
from gateway import LONG, Gateway, Partner, attempts, finish, many_files

ROUNDS = 40 if LONG else 8
# Where it panics: before there is an attempt, when the request has left, when the answer has begun.
PLACES = ["read", "dispatch", "answer"]
SLOTS = 16


def config(base_url):
    return (
        "auth: {keys: required}\nproviders:\n"
        f'  mock: {{type: openai, base_url: "{base_url}", key: env:PARTNER_KEY, models: [lorem]}}\n'
        "prices: {unpriced: reject, overrides: {mock/lorem: {input: 1 USD per 1M, output: 1 USD per 1M}}}\n"
        f"rates: {{slots: {{app: steady, parallel: {SLOTS}}}}}\nbudgets: {{all: 1000 USD per month}}\n"
    )


async def one(port, key, number, place):
    dialect, stream = ["openai", "anthropic"][number % 2], number % 4 < 2
    path, body, headers = DIALECTS[dialect]("mock/lorem", "30 words", stream=stream)
    if place:
        headers = {**headers, "x-outrigger-test-panic": place}
    answer = await ask(port, (path, body, headers), key)
    return place, answer.status, verdict(answer, dialect, stream)


async def rounds(port, key):
    """In each round as many panics as ordinary requests, at the same time."""
    seen = []
    for _ in range(ROUNDS):
        seen += await asyncio.gather(*(one(port, key, n, place) for n in range(4) for place in [None, *PLACES]))
    return seen


def main():
    many_files(512)
    partner = Partner()
    gateway = Gateway(config(partner.base_url))
    gateway.start()
    faults = []
    try:
        key = gateway.key("steady")
        seen = asyncio.run(rounds(gateway.port, key))
        for place, status, found in seen:
            if (place is None and found != "ok") or (place and (status, found) != (500, "error")):
                faults.append(f"panic at {place}: {status} {found}")
        rows = attempts(gateway.settled_rows())
        good, lost = ROUNDS * 4, ROUNDS * 4 * (len(PLACES) - 1)
        outcomes = [row["outcome"] for row in rows]
        if outcomes.count("ok") != good or outcomes.count("internal") != lost or len(outcomes) != good + lost:
            faults.append(f"{good} answers and {lost} panics in attempts: rows {({w: outcomes.count(w) for w in outcomes})}")
        metrics = gateway.metrics()
        planted = sum(place is not None for place, _, _ in seen)
        if metrics.get("outrigger_panics_total") != planted:
            faults.append(f"{planted} panics, the counter says {metrics.get('outrigger_panics_total')}")
        if any(value for name, value in metrics.items() if "reserved" in name or "streams_active" in name):
            faults.append("a reservation or a stream is still held")
        after = asyncio.run(all_slots(gateway.port, key))
        if after != ["ok"] * SLOTS:
            faults.append(f"afterwards, all slots at once: {after}")
        gateway.run("ledger", "verify")
    finally:
        code = gateway.kill(15)
        partner.stop()
    if code != 0:
        faults.append(f"asked to end, it ended with {code}")
    finish(faults, f"{planted} panics beside {good} answers: none spread, {lost} attempts settled as ours")


async def all_slots(port, key):
    return [found for _, _, found in await asyncio.gather(*(one(port, key, n, None) for n in range(SLOTS)))]


main()
