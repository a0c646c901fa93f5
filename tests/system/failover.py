"""Two offers behind one name; the first one dies in every way. No client sees it, and each way is explained."""

import asyncio
import json
import socket
import time

from client import DIALECTS, ask, verdict
from gateway import LONG, Gateway, Partner, attempts, finish, many_files, until

ROUNDS = 100 if LONG else 30
# How the first offer fails: a rule of its partner, or something below HTTP.
WAYS = {
    "refuses": None,
    "black-hole": None,
    "unavailable": {"status": 503},
    "limited": {"status": 429, "retry_after": 20},
    "broken": {"status": 500},
    "error-200": {"fault": "error_200"},
    "error-first": {"error_first": True},
    "silent": {"fault": "stall_before_headers"},
}


def black_hole():
    """An address that takes no connection: a listener whose queue is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(listener.getsockname())
        fillers.append(s)
    return f"http://127.0.0.1:{listener.getsockname()[1]}/v1", (listener, fillers)


def config(bases, second):
    limits = "timeouts: {connect: 500ms, first_byte: 500ms, idle: 1s, total: 20s}"
    out = ["auth: {keys: required}", "prices: {unpriced: allow}", "providers:"]
    out += [
        f'  {way}: {{type: openai, base_url: "{base}", key: env:PARTNER_KEY, models: [echo], {limits}}}'
        for way, base in bases.items()
    ]
    out += [f'  second: {{type: openai, base_url: "{second}", key: env:PARTNER_KEY, models: [echo], {limits}}}']
    out += ["capabilities:"] + [f"  use-{way}: [{way}/echo, second/echo]" for way in WAYS]
    return "\n".join(out) + "\n"


async def rounds(port, key, way, faults, number=ROUNDS):
    """Requests one after another, all kinds in turn; the seconds each took and the ids."""
    times, ids = [], []
    for n in range(number):
        dialect, stream = ["openai", "anthropic"][n % 2], n % 4 < 2 or way == "error-first"
        start = time.monotonic()
        answer = await ask(port, DIALECTS[dialect](f"use-{way}", f"round {n}", stream=stream), key)
        times.append(time.monotonic() - start)
        ids.append(answer.headers.get("x-outrigger-request-id"))
        seen = verdict(answer, dialect, stream)
        if seen != "ok" or answer.headers.get("x-outrigger-offer") != "second/echo":
            faults.append(f"{way}, round {n}: {seen} {answer.headers.get('x-outrigger-offer')}")
    return times, ids


def explained(gateway, way, request, faults):
    """`route why ID` names both offers and why the first did not serve."""
    for args in [["route", "why", request], ["route", "why", request, "--json"]]:
        said = gateway.run(*args)
        if f"{way}/echo" not in said or "second/echo" not in said:
            faults.append(f"{way}: {' '.join(args)} does not explain:\n{said}")


def main():
    many_files(512)
    first, second = Partner(), Partner()
    hole, keep = black_hole()
    # A partner that refuses connections, to be healed later.
    gone = Partner()
    gone.control("POST", "/listener", {"accept": False, "drop": True})
    bases = {way: first.base_url for way in WAYS} | {"refuses": gone.base_url, "black-hole": hole}
    gateway = Gateway(config(bases, second.base_url))
    gateway.start()
    faults, slow, opened = [], {}, 0
    try:
        key = gateway.key("failover")
        for way, do in WAYS.items():
            first.control("POST", "/reset")
            if do:
                first.rule(do)
            times, ids = asyncio.run(rounds(gateway.port, key, way, faults))
            rows = attempts(gateway.settled_rows())
            tried = sum(row["offer"] == f"{way}/echo" for row in rows)
            # Once the breaker is open nobody waits for the dead offer: the last requests are quick.
            if tried >= ROUNDS:
                faults.append(f"{way}: the dead offer was tried {tried} times in {ROUNDS} requests, its breaker never opened")
            if max(times[-3:]) > 0.4:
                faults.append(f"{way}: the last requests still took {max(times[-3:]):.2f} s")
            if way == "limited" and tried != 1:
                faults.append(f"limited: asked {tried} times within its Retry-After")
            slow[way] = tried
            explained(gateway, way, ids[0], faults)
            explained(gateway, way, ids[-1], faults)
            failed = [row for row in rows if row["offer"] == f"{way}/echo"]
            taken = {row["request"] for row in failed}
            marked = [row for row in rows if row["request"] in taken and row["offer"] == "second/echo"]
            if any("failover" not in row["marks"] for row in marked):
                faults.append(f"{way}: an attempt that took over is not marked so")
            said = json.loads(gateway.run("route", "why", f"use-{way}", "--json"))
            if "second/echo" not in json.dumps(said):
                faults.append(f"route why use-{way}: {said}")
            name = f'outrigger_circuit_open{{provider="{way}",model="echo"}}'
            if until(lambda: gateway.metrics().get(name) == 1, 7, 0.1):
                opened += 1
            else:
                faults.append(f"{way}: the metrics don't show the offer as left out")
        gateway.run("ledger", "verify")
        faults += gateway.panics()
    finally:
        gateway.kill()
        for partner in (first, second, gone):
            partner.stop()
        del keep
    tries = ", ".join(f"{way} {count}" for way, count in slow.items())
    finish(faults, f"{len(WAYS)} ways to die, {ROUNDS} requests each, all served; {opened} shown as left out; the dead offer was tried: {tries}")


main()
