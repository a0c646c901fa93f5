"""Closed by default: every address with every kind of access, and what a web page could do to an open one."""

import asyncio
import itertools
import os
import subprocess

from client import ask, chat
from gateway import OUTRIGGER, Gateway, finish, free_port

DEMO = "providers: {demo: {}}\n"
ADDRESSES = {
    "127.0.0.1": True, "127.0.0.2": True, "[::1]": True,
    "0.0.0.0": False, "[::]": False, "192.0.2.1": False, "10.0.0.1": False, "[2001:db8::1]": False, "[fe80::1]": False,
    "[::ffff:10.0.0.1]": False,
}
ACCESS = {"": False, "auth: {keys: loopback-open}\n": False, "auth: {keys: required}\n": True}


def outcome(text, env=None):
    """Exit code and output of a start that ends by itself; None where it runs."""
    os.makedirs("one", exist_ok=True)
    with open("one/outrigger.yaml", "w") as f:
        f.write(text)
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    process = subprocess.Popen(
        [OUTRIGGER, "serve"], cwd="one", env={**clean, **(env or {})}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("ready in"):
            process.kill()
            process.wait()
            return None, "".join(lines)
    return process.wait(), "".join(lines)


def binds():
    """Every address and access, by the file and by the environment."""
    faults = []
    for (address, loopback), (auth, keyed), by in itertools.product(ADDRESSES.items(), ACCESS.items(), ["file", "environment"]):
        api = f"{address}:{free_port()}"
        admin = f"127.0.0.1:{free_port()}"
        if by == "file":
            text, env = f'server: {{api: "{api}", admin: "{admin}"}}\n', {}
        else:
            text, env = f'server: {{admin: "{admin}"}}\n', {"OUTRIGGER__SERVER__API": api}
        code, said = outcome(text + auth + DEMO, env)
        name = f"{address} by {by}, {auth.strip() or 'nothing said about keys'}"
        if loopback or keyed:
            # An address that this machine does not have can't be listened on: that is no refusal.
            if code not in (None, 1):
                faults.append(f"{name}: ended with {code}\n{said}")
        elif code != 3 or "keys: required" not in said:
            faults.append(f"{name}: ended with {code} and said\n{said}")
    return faults


def admin_binds():
    """The admin API always has a token; in the open that is worth a warning."""
    faults = []
    for address, loopback in ADDRESSES.items():
        text = f'server: {{api: "127.0.0.1:{free_port()}", admin: "{address}:{free_port()}"}}\n'
        code, said = outcome(text + "auth: {keys: required}\n" + DEMO)
        if code not in (None, 1) or loopback == ("W0404" in said):
            faults.append(f"admin on {address}: ended with {code}\n{said}")
    return faults


HOSTS = {
    "localhost": 200, "127.0.0.1": 200, "[::1]": 200, "LOCALHOST": 200,
    "evil.example": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "0.0.0.0": 403,
    "127.0.0.2": 403, "10.0.0.1": 403, "rebound": 403,
}
HEADERS = [
    ({"origin": "https://evil.example"}, 403), ({"origin": "null"}, 403), ({"origin": "http://localhost.evil.example"}, 403),
    ({"origin": "http://localhost:3000"}, 200), ({"origin": "http://127.0.0.1:8080"}, 200),
    ({"sec-fetch-site": "cross-site"}, 403), ({"sec-fetch-site": "none"}, 200), ({"sec-fetch-site": "same-origin"}, 200),
    ({"origin": "http://localhost", "sec-fetch-site": "cross-site"}, 403),
]


def pages():
    """A gateway without keys, called as a browser would for a stranger's page. Nothing may be spent."""
    gateway = Gateway(DEMO, folder="open")
    gateway.start()
    faults, good = [], 0

    def one(name, host, headers, wanted):
        nonlocal good
        path, body, _ = chat("demo/echo", "hello")
        answer = asyncio.run(ask(gateway.port, (path, body, headers), host=host))
        good += wanted == 200
        allowed = "access-control-allow-origin" in answer.headers
        if answer.status != wanted or (wanted == 403 and answer.code() != "origin_refused") or allowed:
            faults.append(f"{name}: {answer.status} instead of {wanted}, CORS {allowed}: {answer.body[:200]!r}")

    try:
        for host, wanted in HOSTS.items():
            for port in ["", f":{gateway.port}"]:
                one(f"host {host}{port}", host + port, {}, wanted)
        for headers, wanted in HEADERS:
            one(str(headers), None, headers, wanted)
        served = [row for row in gateway.settled_rows() if row["outcome"] == "ok"]
        if len(served) != good:
            faults.append(f"{len(served)} requests were served instead of {good}")
    finally:
        gateway.kill()
    return faults


def main():
    faults = binds() + admin_binds() + pages()
    finish(faults, f"{len(ADDRESSES) * len(ACCESS) * 2 + len(ADDRESSES)} starts, "
           f"{2 * len(HOSTS) + len(HEADERS)} calls as from a web page")


main()
