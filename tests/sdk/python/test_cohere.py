"""The official Cohere SDK for Python against a base URL."""

import asyncio
import contextlib
import json
import unittest

import httpx
from cohere import AsyncClientV2, ClientV2
from cohere.core.api_error import ApiError
from cohere.errors import (
    BadRequestError,
    NotFoundError,
    TooManyRequestsError,
    UnauthorizedError,
)

from common import API_KEY, BASE_URL, CLOCK, PNG, PREFIX, PROVIDER, SPENT_KEY, WEATHER
from common import Marked, gateway_only, model, needs_embeddings, needs_provider, unless_provider

# This SDK adds /v1 and /v2 by itself.
ROOT = BASE_URL.removesuffix("/v1")
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Forecast", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "clock", "description": "Local time", "parameters": CLOCK}},
]


def user(text):
    return [{"role": "user", "content": text}]


def text_of(answer):
    return answer.message.content[-1].text


class CohereSuite(Marked):
    def setUp(self):
        super().setUp()
        self.client = self.connect()

    def connect(self, key=API_KEY, retries=0):
        return ClientV2(key, base_url=ROOT, max_retries=retries, timeout=20)

    def ask(self, name="echo", messages=None, **more):
        return {"model": model(name), "messages": messages or user(f"hello {self.mark}"), **more}

    def chat(self, *args, **more):
        return self.client.chat(**self.ask(*args, **more))

    def stream(self, *args, **more):
        return list(self.client.chat_stream(**self.ask(*args, **more)))

    # -- chat

    def test_chat(self):
        answer = self.chat()
        self.assertEqual([c.type for c in answer.message.content], ["text"])
        self.assertEqual(text_of(answer), f"hello {self.mark}")
        self.assertEqual((answer.message.role, answer.finish_reason), ("assistant", "COMPLETE"))
        self.assertRegex(answer.id, r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        billed = answer.usage.billed_units
        self.assertEqual((billed.input_tokens, billed.output_tokens), (11, 5))

    def test_system_and_earlier_turns(self):
        turns = [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": [{"type": "text", "text": "two"}]},
            {"role": "user", "content": [{"type": "text", "text": f"three {self.mark}"}]},
        ]
        self.assertEqual(text_of(self.chat(messages=turns)), f"three {self.mark}")

    def test_limit_ends_in_max_tokens(self):
        answer = self.chat("lorem", user(f"90 {self.mark}"), max_tokens=7)
        self.assertEqual((answer.finish_reason, answer.usage.billed_units.output_tokens), ("MAX_TOKENS", 7))

    def test_stop_sequence(self):
        answer = self.chat(messages=user(f"before STOP after {self.mark}"), stop_sequences=["STOP"])
        self.assertEqual(text_of(answer), "before ")
        # OpenAI and Gemini do not tell that a sequence stopped it.
        expected = "COMPLETE" if PROVIDER in ("openai", "gemini", "oci") else "STOP_SEQUENCE"
        self.assertEqual(answer.finish_reason, expected)

    def test_sampling(self):
        answer = self.chat(temperature=0.3, p=0.9, k=5, seed=7, frequency_penalty=0.5)
        self.assertEqual(text_of(answer), f"hello {self.mark}")

    def test_documents(self):
        documents = ["The hut opens in May.", {"id": "hut", "data": {"title": "Hut"}}]
        answer = self.chat(documents=documents, citation_options={"mode": "OFF"})
        if PROVIDER == "cohere":
            self.assertIn("[2 document hut]", text_of(answer))
        self.assertIn(self.mark, text_of(answer))

    @needs_provider("cohere")
    def test_logprobs(self):
        answer = self.chat(logprobs=True)
        self.assertEqual("".join(item.text for item in answer.logprobs), f"hello {self.mark}")

    # -- thinking

    def test_thinking(self):
        answer = self.chat(thinking={"type": "enabled", "token_budget": 1600}, max_tokens=4000)
        kinds = [c.type for c in answer.message.content]
        # OpenAI keeps its reasoning to itself.
        self.assertEqual(kinds, ["text"] if PROVIDER == "openai" else ["thinking", "text"])
        self.assertEqual(text_of(answer), f"hello {self.mark}")
        # Five tokens of text; the rest is thinking, seen or not.
        self.assertGreater(answer.usage.billed_units.output_tokens, 5)

    def test_thinking_goes_back_with_tool_results(self):
        turns = user(self.mark)
        more = {"tools": TOOLS, "thinking": {"type": "enabled", "token_budget": 1600}, "max_tokens": 4000}
        first = self.chat("tools", turns, **more)
        self.assertEqual([c.function.name for c in first.message.tool_calls], ["weather", "clock"])
        results = [
            {"role": "tool", "tool_call_id": c.id, "content": "fine"} for c in first.message.tool_calls
        ]
        second = self.chat("tools", turns + [first.message] + results, **more)
        self.assertEqual(text_of(second), "weather: fine\nclock: fine")

    def test_thinking_streamed(self):
        events = self.stream(thinking={"type": "enabled"}, max_tokens=4000)
        text = "".join(e.delta.message.content.text or "" for e in events if e.type == "content-delta")
        self.assertEqual(text, f"hello {self.mark}")
        thought = any(e.delta.message.content.thinking for e in events if e.type == "content-delta")
        # OpenAI's models think as they do by default, and the fake ones don't.
        self.assertEqual(thought, PROVIDER in ("anthropic", "bedrock", "cohere", "gemini"))

    # -- streams

    def test_stream_events(self):
        events = self.stream()
        order = list(dict.fromkeys(e.type for e in events))
        self.assertEqual(
            order, ["message-start", "content-start", "content-delta", "content-end", "message-end"]
        )
        text = "".join(e.delta.message.content.text for e in events if e.type == "content-delta")
        self.assertEqual(text, f"hello {self.mark}")
        end = events[-1].delta
        billed = end.usage.billed_units
        self.assertEqual((end.finish_reason, billed.input_tokens, billed.output_tokens), ("COMPLETE", 11, 5))

    def test_async_stream(self):
        async def run():
            async with AsyncClientV2(API_KEY, base_url=ROOT, max_retries=0) as client:
                events = client.chat_stream(**self.ask("lorem", user("50")))
                deltas = [e async for e in events if e.type == "content-delta"]
                return "".join(e.delta.message.content.text for e in deltas)

        self.assertEqual(len(asyncio.run(run())), 200)

    def test_unicode_survives_streaming(self):
        text = "naïve 日本語 😀 \u2028 e\u0301 " + self.mark
        events = self.stream(messages=user(text))
        got = "".join(e.delta.message.content.text for e in events if e.type == "content-delta")
        self.assertEqual(got, text)

    # -- tools

    def test_a_required_tool(self):
        answer = self.chat(tools=TOOLS[1:], tool_choice="REQUIRED")
        self.assertEqual(answer.finish_reason, "TOOL_CALL")
        call = answer.message.tool_calls[0]
        self.assertEqual((call.type, call.function.name), ("function", "clock"))
        self.assertEqual(json.loads(call.function.arguments), {"zone": "some zone"})

    def test_no_tool(self):
        answer = self.chat("tools", tools=TOOLS, tool_choice="NONE")
        self.assertEqual((answer.message.tool_calls, text_of(answer)), (None, f"hello {self.mark}"))

    def test_parallel_tools_and_their_results(self):
        turns = user(f"say your plan {self.mark}")
        answer = self.chat("tools", turns, tools=TOOLS)
        calls = answer.message.tool_calls
        self.assertEqual([c.function.name for c in calls], ["weather", "clock"])
        if PROVIDER == "cohere":
            self.assertEqual(answer.message.tool_plan, "I will call weather and clock.")
        results = [
            {"role": "tool", "tool_call_id": calls[0].id, "content": "rain"},
            {
                "role": "tool",
                "tool_call_id": calls[1].id,
                "content": [{"type": "document", "document": {"data": {"time": "noon"}}}],
            },
        ]
        final = self.chat("tools", turns + [answer.message] + results, tools=TOOLS)
        # To Anthropic and Bedrock the document goes as a document.
        seen = {
            "anthropic": "document unnamed: text, 15 bytes",
            "bedrock": "document document: txt, 15 bytes",
        }.get(PROVIDER, '{"time":"noon"}')
        self.assertEqual(text_of(final), f"weather: rain\nclock: {seen}")
        self.assertEqual(final.finish_reason, "COMPLETE")

    def test_streamed_tools(self):
        events = self.stream("tools", user(f"say your plan {self.mark}"), tools=TOOLS)
        names = [e.delta.message.tool_calls.function.name for e in events if e.type == "tool-call-start"]
        self.assertEqual(names, ["weather", "clock"])
        pieces = {}
        for event in events:
            if event.type == "tool-call-delta":
                pieces.setdefault(event.index, []).append(event.delta.message.tool_calls.function.arguments)
        self.assertEqual(json.loads("".join(pieces[0])), {"city": "some city", "days": 7})
        self.assertEqual(json.loads("".join(pieces[1])), {"zone": "some zone"})
        self.assertEqual(events[-1].delta.finish_reason, "TOOL_CALL")
        if PROVIDER == "cohere":
            plan = [e.delta.message.tool_plan for e in events if e.type == "tool-plan-delta"]
            self.assertEqual("".join(plan), "I will call weather and clock.")

    # -- structured output and images

    def test_schema(self):
        answer = self.chat("json", response_format={"type": "json_object", "json_schema": WEATHER})
        self.assertEqual(json.loads(text_of(answer)), {"city": "some city", "days": 7})

    def test_json_object(self):
        answer = self.chat("json", user(f"JSON {self.mark}"), response_format={"type": "json_object"})
        self.assertIn("echo", json.loads(text_of(answer)))

    def test_image(self):
        parts = [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
            {"type": "text", "text": self.mark},
        ]
        self.assertIn("image: png 1x1", text_of(self.chat(messages=user(parts))))

    # -- models and embeddings

    def test_models(self):
        names = [m.name for m in self.client.models.list().models]
        self.assertIn(PREFIX + "echo", names)
        self.assertEqual(self.client.models.get(model("echo")).name, model("echo"))

    @needs_embeddings
    def test_embed(self):
        answer = self.client.embed(
            model=model("embed"), texts=["a", "b"], input_type="search_query", embedding_types=["float"],
            output_dimension=256,
        )
        self.assertEqual([len(v) for v in answer.embeddings.float_], [256, 256])
        self.assertEqual(answer.texts, ["a", "b"])
        if PROVIDER != "gemini":  # which says nothing about usage
            self.assertEqual(answer.meta.billed_units.input_tokens, 2)

    @needs_provider("cohere")
    def test_rerank(self):
        documents = ["a warm day", "the cold war", self.mark]
        answer = self.client.rerank(model=model("rerank"), query="cold war", documents=documents, top_n=2)
        self.assertEqual([it.index for it in answer.results], [1, 0])
        self.assertEqual(answer.meta.billed_units.search_units, 1)
        self.rule({"status": 429})
        with self.assertRaises(ApiError) as raised:
            self.client.rerank(model=model("rerank"), query="x", documents=documents)
        self.assertEqual(raised.exception.status_code, 429)

    @gateway_only
    @unless_provider("cohere", "a provider that serves this")
    def test_rerank_where_there_is_none(self):
        with self.assertRaises(ApiError) as raised:
            self.client.rerank(model=model("rerank"), query="x", documents=[self.mark])
        self.assertIn("does not serve this operation", str(raised.exception.body))

    # -- errors and retries

    def test_wrong_key(self):
        with self.assertRaises(UnauthorizedError) as raised:
            self.connect("sk-wrong").chat(**self.ask())
        self.assertTrue(raised.exception.body["message"])

    @unittest.skipUnless(SPENT_KEY, "no key with a spent budget given")
    def test_spent_budget(self):
        with self.assertRaises(ApiError) as raised:
            self.connect(SPENT_KEY, retries=2).chat(**self.ask())
        self.assertEqual(raised.exception.status_code, 402)
        self.assertEqual(self.arrivals(), 0)

    def test_unknown_model(self):
        with self.assertRaises(NotFoundError):
            self.chat("no-such-model")

    def test_bad_request(self):
        with self.assertRaises(BadRequestError):
            self.chat(messages=[{"role": "robot", "content": "x"}])

    def test_provider_rate_limit(self):
        self.rule({"status": 429, "retry_after_ms": 5})
        with self.assertRaises(TooManyRequestsError):
            self.chat()

    def test_provider_failures(self):
        for status in (500, 503):
            with self.subTest(status), self.assertRaises(ApiError) as raised:
                self.chat(f"status-{status}")
            self.assertGreaterEqual(raised.exception.status_code, 500)

    def test_error_in_the_stream(self):
        self.rule({"error_after": 5})
        events = []
        # The SDK takes it for an end like others; a gateway may break the connection off besides.
        with contextlib.suppress(httpx.HTTPError):
            for event in self.client.chat_stream(**self.ask("lorem", user(f"50 {self.mark}"))):
                events.append(event)
        self.assertEqual((events[-1].type, events[-1].delta.finish_reason), ("message-end", "ERROR"))
        self.assertTrue(events[-1].delta.error)

    @gateway_only
    def test_a_cut_stream_is_an_error(self):
        self.rule({"fault": "cut", "at": 1500})
        with self.assertRaises(httpx.HTTPError):
            list(self.client.chat_stream(**self.ask("lorem", user(f"50 {self.mark}"))))

    def test_retries(self):
        self.rule({"status": 429, "retry_after_ms": 5}, times=1)
        answer = self.connect(retries=2).chat(**self.ask())
        self.assertEqual(text_of(answer), f"hello {self.mark}")
        self.assertEqual(self.arrivals(), 2)

    def test_no_retry_of_a_bad_request(self):
        self.rule({"status": 400})
        with self.assertRaises(BadRequestError):
            self.connect(retries=2).chat(**self.ask())
        self.assertEqual(self.arrivals(), 1)


if __name__ == "__main__":
    unittest.main()
