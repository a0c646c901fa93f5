"""An imported price table counts from the reload that the import asks for, or from the next start; never half.

Costs are compared with the row's own tokens times the imported price, in decimals.
"""

import asyncio
import json
import os
import subprocess
from decimal import Decimal

from client import ask, chat
from gateway import Gateway, Partner, finish

# USD per token, as LiteLLM's table writes them.
FIRST, SECOND, THIRD, FOURTH = "7e-6", "11e-6", "13e-6", "17e-6"


def config(base_url):
    return (
        f'providers:\n  openai: {{base_url: "{base_url}", key: env:PARTNER_KEY, models: [echo]}}\n'
        "prices: {unpriced: allow}\n"
    )


def table(price):
    entry = {
        "litellm_provider": "openai", "mode": "chat",
        "input_cost_per_token": float(price), "output_cost_per_token": 2 * float(price),
    }
    with open("table.json", "w") as f:
        json.dump({"echo": entry}, f)


def imported(gateway, price, *args):
    """Exit code, what `--json` says, and what stands on standard error."""
    table(price)
    command = [os.environ["OUTRIGGER_BIN"], "catalog", "import", os.path.abspath("table.json"), "--json", *args]
    done = subprocess.run(command, cwd=gateway.folder, env=gateway.env, capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout), done.stderr


def cost(gateway, faults, price, when):
    """One request, whose row must cost that much a token."""
    answer = asyncio.run(ask(gateway.port, chat("openai/echo", f"priced {when}")))
    row = next(row for row in gateway.settled_rows() if row["request"] == answer.headers.get("x-outrigger-request-id"))
    tokens = row["input"] + 2 * row["output"]
    wanted = None if price is None else tokens * Decimal(price)
    found = None if row["cost_usd"] is None else Decimal(row["cost_usd"])
    told = answer.headers.get("x-outrigger-cost")
    told = None if told is None else Decimal(told)
    if (answer.status, found, told) != (200, wanted, wanted):
        faults.append(f"{when}: {answer.status}, {tokens} tokens at {price} cost {found}, the header says {told}")


def while_running(gateway, base_url, faults):
    cost(gateway, faults, None, "before any import")
    code, said, _ = imported(gateway, FIRST, "--dry-run")
    if (code, said["written"], said["reloaded"]) != (0, False, None):
        faults.append(f"a dry run ended with {code}: {said}")
    cost(gateway, faults, None, "after a dry run")
    for revision, price in [(2, FIRST), (3, SECOND)]:
        code, said, _ = imported(gateway, price)
        if (code, said["reloaded"]) != (0, {"revision": revision}):
            faults.append(f"the import of {price} ended with {code}: {said}")
        cost(gateway, faults, price, f"after the import of {price}")
    # A file that is refused keeps the import out of force, and says so.
    gateway.write(config(base_url) + "budgtes: {}\n")
    code, said, err = imported(gateway, THIRD)
    if code == 0 or not said["written"] or "not in force" not in err or "budgtes" not in err:
        faults.append(f"an import beside a faulty file ended with {code}: {said} {err}")
    cost(gateway, faults, SECOND, "while the file is faulty")
    gateway.write(config(base_url))
    code, said, _ = imported(gateway, THIRD)
    if (code, said["reloaded"]) != (0, {"revision": 4}):
        faults.append(f"the import beside a mended file ended with {code}: {said}")
    cost(gateway, faults, THIRD, "after the mended file")


def main():
    partner = Partner()
    gateway = Gateway(config(partner.base_url))
    gateway.start()
    faults = []
    try:
        while_running(gateway, partner.base_url, faults)
        gateway.kill()
        code, said, _ = imported(gateway, FOURTH)
        if (code, said["reloaded"]) != (0, None):
            faults.append(f"an import without a gateway ended with {code}: {said}")
        gateway.start()
        cost(gateway, faults, FOURTH, "after the next start")
        gateway.run("ledger", "verify")
        faults += gateway.panics()
    finally:
        gateway.kill()
        partner.stop()
    finish(faults, "4 imports: in force from the reload or the start on, none from a dry run or beside a faulty file")


main()
