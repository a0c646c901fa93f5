"""The first minute: an empty folder, no file, no key, no network; the first answer within a second.

Nothing is written outside the data folder, and without keys only this machine's own programs may call.
"""

import asyncio
import os
import time

from client import DIALECTS, ask, verdict
from gateway import Gateway, finish, get, until

# Where the gateway may write when nobody says where; and everything a careless program would write to.
HOME = os.path.abspath("home")


def files(top):
    return sorted(os.path.relpath(os.path.join(at, name), top) for at, _, names in os.walk(top) for name in names)


def main():
    os.makedirs("home")
    gateway = Gateway("", folder="here")
    os.remove(gateway.file)
    # Another port than the usual one, because something may run there; nothing else is said.
    gateway.env = {
        "PATH": os.environ["PATH"], "HOME": HOME, "TMPDIR": HOME,
        "OUTRIGGER__SERVER__API": f"127.0.0.1:{gateway.port}", "OUTRIGGER__SERVER__ADMIN": f"127.0.0.1:{gateway.admin}",
    }
    faults, times = [], {}
    start = time.monotonic()
    gateway.launch()
    try:
        if until(gateway.ready, 20, 0.005) != 200:
            faults.append(f"not ready: {gateway.logged()}")
        for dialect in DIALECTS:
            for stream in [False, True]:
                answer = asyncio.run(ask(gateway.port, DIALECTS[dialect]("demo/lorem", "12 words", stream=stream)))
                times.setdefault("first", time.monotonic() - start)
                seen = verdict(answer, dialect, stream)
                if seen != "ok":
                    faults.append(f"{dialect}, stream: {stream}: {seen}")
        if times["first"] > 1:
            faults.append(f"the first answer came after {times['first']:.2f} s")
        if get(f"http://127.0.0.1:{gateway.port}/")[0] != 200:
            faults.append("there is no start page")
        page = gateway.logged()
        missing = [word for word in ["demo", f"127.0.0.1:{gateway.port}/v1", "outrigger try", "cap"] if word not in page]
        if missing:
            faults.append(f"the first lines don't tell {missing}:\n{page}")
        gateway.run("ledger", "verify", "--data-dir", "outrigger-data")
    finally:
        code = gateway.kill(15)
    if code != 0:
        faults.append(f"asked to end, it ended with {code}")
    outside = [it for it in files(gateway.folder) if not it.startswith("outrigger-data/") and it != "serve.log"]
    if outside or files(HOME):
        faults.append(f"written outside the data folder: {outside + files(HOME)}")
    finish(faults, f"first answer {times['first'] * 1000:.0f} ms after the start")


main()
