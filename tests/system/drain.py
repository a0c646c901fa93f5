"""SIGTERM with open streams: those that end within the deadline end whole, the rest are told, all are settled.

Readiness turns to 503 within 100 ms; the exit code is 0 when nothing was cut and 75 otherwise.
"""

import asyncio
import signal
import time

from client import DIALECTS, head, pieces, verdict, wire
from gateway import LONG, Gateway, Partner, attempts, finish, get, many_files, until

STREAMS = 500 if LONG else 100
# Streams of 1 s to this long.
LONGEST = 60 if LONG else 4
DEADLINE = 2
EVENTS = 24


def config(base_url):
    return (
        "auth: {keys: required}\nproviders:\n"
        f'  first: {{type: openai, base_url: "{base_url}", key: env:PARTNER_KEY, models: [lorem]}}\n'
        f'  second: {{type: anthropic, base_url: "{base_url}", key: env:PARTNER_KEY, models: [lorem]}}\n'
        "prices: {unpriced: allow}\n"
    )


class Stream:
    """A stream that has begun."""

    def __init__(self, number):
        self.dialect = ["openai", "anthropic"][number % 2]
        self.offer = ["first/lorem", "second/lorem"][number // 2 % 2]
        self.pace = f"pace-{number % 8} "
        self.verdict = None

    async def begin(self, port, key):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        question = DIALECTS[self.dialect](self.offer, f"{EVENTS} {self.pace}", stream=True)
        self.writer.write(wire(port, question, key, close=False))
        self.answer = await head(self.reader)

    async def end(self):
        try:
            async for _ in pieces(self.reader, self.answer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        self.verdict = verdict(self.answer, self.dialect, True)
        self.writer.close()


def readiness(gateway):
    """Seconds until `/readyz` of the admin API, which outlives the listener, says 503."""
    start = time.monotonic()
    url = f"http://127.0.0.1:{gateway.admin}/readyz"
    until(lambda: get(url, gateway.admin_token())[0] == 503, 5, 0.001)
    return time.monotonic() - start


async def one(gateway, key):
    streams = [Stream(number) for number in range(STREAMS)]
    await asyncio.gather(*(stream.begin(gateway.port, key) for stream in streams))
    tasks = [asyncio.create_task(stream.end()) for stream in streams]
    gateway.process.send_signal(signal.SIGTERM)
    took = await asyncio.to_thread(readiness, gateway)
    await asyncio.gather(*tasks)
    start = time.monotonic()
    code = await asyncio.to_thread(gateway.process.wait, 30)
    return streams, took, code, time.monotonic() - start


def run(partner, name, drain):
    gateway = Gateway(config(partner.base_url), folder=name, server=f", drain: {drain}s")
    gateway.start()
    try:
        key = gateway.key("drain")
        streams, ready, code, after = asyncio.run(one(gateway, key))
    finally:
        gateway.kill()
    seen = [stream.verdict for stream in streams]
    faults = [f"{name}: {it}" for it in gateway.panics()]
    if ready > 0.1:
        faults.append(f"{name}: readiness said 200 for {ready * 1000:.0f} ms")
    if after > 1:
        faults.append(f"{name}: it took {after:.1f} s to end after its last stream")
    rows = [row["outcome"] for row in attempts(gateway.settled_rows(0))]
    return faults, seen, rows, code, ready


def main():
    many_files(4 * STREAMS)
    partner = Partner()
    for pace in range(8):
        length = 1 + (LONGEST - 1) * pace / 7
        partner.rule({"gap_ms": int(length * 1000 / EVENTS)}, contains=f"pace-{pace} ")
    try:
        faults, seen, rows, code, ready = run(partner, "in-time", LONGEST * 3)
        if seen != ["ok"] * STREAMS or rows != ["ok"] * STREAMS or code != 0:
            faults.append(f"in time: {count(seen)}, rows {count(rows)}, exit {code}")
        more, seen, rows, code, _ = run(partner, "too-late", DEADLINE)
        faults += more
        cut = seen.count("cut")
        if cut == 0 or cut + seen.count("ok") != STREAMS or code != 75:
            faults.append(f"too late: {count(seen)}, exit {code}")
        if rows.count("ok") != seen.count("ok") or len(rows) != STREAMS or "unsettled" in rows:
            faults.append(f"too late: {count(seen)}, rows {count(rows)}")
    finally:
        partner.stop()
    finish(faults, f"{STREAMS} streams: all whole within the deadline, {cut} cut at it; readiness after {ready * 1000:.0f} ms")


def count(words):
    return {str(word): words.count(word) for word in sorted(set(map(str, words)))}


main()
