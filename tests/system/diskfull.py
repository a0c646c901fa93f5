"""The ledger's disk is full: requests are refused with 503, reading goes on, and all is well again once there is space.

The ledger is on a tmpfs of 32 MiB, which a ballast file fills.
"""

import asyncio
import os
import subprocess
import time

from client import DIALECTS, ask, verdict
from gateway import LONG, Gateway, Partner, attempts, finish, get, many_files, skip, until

ROUNDS = 10 if LONG else 2
DISK = os.path.abspath("disk")
BALLAST = os.path.join(DISK, "ballast-of-the-test")


def config(base_url):
    return (
        "auth: {keys: required}\nproviders:\n"
        f'  mock: {{type: openai, base_url: "{base_url}", key: env:PARTNER_KEY, models: [lorem, echo]}}\n'
        "prices: {unpriced: allow}\nledger: {durability: strict}\n"
    )


def mount():
    os.makedirs(DISK, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", DISK], capture_output=True, text=True)
    if done.returncode != 0:
        skip(f"a small tmpfs can't be mounted here: {done.stderr.strip()}")


def fill():
    with open(BALLAST, "ab", buffering=0) as f:
        size = 1 << 20
        while size:
            try:
                f.write(bytes(size))
            except OSError:
                size //= 2


async def many(port, key, count, good):
    """Requests at once; the acknowledged ones go to `good`. Statuses, and what was wrong."""
    wrong = []

    async def one(number):
        dialect, stream = ["openai", "anthropic"][number % 2], number % 4 < 2
        answer = await ask(port, DIALECTS[dialect]("mock/echo", f"number {number}", stream=stream), key)
        seen = verdict(answer, dialect, stream)
        if seen == "ok":
            good.append(answer.headers["x-outrigger-request-id"])
        elif seen == "cut":
            # Its intent was the last one with room: it has begun, and its end could not be written.
            pass
        elif seen != "error" or answer.status != 503 or answer.code() != "ledger_unavailable":
            wrong.append(f"{dialect}, stream {stream}: {seen} {answer.status} {answer.body[:200]!r}")
        return answer.status if seen != "cut" else "cut"

    statuses = []
    for start in range(0, count, 16):
        statuses += await asyncio.gather(*(one(number) for number in range(start, min(start + 16, count))))
    return statuses, wrong


def one_round(gateway, key, good, faults):
    fill()
    # Until the writer has used up the last pages it holds, requests may still pass.
    end = time.monotonic() + 30
    while True:
        statuses, wrong = asyncio.run(many(gateway.port, key, 64, good))
        faults += wrong
        if 503 in statuses and 200 not in statuses or time.monotonic() > end:
            break
        fill()
    if set(statuses) != {503}:
        faults.append(f"on a full disk: {statuses}")
    token = gateway.admin_token()
    for path, wanted in [("/livez", 200), ("/readyz", 503), ("/metrics", 200), ("/v1/outrigger/status", 200),
                         ("/v1/outrigger/keys", 200), ("/v1/outrigger/budgets", 200), (f"/v1/outrigger/requests/{good[-1]}", 200)]:
        status, text = get(f"http://127.0.0.1:{gateway.admin}{path}", token)
        if status != wanted:
            faults.append(f"{path} on a full disk: {status} {text[:200]}")
    if gateway.ready() != 503:
        faults.append("the data plane says that it is ready on a full disk")
    os.remove(BALLAST)
    start = time.monotonic()

    def works():
        return 200 in asyncio.run(many(gateway.port, key, 1, good))[0]

    if not until(works, 10, 0.05):
        faults.append("nothing works 10 s after there is space again")
    took = time.monotonic() - start
    if took > 5:
        faults.append(f"it took {took:.1f} s to recover")
    return len(statuses), took


def main():
    many_files(512)
    mount()
    partner = Partner()
    gateway = Gateway(config(partner.base_url), data=os.path.join(DISK, "data"))
    faults, good, took = [], [], []
    try:
        gateway.start()
        key = gateway.key("full")
        asyncio.run(many(gateway.port, key, 64, good))
        for _ in range(ROUNDS):
            took.append(one_round(gateway, key, good, faults)[1])
        asyncio.run(many(gateway.port, key, 64, good))
        rows = attempts(gateway.settled_rows())
        settled = [row["request"] for row in rows if row["done_at"] and row["outcome"] == "ok"]
        lost = [request for request in good if settled.count(request) != 1]
        if lost:
            faults.append(f"{len(lost)} of {len(good)} acknowledged requests don't have one settled row: {lost[:3]}")
        gateway.run("ledger", "verify")
        gateway.kill()
        gateway.start()
        gateway.run("ledger", "verify")
        kept = [row["request"] for row in attempts(gateway.rows()) if row["done_at"]]
        if not set(good) <= set(kept):
            faults.append("acknowledged requests are gone after a start")
        faults += gateway.panics()
    finally:
        if gateway.process:
            gateway.kill()
        partner.stop()
        subprocess.run(["umount", "-l", DISK], check=False)
    finish(faults, f"{ROUNDS} times full: {len(good)} acknowledged requests, none lost; back after {max(took):.2f} s at most")


main()
