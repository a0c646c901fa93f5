"""Clients that read slowly: the provider is slowed down, memory stays bounded, others don't notice.

Each slow client asks for a stream of some 25 MB and reads ten bytes a second.
"""

import asyncio
import socket
import time

from client import DIALECTS, ask, chat, verdict, wire
from gateway import LONG, Gateway, Partner, finish, many_files

SLOW = 1000 if LONG else 40
# Tokens of four bytes, an event of some 250 bytes each: more than the kernel's socket buffers in between can swallow.
TOKENS = 100_000
SECONDS = 20 if LONG else 3
PROBES = 60
MIB = 1 << 20
PER_STREAM = 256 << 10


def config(base_url):
    # One provider, spoken to in its own dialect and through a translation.
    return (
        "auth: {keys: required}\nproviders:\n"
        f'  first: {{type: openai, base_url: "{base_url}", key: env:PARTNER_KEY, models: [lorem, echo]}}\n'
        "prices: {unpriced: allow}\n"
    )


async def slow(port, key, number, stop):
    """Begins a stream and reads ten bytes a second of it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    # Segments as on a real network: with loopback's of 64 KiB the kernel alone holds megabytes for each stream.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    dialect = ["openai", "anthropic"][number % 2]
    question = DIALECTS[dialect]("first/lorem", f"{TOKENS} slow", stream=True, max_tokens=TOKENS)
    await loop.sock_sendall(sock, wire(port, question, key))
    first = await loop.sock_recv(sock, 10)
    while not stop.is_set():
        await asyncio.sleep(1)
        await loop.sock_recv(sock, 10)
    sock.close()
    return first.startswith(b"HTTP/1.1 2")


async def probes(port, key):
    """Seconds that an ordinary request takes, sorted."""
    times = []
    for number in range(PROBES):
        start = time.monotonic()
        answer = await ask(port, chat("first/echo", f"probe {number}"), key)
        times.append(time.monotonic() - start)
        if verdict(answer, "openai", False) != "ok":
            times.append(99.0)
    return sorted(times)


async def scene(gateway, partner, key):
    alone = await probes(gateway.port, key)
    gateway.forget_peak()
    before = gateway.rss()
    stop = asyncio.Event()
    readers = [asyncio.create_task(slow(gateway.port, key, number, stop)) for number in range(SLOW)]
    end = time.monotonic() + SECONDS
    arrived = lambda: asyncio.to_thread(partner.stats)
    while (await arrived())["in_flight"] < SLOW and time.monotonic() < end + 30:
        await asyncio.sleep(0.05)
    # Paused means that nothing more is sent: the buffers in between are full.
    sent, paused = None, False
    while not paused and time.monotonic() < end + 30:
        await asyncio.sleep(1)
        before_that, sent = sent, open_bytes(partner)
        paused = sent == before_that
    beside = await probes(gateway.port, key)
    await asyncio.sleep(max(0, end - time.monotonic()))
    still = (await arrived())["in_flight"]
    peak = gateway.peak()
    stop.set()
    good = await asyncio.gather(*readers, return_exceptions=True)
    return alone, beside, before, peak, paused, still, sum(it is True for it in good)


def open_bytes(partner):
    """Bytes that wait or were read in the sockets to the partner: grows as long as the gateway reads."""
    port = int(partner.base_url.split(":")[2].split("/")[0])
    with open("/proc/net/tcp") as f:
        rows = [line.split() for line in list(f)[1:]]
    return sorted((row[2], row[4].split(":")[0]) for row in rows if row[1].endswith(f":{port:04X}"))


def main():
    many_files(4 * SLOW + 512)
    partner = Partner()
    gateway = Gateway(config(partner.base_url))
    gateway.start()
    faults = []
    try:
        key = gateway.key("slow")
        alone, beside, before, peak, paused, still, good = asyncio.run(scene(gateway, partner, key))
        if good != SLOW:
            faults.append(f"{good} of {SLOW} slow clients were served")
        if not paused or still != SLOW:
            faults.append(f"the partner was not slowed down: paused: {paused}, {still} of {SLOW} streams are still open")
        growth = peak - before
        if growth > 64 * MIB + SLOW * PER_STREAM:
            faults.append(f"memory grew by {growth / MIB:.0f} MiB")
        p99 = [times[-1 - len(times) // 100] for times in (alone, beside)]
        # Below some milliseconds it is the machine that is measured.
        if p99[1] > max(2 * p99[0], 0.05):
            faults.append(f"others waited {p99[1] * 1000:.0f} ms instead of {p99[0] * 1000:.0f} ms")
        if any(row["outcome"] not in ("ok", "client_gone") for row in gateway.settled_rows()):
            faults.append("a row ended neither ok nor as left by the client")
        gateway.run("ledger", "verify")
        faults += gateway.panics()
    finally:
        gateway.kill()
        partner.stop()
    finish(faults, f"{SLOW} slow readers: memory +{growth / MIB:.0f} MiB ({growth / SLOW / 1024:.0f} KiB each), "
           f"others' 99 % {p99[0] * 1000:.1f} ms before, {p99[1] * 1000:.1f} ms beside them")


main()
