"""Starting the programs under test, and judging what they did; see README.md."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

OUTRIGGER = os.environ["OUTRIGGER_BIN"]
FAKE = os.environ["FAKE_PROVIDER_BIN"]
LONG = os.environ.get("OUTRIGGER_TEST_LONG") == "1"
KEY = "sk-partner"


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


def finish(faults, figures):
    """The verdict: what was found wrong, or the figures of a test in which nothing was."""
    if not faults:
        print(f"PASS {figures}")
        return
    for fault in faults[:30]:
        print(f"  {fault}")
    print(f"FAIL {len(faults)} faults; {figures}")
    sys.exit(1)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(condition, seconds=10, every=0.01):
    """Asks until the answer is truthy, and gives it; the last answer when the time is over."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(every)


class Partner:
    """The fake partner, a process of its own with a journal of its own."""

    def __init__(self, journal=None, *more, plain=False):
        """`plain`: it takes any key, or none."""
        command = [FAKE, *([] if plain else ["--key", KEY]), *more] + (["--journal", journal] if journal else [])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        ready = json.loads(self.process.stdout.readline())
        self.base_url, self.control_url = ready["base_url"], ready["control_url"]

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control_url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def rule(self, do, **match):
        """What to do with the requests that match; `contains` is text of the body."""
        self.control("POST", "/rules", {"match": match, "do": do})

    def stats(self):
        return self.control("GET", "/stats")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Journal:
    """The partner's journal, read as it grows: the events of each arrival, found by the mark in its text."""

    def __init__(self, path):
        self.path, self.file, self.rest = path, None, ""
        self.arrived, self.ended = {}, {}

    def read(self):
        if self.file is None:
            if not os.path.exists(self.path):
                return
            self.file = open(self.path)
        lines = (self.rest + self.file.read()).split("\n")
        self.rest = lines.pop()
        for line in map(json.loads, lines):
            if line["ev"] == "arrive":
                self.arrived.setdefault(line["mark"], []).append(line)
            else:
                self.ended[line["n"]] = line

    def arrivals(self, mark):
        self.read()
        return self.arrived.get(mark, [])

    def end(self, number):
        self.read()
        return self.ended.get(number)


class Gateway:
    """The gateway with one configuration and one data folder, started as often as a test likes."""

    def __init__(self, config, folder=".", server="", env=None, data=None, args=()):
        self.port, self.admin = free_port(), free_port()
        self.folder = os.path.abspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.head = (
            f'server: {{api: "127.0.0.1:{self.port}", admin: "127.0.0.1:{self.admin}",'
            f" limits: {{connections: 20000, connections_per_ip: 20000}}{server}}}\n"
        )
        self.file = os.path.join(self.folder, "outrigger.yaml")
        self.log_file = os.path.join(self.folder, "serve.log")
        self.data = os.path.abspath(data or os.path.join(self.folder, "data"))
        self.write(config)
        self.env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY") and k != "OLLAMA_HOST"}
        self.env.update(OUTRIGGER_DATA_DIR=self.data, PARTNER_KEY=KEY, **(env or {}))
        self.args = list(args)
        self.process = None

    def write(self, config):
        """Replaces the configuration in one step."""
        with open(self.file + ".new", "w") as f:
            f.write(self.head + config)
        os.replace(self.file + ".new", self.file)

    def launch(self):
        """Starts the process and waits for nothing."""
        self.log = open(self.log_file, "a")
        self.process = subprocess.Popen(
            [OUTRIGGER, "serve", *self.args],
            cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )

    def start(self):
        self.launch()
        until(lambda: self.process.poll() is not None or self.ready() == 200, 20)
        if self.process.poll() is not None:
            sys.exit(f"the gateway ended at once; its log:\n{self.logged()}")
        if self.ready() != 200:
            self.kill()
            sys.exit(f"the gateway was not ready in time; its log:\n{self.logged()}")

    def ready(self):
        """Status of `/readyz`, 0 while nobody answers."""
        return get(f"http://127.0.0.1:{self.port}/readyz", timeout=2)[0]

    def kill(self, how=signal.SIGKILL, timeout=60):
        """Ends it and gives its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(timeout=timeout)
        self.log.close()
        return self.process.returncode

    def logged(self, lines=40):
        with open(self.log_file, errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def run(self, *args, check=True):
        done = subprocess.run(
            [OUTRIGGER, *args], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if check and done.returncode != 0:
            sys.exit(f"outrigger {' '.join(args)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def key(self, app, kind="virtual"):
        """Makes a virtual key and gives its secret."""
        found = [s for s in strings(json.loads(self.run("key", "create", "--app", app, "--kind", kind, "--json")))
                 if s.startswith("or-") and s.count("-") == 2]
        if not found:
            sys.exit("key create --json gave no secret")
        return found[0]

    def rows(self):
        """Exported rows: one for each attempt or refusal."""
        out = self.run("ledger", "export", "--format", "jsonl")
        return [json.loads(line) for line in out.splitlines() if line.strip()]

    def settled_rows(self, seconds=10):
        """The rows once every attempt is settled; or as they are when the time is over."""
        def settled():
            self.last_rows = self.rows()
            return all(row["done_at"] or row["refusal"] for row in self.last_rows)
        until(settled, seconds, 0.05)
        return self.last_rows

    def metrics(self):
        """The value of each metric, by its name with labels."""
        text = get(f"http://127.0.0.1:{self.admin}/metrics", self.admin_token())[1]
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def admin_token(self):
        path = os.path.join(self.data, "admin-token")
        if not os.path.exists(path):
            return None
        with open(path) as f:
            return f.read().strip()

    def panics(self):
        return [line for line in self.logged(100_000).splitlines() if "panick" in line]

    def rss(self):
        """Memory in use, in bytes."""
        return self.memory("VmRSS")

    def peak(self):
        """Most memory that was in use since the last `forget_peak`, in bytes."""
        return self.memory("VmHWM")

    def memory(self, name):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith(name + ":"))

    def forget_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as f:
            f.write("5")


def attempts(rows):
    """The rows of attempts, without refusals."""
    return [row for row in rows if row["attempt"] is not None and not row["refusal"]]


def get(url, token=None, timeout=10):
    """Status and text; status 0 when nobody answers."""
    request = urllib.request.Request(url)
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode(errors="replace")
    except OSError:
        return 0, ""


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
