"""Starting the programs under test; see README.md."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request

OUTRIGGER = os.environ["OUTRIGGER_BIN"]
FAKE = os.environ["FAKE_PROVIDER_BIN"]
LONG = os.environ.get("OUTRIGGER_TEST_LONG") == "1"
KEY = "sk-partner"
DATA = os.path.abspath("data")


def many_files(wanted=8192):
    """Raises this process's limit of open files, which children inherit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if max(limit, soft) < wanted:
        skip(f"only {max(limit, soft)} open files are allowed here")


def skip(why):
    print(why)
    sys.exit(77)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Partner:
    """The fake partner, a process of its own with a journal of its own."""

    def __init__(self, journal=None):
        command = [FAKE, "--key", KEY] + (["--journal", journal] if journal else [])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        ready = json.loads(self.process.stdout.readline())
        self.base_url, self.control_url = ready["base_url"], ready["control_url"]

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control_url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Gateway:
    """The gateway with one configuration and one data folder, started as often as a test likes."""

    def __init__(self, config):
        self.port, self.admin = free_port(), free_port()
        server = (
            f'server: {{api: "127.0.0.1:{self.port}", admin: "127.0.0.1:{self.admin}",'
            " limits: {connections: 20000, connections_per_ip: 20000}}\n"
        )
        with open("outrigger.yaml", "w") as f:
            f.write(server + config)
        self.env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
        self.env.update(OUTRIGGER_DATA_DIR=DATA, PARTNER_KEY=KEY)
        self.process = None

    def start(self):
        self.log = open("serve.log", "a")
        self.process = subprocess.Popen(
            [OUTRIGGER, "serve"], env=self.env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        until = time.monotonic() + 20
        while True:
            if self.process.poll() is not None:
                sys.exit(f"the gateway ended at once; its log:\n{self.logged()}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2):
                    return
            except OSError:
                if time.monotonic() > until:
                    sys.exit(f"the gateway was not ready in time; its log:\n{self.logged()}")
                time.sleep(0.02)

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait(timeout=60)
        self.log.close()
        return self.process.returncode

    def logged(self):
        with open("serve.log") as f:
            return "".join(f.readlines()[-40:])

    def run(self, *args, check=True):
        done = subprocess.run([OUTRIGGER, *args], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if check and done.returncode != 0:
            sys.exit(f"outrigger {' '.join(args)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def key(self, app):
        """Makes a virtual key and gives its secret."""
        found = [s for s in strings(json.loads(self.run("key", "create", "--app", app, "--json")))
                 if s.startswith("or-") and s.count("-") == 2]
        if not found:
            sys.exit("key create --json gave no secret")
        return found[0]


def strings(value):
    """Every string inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for v in value:
            yield from strings(v)
    elif isinstance(value, dict):
        for v in value.values():
            yield from strings(v)
