"""What every suite is told by its environment; see ../README.md."""

import json
import os
import unittest
import urllib.request
import uuid

BASE_URL = os.environ["SDK_BASE_URL"].rstrip("/")  # ends in /v1
API_KEY = os.environ["SDK_API_KEY"]
PREFIX = os.environ.get("SDK_MODEL_PREFIX", "")
PROVIDER = os.environ.get("SDK_PROVIDER_DIALECT", "openai")  # what the mock behind speaks
PARTNER = os.environ.get("SDK_PARTNER", PROVIDER)  # its name: a cloud speaks a dialect in an envelope of its own
CONTROL = os.environ["SDK_MOCK_CONTROL"].rstrip("/")
GATEWAY = os.environ.get("SDK_GATEWAY") == "1"
SPENT_KEY = os.environ.get("SDK_SPENT_KEY")  # a key whose budget is used up

# Dialects that have embeddings.
EMBEDDING = ("openai", "gemini", "cohere", "oci")

# A 1x1 PNG.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
CLOCK = {
    "type": "object",
    "properties": {"zone": {"type": "string"}},
    "required": ["zone"],
    "additionalProperties": False,
}


def model(name):
    return PREFIX + name


def needs_provider(dialect):
    return unittest.skipUnless(PROVIDER == dialect, f"only a provider that speaks {dialect} can do this")


def unless_provider(dialect, why):
    return unittest.skipIf(PROVIDER == dialect, why)


def needs_embeddings(test):
    return unittest.skipUnless(PROVIDER in EMBEDDING, "a provider without embeddings")(test)


def gateway_only(test):
    return unittest.skipUnless(GATEWAY, "a promise of the gateway, not of the mock")(test)


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(CONTROL + path, data=data, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


class Marked(unittest.TestCase):
    """Each test has a mark of its own in its texts, so that its rules and its arrivals are its own."""

    def setUp(self):
        self.mark = "m" + uuid.uuid4().hex[:12]

    def rule(self, do, **more):
        control("POST", "/rules", {"match": {"contains": self.mark}, "do": do, **more})

    def arrivals(self):
        return sum(self.mark in r["body"] for r in control("GET", "/requests"))
