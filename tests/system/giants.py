"""Giants: bodies, headers and JSON far beyond the limits get their status within a second and cost no memory."""

import asyncio
import json
import socket
import time
import zlib

from client import Torn, ask, chat, head, pieces
from gateway import LONG, Gateway, Partner, finish, many_files

MIB = 1 << 20
GROWTH = 40 * MIB
# The fake partner is in the way of what is served; what is refused is refused by us.
WITHIN = 1.0
ROUNDS = 3 if LONG else 1


def config(base_url):
    return (
        "auth: {keys: required}\nproviders:\n"
        f'  first: {{type: openai, base_url: "{base_url}", key: env:PARTNER_KEY, models: [echo]}}\n'
        "prices: {unpriced: allow}\n"
    )


def repeat(piece, times):
    """Pieces of about 64 KiB that make up so many of one."""
    per = max(1, 65536 // len(piece))
    for done in range(0, times, per):
        yield piece * min(per, times - done)


def zeros(coding):
    """A gigabyte of zeros, as small as the coding makes it; what we can't make is a body under the same name."""
    if coding not in ("gzip", "deflate"):
        return b"\x28\xb5\x2f\xfd" + bytes(1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    out = b"".join(packer.compress(bytes(MIB)) for _ in range(256))
    return out + packer.flush()


HELD = "a string of 31 MiB"
BEFORE = b'{"model":"first/echo","messages":[{"role":"user","content":'
AFTER = b"}]}"


def bodies():
    """Name, headers beyond the usual, pieces, statuses that are right."""
    long = lambda n: {"content-length": n}
    yield "10 GB by its length", long(10 * 10**9), repeat(b"x" * 65536, 64), {413}
    yield "10 GB in chunks", {"transfer-encoding": "chunked"}, repeat(b"10000\r\n" + b"x" * 65536 + b"\r\n", 160_000), {413}
    yield "a string of 1 GiB", long(len(BEFORE) + 2 + (1 << 30) + len(AFTER)), repeat(b"x" * 65536, 64), {413}
    # Within the body's limit, so it is read whole; for nobody, so that only our own time counts.
    inside, nobody = 31 * MIB, BEFORE.replace(b"first/echo", b"nobody")
    yield HELD, long(len(nobody) + 2 + inside + len(AFTER)), \
        [nobody, b'"', *repeat(b"x" * 65536, inside // 65536), b'"', AFTER], {404}
    keys = ("{" + ",".join(f'"k{n}":{n}' for n in range(100_000)) + "}").encode()
    yield "100,000 keys", long(len(keys)), [keys], {400}
    keys = ('{"model":"first/echo","messages":[],' + ",".join(f'"k{n}":{n}' for n in range(100_000)) + "}").encode()
    yield "100,000 keys beside the right ones", long(len(keys)), [keys], {400, 502}
    for opening, closing in [(b"[", b"]"), (b'{"a":', b"}")]:
        deep = BEFORE + opening * 100_000 + b"1" + closing * 100_000 + AFTER
        yield f"100,000 deep {opening.decode()}", long(len(deep)), [deep], {400}
    many = b'{"messages":[' + b",".join([b'{"role":"user","content":"x"}'] * 200_000) + b'],"model":"first/echo"}'
    yield "200,000 messages", long(len(many)), [many], {200, 400, 502}
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "compress"]:
        packed = zeros(coding.split(",")[0])
        yield f"coded {coding}", {"content-encoding": coding, **long(len(packed))}, [packed], {415}


def heads(key):
    """Name, pieces of a whole request head, statuses that are right."""
    first = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer " + key.encode() + b"\r\n"
    yield "a million headers", [first, *repeat(b"x-a: b\r\n", 1_000_000), b"\r\n"], {431}
    yield "a header of 64 KiB", [first, b"x-a: ", b"b" * 65536, b"\r\n\r\n"], {431}
    yield "a header of 100 MB", [first, b"x-a: ", *repeat(b"b" * 65536, 1600)], {431}
    yield "a target of 1 MB", [b"GET /", *repeat(b"a" * 65536, 16), b" HTTP/1.1\r\nhost: localhost\r\n\r\n"], {400, 414, 431}
    yield "a key of 60 KB", [b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: ", b"k" * 60_000, b"\r\n\r\n"], {431}
    yield "a method of 1 MB", [*repeat(b"A" * 65536, 16), b" / HTTP/1.1\r\n\r\n"], {400, 414, 431, 501}


async def send(port, parts):
    """The status, and the seconds from the first byte to it. Writes until it is told or all is sent."""
    sock = socket.socket()
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    start = time.monotonic()
    # Fed by hand: a stream of asyncio forgets what came as soon as it can't write.
    reader = asyncio.StreamReader(limit=1 << 20)

    async def write():
        for part in parts:
            await loop.sock_sendall(sock, part)

    async def feed():
        try:
            while data := await loop.sock_recv(sock, 1 << 16):
                reader.feed_data(data)
            reader.feed_eof()
        except OSError as e:
            reader.set_exception(e)

    async def read():
        answer = await head(reader)
        took = time.monotonic() - start
        try:
            async for _ in pieces(reader, answer):
                pass
        except (OSError, asyncio.IncompleteReadError, Torn):
            # The status is what counts; the rest may be lost to the reset of a connection that is still written to.
            pass
        return answer, took

    tasks = [asyncio.create_task(write()), asyncio.create_task(feed())]
    try:
        return await asyncio.wait_for(read(), 20)
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as e:
        return repr(e), time.monotonic() - start
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sock.close()


def judge(gateway, name, parts, statuses):
    gateway.forget_peak()
    before = gateway.rss()
    answer, took = asyncio.run(send(gateway.port, parts))
    growth = gateway.peak() - before
    faults = []
    if isinstance(answer, str):
        faults.append(f"{name}: no answer, {answer}")
    elif answer.status not in statuses:
        faults.append(f"{name}: {answer.status} instead of {statuses}: {answer.body[:200]!r}")
    elif answer.status >= 400 and answer.body and "error" not in json.loads(answer.body):
        faults.append(f"{name}: the error has no shape: {answer.body[:200]!r}")
    elif took > WITHIN and answer.status in range(400, 500):
        faults.append(f"{name}: took {took:.1f} s")
    # What is within the limits costs what it is, and as much again while its pieces are put together.
    allowed = 2 * GROWTH if name == HELD or not isinstance(answer, str) and answer.status == 200 else GROWTH
    if growth > allowed:
        faults.append(f"{name}: memory grew by {growth / MIB:.0f} MiB")
    return faults, took, growth


def main():
    many_files(512)
    partner = Partner()
    gateway = Gateway(config(partner.base_url))
    gateway.start()
    faults, times, growths = [], [], []
    try:
        key = gateway.key("giants")

        def all_of_them():
            yield from heads(key)
            for name, headers, parts, statuses in bodies():
                fields = {"host": "localhost", "authorization": f"Bearer {key}", "content-type": "application/json", **headers}
                lines = "".join(f"{k}: {v}\r\n" for k, v in fields.items())
                yield name, [f"POST /v1/chat/completions HTTP/1.1\r\n{lines}\r\n".encode(), *parts], statuses

        # What the first requests of a process cost is no giant's doing.
        for text in ["hello", "x" * (2 * MIB)]:
            asyncio.run(ask(gateway.port, chat("nobody/echo", text), key))
        for _ in range(ROUNDS):
            for name, parts, statuses in all_of_them():
                found, took, growth = judge(gateway, name, parts, statuses)
                faults += found
                times.append(took)
                growths.append(growth)
        gateway.run("ledger", "verify")
        faults += gateway.panics()
        if gateway.process.poll() is not None:
            faults.append(f"the gateway ended with {gateway.process.returncode}")
    finally:
        gateway.kill()
        partner.stop()
    finish(faults, f"{len(times)} giants: longest {max(times):.2f} s, most memory +{max(growths) / MIB:.0f} MiB")


main()
