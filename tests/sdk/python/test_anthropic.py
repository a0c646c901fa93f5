"""The official Anthropic SDK for Python against a base URL."""

import asyncio
import json
import unittest

import anthropic
from anthropic import Anthropic, AsyncAnthropic
from pydantic import BaseModel

from batches import AnthropicBatches  # noqa: F401, run with these
from common import API_KEY, BASE_URL, CLOCK, PNG, PREFIX, PROVIDER, SPENT_KEY, WEATHER
from common import Marked, gateway_only, model, needs_provider, unless_provider

# This SDK adds /v1 by itself.
ROOT = BASE_URL.removesuffix("/v1")
TOOLS = [
    {"name": "weather", "description": "Forecast", "input_schema": WEATHER},
    {"name": "clock", "description": "Local time", "input_schema": CLOCK},
]


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


def user(text):
    return [{"role": "user", "content": text}]


class AnthropicSuite(Marked):
    def setUp(self):
        super().setUp()
        self.client = Anthropic(base_url=ROOT, api_key=API_KEY, max_retries=0, timeout=20)
        self.messages = self.client.messages

    def ask(self, name="echo", messages=None, max_tokens=500, **more):
        return {
            "model": model(name),
            "messages": messages or user(f"hello {self.mark}"),
            "max_tokens": max_tokens,
            **more,
        }

    def create(self, *args, **more):
        return self.messages.create(**self.ask(*args, **more))

    # -- messages

    def test_message(self):
        answer = self.create()
        self.assertEqual([b.type for b in answer.content], ["text"])
        self.assertEqual(answer.content[0].text, f"hello {self.mark}")
        self.assertEqual((answer.role, answer.type, answer.stop_reason), ("assistant", "message", "end_turn"))
        self.assertEqual((answer.usage.input_tokens, answer.usage.output_tokens), (11, 5))

    def test_old_version_and_key_header(self):
        client = Anthropic(
            base_url=ROOT,
            api_key=None,
            auth_token=None,
            max_retries=0,
            default_headers={
                "anthropic-version": "2023-06-01",
                "x-api-key": API_KEY,
                "authorization": anthropic.omit,
            },
        )
        answer = client.messages.create(**self.ask(), extra_body={"temperature": 0.5})
        self.assertEqual(answer.content[0].text, f"hello {self.mark}")

    def test_system_and_earlier_turns(self):
        turns = [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": [{"type": "text", "text": f"three {self.mark}"}]},
        ]
        answer = self.create(messages=turns, system=[{"type": "text", "text": "be brief"}])
        self.assertEqual(answer.content[0].text, f"three {self.mark}")

    def test_request_id_is_exposed(self):
        self.assertTrue(self.create()._request_id)

    def test_limit_ends_in_max_tokens(self):
        answer = self.create("lorem", user(f"90 {self.mark}"), max_tokens=7)
        self.assertEqual((answer.stop_reason, answer.usage.output_tokens), ("max_tokens", 7))

    def test_stop_sequence(self):
        answer = self.create(messages=user(f"before STOP after {self.mark}"), stop_sequences=["STOP"])
        self.assertEqual(answer.content[0].text, "before ")
        # OpenAI and Gemini do not tell that a sequence stopped it; Converse and Cohere do not tell which.
        untold = ("stop_sequence", None) if PROVIDER in ("bedrock", "cohere") else ("end_turn", None)
        # At Responses, which has none, the gateway cuts the answer and so knows.
        expected = ("stop_sequence", "STOP") if PROVIDER in ("anthropic", "responses") else untold
        self.assertEqual((answer.stop_reason, answer.stop_sequence), expected)

    @unless_provider("cohere", "Cohere has no word for a refusal")
    def test_refusal(self):
        self.assertEqual(self.create("refusal").stop_reason, "refusal")

    @needs_provider("anthropic")
    def test_cache_buckets(self):
        system = [{"type": "text", "text": "word " * 2000, "cache_control": {"type": "ephemeral"}}]
        usage = self.create(system=system).usage
        self.assertEqual((usage.cache_creation_input_tokens, usage.cache_read_input_tokens), (2503, 0))
        turns = user("a") + [{"role": "assistant", "content": "b"}] + user(self.mark)
        usage = self.create(messages=turns, system=system).usage
        self.assertEqual((usage.cache_creation_input_tokens, usage.cache_read_input_tokens), (0, 2503))
        self.assertLess(usage.input_tokens, 40)

    # -- thinking

    @needs_provider("anthropic")
    def test_thinking_goes_back_with_tool_results(self):
        turns = user(self.mark)
        more = {"tools": TOOLS, "thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}
        first = self.create("tools", turns, **more)
        self.assertEqual([b.type for b in first.content], ["thinking", "tool_use", "tool_use"])
        self.assertTrue(first.content[0].signature)
        results = [
            {"type": "tool_result", "tool_use_id": b.id, "content": "fine"}
            for b in first.content
            if b.type == "tool_use"
        ]
        turns = turns + [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        second = self.create("tools", turns, **more)
        self.assertEqual(second.content[-1].text, "weather: fine\nclock: fine")

    def test_adaptive_thinking_streamed(self):
        more = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}, "max_tokens": 4000}
        with self.messages.stream(**self.ask(**more)) as stream:
            kinds = {e.type for e in stream}
            final = stream.get_final_message()
        self.assertEqual(final.content[-1].text, f"hello {self.mark}")
        if PROVIDER == "anthropic":
            self.assertIn("thinking", kinds)
            self.assertIn("signature", kinds)
            self.assertEqual(final.usage.output_tokens_details.thinking_tokens, 16)
        # Five tokens of text; the rest is thinking, seen or not.
        self.assertGreater(final.usage.output_tokens, 5)

    # -- streams

    def test_stream_events(self):
        kinds = []
        for event in self.create(stream=True):
            kinds.append(event.type)
        order = [k for k in dict.fromkeys(kinds) if k != "ping"]
        self.assertEqual(
            order,
            [
                "message_start",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
            ],
        )

    def test_stream_helper(self):
        with self.messages.stream(**self.ask()) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual(text, f"hello {self.mark}")
        self.assertEqual((final.usage.input_tokens, final.usage.output_tokens), (11, 5))
        self.assertEqual(final.stop_reason, "end_turn")

    def test_async_stream(self):
        async def run():
            async with AsyncAnthropic(base_url=ROOT, api_key=API_KEY, max_retries=0) as client:
                async with client.messages.stream(**self.ask("lorem", user("50"))) as stream:
                    return "".join([t async for t in stream.text_stream])

        self.assertEqual(len(asyncio.run(run())), 200)

    def test_unicode_survives_streaming(self):
        text = "naïve 日本語 😀 \u2028 e\u0301 " + self.mark
        with self.messages.stream(**self.ask(messages=user(text))) as stream:
            self.assertEqual("".join(stream.text_stream), text)

    # -- tools

    def test_a_forced_tool(self):
        answer = self.create(tools=TOOLS, tool_choice={"type": "tool", "name": "clock"})
        self.assertEqual(answer.stop_reason, "tool_use")
        self.assertEqual([(b.name, b.input) for b in answer.content], [("clock", {"zone": "some zone"})])

    def test_parallel_tools_and_their_results(self):
        turns = user(f"plan {self.mark}")
        answer = self.create("tools", turns, tools=TOOLS)
        calls = [b for b in answer.content if b.type == "tool_use"]
        self.assertEqual([c.name for c in calls], ["weather", "clock"])
        results = [
            {"type": "tool_result", "tool_use_id": calls[0].id, "content": [{"type": "text", "text": "rain"}]},
            {"type": "tool_result", "tool_use_id": calls[1].id, "content": "noon"},
        ]
        turns = turns + [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
        final = self.create("tools", turns, tools=TOOLS)
        self.assertEqual(final.content[0].text, "weather: rain\nclock: noon")
        self.assertEqual(final.stop_reason, "end_turn")

    @unless_provider("gemini", "Gemini can't be told to call one tool at a time")
    @unless_provider("bedrock", "Converse can't be told to call one tool at a time")
    @unless_provider("cohere", "Cohere can't be told to call one tool at a time")
    def test_parallel_can_be_forbidden(self):
        answer = self.create(
            "tools", tools=TOOLS, tool_choice={"type": "auto", "disable_parallel_tool_use": True}
        )
        self.assertEqual(len([b for b in answer.content if b.type == "tool_use"]), 1)

    def test_streamed_tools(self):
        pieces = []
        with self.messages.stream(**self.ask("tools", tools=TOOLS)) as stream:
            for event in stream:
                if event.type == "input_json":
                    pieces.append(event.partial_json)
            final = stream.get_final_message()
        self.assertEqual(final.content[0].input, {"city": "some city", "days": 7})
        self.assertEqual([b.name for b in final.content if b.type == "tool_use"], ["weather", "clock"])
        # Gemini sends each call whole.
        self.assertGreater(len(pieces), 1 if PROVIDER == "gemini" else 2)

    # -- structured output and images

    def test_parse(self):
        answer = self.messages.parse(**self.ask("json"), output_format=Person)
        self.assertIsInstance(answer.parsed_output, Person)

    def test_schema_as_plain_json(self):
        schema = {**WEATHER}
        answer = self.create("json", output_config={"format": {"type": "json_schema", "schema": schema}})
        self.assertEqual(json.loads(answer.content[0].text), {"city": "some city", "days": 7})

    def test_image(self):
        parts = [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            {"type": "text", "text": self.mark},
        ]
        self.assertIn("image: png 1x1", self.create(messages=user(parts)).content[0].text)

    # -- models and counting

    def test_models(self):
        ids = [m.id for m in self.client.models.list()]
        self.assertIn(PREFIX + "echo", ids)
        self.assertEqual(self.client.models.retrieve(model("echo")).id, model("echo"))

    @needs_provider("anthropic")
    def test_count_tokens(self):
        count = self.messages.count_tokens(model=model("echo"), messages=user(f"hello {self.mark}"))
        self.assertEqual(count.input_tokens, 11)

    # -- errors and retries

    def test_wrong_key(self):
        client = Anthropic(base_url=ROOT, api_key="sk-wrong", max_retries=0)
        with self.assertRaises(anthropic.AuthenticationError):
            client.messages.create(**self.ask())

    @unittest.skipUnless(SPENT_KEY, "no key with a spent budget given")
    def test_spent_budget(self):
        client = Anthropic(base_url=ROOT, api_key=SPENT_KEY, max_retries=2)
        with self.assertRaises(anthropic.PaymentRequiredError):
            client.messages.create(**self.ask())
        self.assertEqual(self.arrivals(), 0)

    def test_unknown_model(self):
        with self.assertRaises(anthropic.NotFoundError):
            self.create("no-such-model")

    def test_bad_request(self):
        with self.assertRaises(anthropic.BadRequestError):
            self.create(messages=[{"role": "robot", "content": "x"}])

    def test_provider_rate_limit(self):
        self.rule({"status": 429, "retry_after_ms": 5})
        with self.assertRaises(anthropic.RateLimitError):
            self.create()

    def test_provider_failures(self):
        for status in (500, 529):
            with self.subTest(status), self.assertRaises(anthropic.InternalServerError):
                self.create(f"status-{status}")

    def test_error_in_the_stream(self):
        self.rule({"error_after": 5})
        got = []
        with self.assertRaises(anthropic.APIStatusError):
            for event in self.create(stream=True):
                got.append(event)
        self.assertTrue(got)

    @gateway_only
    def test_a_cut_stream_is_an_error(self):
        self.rule({"fault": "cut", "at": 1500})
        with self.assertRaises(anthropic.APIError):
            list(self.create("lorem", user(f"50 {self.mark}"), stream=True))

    def test_retries(self):
        self.rule({"status": 429, "retry_after_ms": 5}, times=1)
        client = Anthropic(base_url=ROOT, api_key=API_KEY, max_retries=2)
        self.assertEqual(client.messages.create(**self.ask()).content[0].text, f"hello {self.mark}")
        self.assertEqual(self.arrivals(), 2)

    def test_no_retry_of_a_bad_request(self):
        self.rule({"status": 400})
        client = Anthropic(base_url=ROOT, api_key=API_KEY, max_retries=2)
        with self.assertRaises(anthropic.BadRequestError):
            client.messages.create(**self.ask())
        self.assertEqual(self.arrivals(), 1)


if __name__ == "__main__":
    unittest.main()
