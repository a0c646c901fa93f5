"""Mistral's official SDK for Python against a base URL; its API is OpenAI's chat with a few words of its own.

Three things this SDK reads in Mistral's own form only, so they are not tried here: streamed tool calls, which it wants whole
and not in OpenAI's pieces; the list of models, with kinds and capabilities that OpenAI's has no word for; and embeddings,
which must have an id.
"""

import asyncio
import json
import unittest

import httpx
from mistralai.client import Mistral
from mistralai.client.errors import SDKError
from mistralai.client.utils.retries import BackoffStrategy, RetryConfig
from pydantic import BaseModel

from common import API_KEY, BASE_URL, CLOCK, PNG, PROVIDER, SPENT_KEY, WEATHER
from common import Marked, gateway_only, model, needs_provider, unless_provider

# This SDK adds /v1 by itself.
ROOT = BASE_URL.removesuffix("/v1")
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Forecast", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "clock", "description": "Local time", "parameters": CLOCK}},
]
RETRIES = RetryConfig("backoff", BackoffStrategy(1, 10, 1.5, 5000), retry_connection_errors=True)


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


def user(text):
    return [{"role": "user", "content": text}]


class MistralSuite(Marked):
    def setUp(self):
        super().setUp()
        self.client = self.connect()

    def connect(self, key=API_KEY, retries=None):
        return Mistral(api_key=key, server_url=ROOT, retry_config=retries, timeout_ms=20_000)

    def ask(self, name="echo", messages=None, **more):
        return {"model": model(name), "messages": messages or user(f"hello {self.mark}"), **more}

    def complete(self, *args, **more):
        return self.client.chat.complete(**self.ask(*args, **more))

    def stream(self, *args, **more):
        return [event.data for event in self.client.chat.stream(**self.ask(*args, **more))]

    def refused(self, statuses, client=None, **more):
        with self.assertRaises(SDKError) as raised:
            (client or self.client).chat.complete(**self.ask(**more))
        self.assertIn(raised.exception.status_code, statuses)
        self.assertTrue(json.loads(raised.exception.body))

    # -- chat

    def test_chat(self):
        answer = self.complete()
        choice = answer.choices[0]
        self.assertEqual((choice.message.content, choice.finish_reason), (f"hello {self.mark}", "stop"))
        self.assertEqual((answer.usage.prompt_tokens, answer.usage.completion_tokens), (11, 5))
        self.assertEqual(answer.object, "chat.completion")

    def test_system_and_earlier_turns(self):
        turns = [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": [{"type": "text", "text": f"three {self.mark}"}]},
        ]
        self.assertEqual(self.complete(messages=turns).choices[0].message.content, f"three {self.mark}")

    def test_limit_ends_in_length(self):
        answer = self.complete("lorem", user(f"90 {self.mark}"), max_tokens=7)
        self.assertEqual((answer.choices[0].finish_reason, answer.usage.completion_tokens), ("length", 7))

    def test_stop_sequence(self):
        choice = self.complete(messages=user(f"before STOP after {self.mark}"), stop="STOP").choices[0]
        self.assertEqual((choice.message.content, choice.finish_reason), ("before ", "stop"))

    def test_sampling(self):
        answer = self.complete(temperature=0.3, top_p=0.9, presence_penalty=0.1, frequency_penalty=0.1)
        self.assertEqual(answer.choices[0].message.content, f"hello {self.mark}")

    @needs_provider("cohere")  # OpenAI refuses Mistral's `random_seed`, the others have no seed or heed none here
    def test_seed(self):
        texts = [
            self.complete("lorem", user(f"20 {self.mark}"), random_seed=seed).choices[0].message.content
            for seed in (7, 7, 8)
        ]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])

    def test_reasoning(self):
        answer = self.complete(reasoning_effort="high", max_tokens=4000)
        self.assertEqual(answer.choices[0].message.content, f"hello {self.mark}")
        # Five tokens of text; the rest is thinking.
        self.assertGreater(answer.usage.completion_tokens, 5)

    # -- streams

    def test_stream(self):
        chunks = self.stream()
        choices = [c.choices[0] for c in chunks if c.choices]
        self.assertEqual("".join(c.delta.content or "" for c in choices), f"hello {self.mark}")
        self.assertEqual([c.finish_reason for c in choices if c.finish_reason], ["stop"])

    def test_async_stream(self):
        async def run():
            async with Mistral(api_key=API_KEY, server_url=ROOT) as client:
                events = await client.chat.stream_async(**self.ask("lorem", user("50")))
                chunks = [event.data async for event in events]
            return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)

        self.assertEqual(len(asyncio.run(run())), 200)

    def test_unicode_survives_streaming(self):
        text = "naïve 日本語 😀 \u2028 e\u0301 " + self.mark
        choices = [c.choices[0] for c in self.stream(messages=user(text)) if c.choices]
        self.assertEqual("".join(c.delta.content or "" for c in choices), text)

    # -- tools

    @unless_provider("openai", "OpenAI refuses Mistral's word, and gets from the gateway what the client sent")
    def test_any_tool(self):
        """`any` is Mistral's word for what OpenAI calls `required`."""
        choice = self.complete(tools=TOOLS[1:], tool_choice="any").choices[0]
        self.assertEqual(choice.finish_reason, "tool_calls")
        self.assertEqual([c.function.name for c in choice.message.tool_calls], ["clock"])
        self.assertEqual(json.loads(choice.message.tool_calls[0].function.arguments), {"zone": "some zone"})

    def test_a_named_tool(self):
        named = {"type": "function", "function": {"name": "clock"}}
        if PROVIDER == "cohere":
            self.skipTest("Cohere can't be told which tool to call")
        choice = self.complete(tools=TOOLS, tool_choice=named).choices[0]
        self.assertEqual([c.function.name for c in choice.message.tool_calls], ["clock"])

    def test_parallel_tools_and_their_results(self):
        turns = user(f"plan {self.mark}")
        message = self.complete("tools", turns, tools=TOOLS).choices[0].message
        self.assertEqual([c.function.name for c in message.tool_calls], ["weather", "clock"])
        results = [
            {"role": "tool", "name": c.function.name, "tool_call_id": c.id, "content": said}
            for c, said in zip(message.tool_calls, ["rain", "noon"])
        ]
        final = self.complete("tools", [*turns, message, *results], tools=TOOLS).choices[0]
        self.assertEqual((final.message.content, final.finish_reason), ("weather: rain\nclock: noon", "stop"))

    @unless_provider("gemini", "Gemini can't be told to call one tool at a time")
    @unless_provider("bedrock", "Converse can't be told to call one tool at a time")
    @unless_provider("cohere", "Cohere can't be told to call one tool at a time")
    def test_parallel_can_be_forbidden(self):
        message = self.complete("tools", tools=TOOLS, parallel_tool_calls=False).choices[0].message
        self.assertEqual(len(message.tool_calls), 1)

    # -- structured output and images

    def test_parse(self):
        answer = self.client.chat.parse(Person, **self.ask("json"))
        self.assertEqual(answer.choices[0].message.parsed, Person(name="some name", age=7, tags=["some tags"]))

    def test_json_object(self):
        answer = self.complete("json", user(f"as json: {self.mark}"), response_format={"type": "json_object"})
        self.assertIsInstance(json.loads(answer.choices[0].message.content), dict)

    def test_image(self):
        """The URL as a text, as Mistral documents it, and as an object, as OpenAI does."""
        url = f"data:image/png;base64,{PNG}"
        # OpenAI takes the object only, and gets from the gateway what the client sent.
        for form in ({"url": url},) if PROVIDER == "openai" else ({"url": url}, url):
            parts = [{"type": "text", "text": self.mark}, {"type": "image_url", "image_url": form}]
            with self.subTest(type(form).__name__):
                text = self.complete(messages=user(parts)).choices[0].message.content
                self.assertIn("image: png 1x1", text)

    # -- errors and retries

    def test_errors(self):
        self.refused([401], self.connect("sk-wrong"))
        self.refused([404], name="no-such-model")
        self.refused(range(500, 600), name="status-500")
        self.rule({"status": 429, "retry_after_ms": 5})
        self.refused([429])

    @unittest.skipUnless(SPENT_KEY, "no key with a spent budget given")
    def test_spent_budget(self):
        self.refused([402], self.connect(SPENT_KEY, RETRIES))
        self.assertEqual(self.arrivals(), 0)

    def test_error_in_the_stream(self):
        self.rule({"error_after": 5})
        # The SDK has no word for an error event: what it can't read as a chunk it raises.
        with self.assertRaises(Exception):
            self.stream("lorem", user(f"50 {self.mark}"))

    @gateway_only
    def test_a_cut_stream_is_an_error(self):
        self.rule({"fault": "cut", "at": 900})
        with self.assertRaises(Exception) as raised:
            self.stream("lorem", user(f"50 {self.mark}"))
        self.assertNotIsInstance(raised.exception, httpx.ReadTimeout)

    def test_retries(self):
        self.rule({"status": 429, "retry_after_ms": 5}, times=1)
        answer = self.connect(retries=RETRIES).chat.complete(**self.ask())
        self.assertEqual(answer.choices[0].message.content, f"hello {self.mark}")
        self.assertEqual(self.arrivals(), 2)


if __name__ == "__main__":
    unittest.main()
