"""The Responses API through the official OpenAI SDK for Python."""

import asyncio
import json
import unittest

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from common import API_KEY, BASE_URL, CLOCK, PNG, PROVIDER, SPENT_KEY, WEATHER
from kept import KeptResponses
from common import Marked, gateway_only, model, needs_provider, unless_provider

TOOLS = [
    {"type": "function", "name": "weather", "description": "Forecast", "parameters": WEATHER, "strict": False},
    {"type": "function", "name": "clock", "description": "Local time", "parameters": CLOCK, "strict": False},
]


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


def user(content):
    return [{"role": "user", "content": content}]


class ResponsesSuite(KeptResponses, Marked):
    def setUp(self):
        super().setUp()
        self.client = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=20)
        self.responses = self.client.responses

    def create(self, name="echo", input=None, **more):
        return self.responses.create(model=model(name), input=input or f"hello {self.mark}", **more)

    # -- text

    def test_text(self):
        answer = self.create()
        self.assertEqual(answer.output_text, f"hello {self.mark}")
        self.assertEqual((answer.status, answer.object), ("completed", "response"))
        self.assertTrue(answer.id.startswith("resp_"))
        self.assertIsNone(answer.error)
        self.assertEqual((answer.usage.input_tokens, answer.usage.output_tokens), (11, 5))
        self.assertEqual(answer.usage.total_tokens, 16)
        self.assertEqual(answer.usage.input_tokens_details.cached_tokens, 0)
        self.assertEqual(answer.usage.output_tokens_details.reasoning_tokens, 0)
        self.assertTrue(answer._request_id)

    def test_instructions_and_earlier_turns(self):
        first = self.create(input=user("one"), instructions="be brief")
        turns = user("one") + [item.to_dict() for item in first.output]
        turns += [{"role": "developer", "content": "still brief"}]
        turns += user([{"type": "input_text", "text": f"three {self.mark}"}])
        # Where it has no place of its own, a later developer message is marked user text.
        self.assertIn(f"three {self.mark}", self.create(input=turns).output_text)

    def test_limit_makes_it_incomplete(self):
        answer = self.create("lorem", f"90 {self.mark}", max_output_tokens=7)
        self.assertEqual((answer.status, answer.incomplete_details.reason), ("incomplete", "max_output_tokens"))
        self.assertEqual(answer.usage.output_tokens, 7)

    @unless_provider("cohere", "Cohere has no word for a refusal")
    def test_refusal(self):
        answer = self.create("refusal")
        kinds = [part.type for item in answer.output for part in item.content]
        self.assertTrue("refusal" in kinds or answer.incomplete_details.reason == "content_filter")

    def test_tokens_are_counted_beforehand(self):
        counted = self.responses.input_tokens.count(model=model("echo"), input=f"hello {self.mark}")
        self.assertEqual(counted.object, "response.input_tokens")
        self.assertGreater(counted.input_tokens, 0)

    # -- reasoning

    @unless_provider("bedrock", "Converse does not tell reasoning from output")
    @unless_provider("cohere", "Cohere does not tell reasoning from output")
    def test_reasoning_is_counted(self):
        answer = self.create(reasoning={"effort": "low"}, max_output_tokens=4000)
        self.assertGreater(answer.usage.output_tokens_details.reasoning_tokens, 0)
        self.assertEqual(answer.output_text, f"hello {self.mark}")

    @unless_provider("cohere", "Cohere's thinking bears no signature")
    @unless_provider("oci", "Oracle's reasoning bears no signature")
    @unless_provider("gemini", "Gemini's signatures are no item of reasoning")
    def test_reasoning_goes_back_through_tools(self):
        """The providers behind take their own reasoning back as it was, and nobody else's."""
        more = {"tools": TOOLS, "store": False, "include": ["reasoning.encrypted_content"], "max_output_tokens": 4000}
        more["reasoning"] = {"effort": "low", "summary": "auto"}
        turns = user(f"plan {self.mark}")
        first = self.create("tools", turns, **more)
        reasoning = [item for item in first.output if item.type == "reasoning"]
        if PROVIDER != "openai":  # which shows none in chat completions
            self.assertTrue(reasoning[0].encrypted_content)
            self.assertTrue(reasoning[0].summary[0].text)
        turns = turns + [item.to_dict() for item in first.output]
        for item in first.output:
            if item.type == "function_call":
                turns.append({"type": "function_call_output", "call_id": item.call_id, "output": "fine"})
        self.assertEqual(self.create("tools", turns, **more).output_text, "weather: fine\nclock: fine")

    def test_streamed_reasoning_goes_back_too(self):
        more = {"store": False, "reasoning": {"effort": "low", "summary": "auto"}, "max_output_tokens": 4000}
        with self.responses.stream(model=model("echo"), input=user(f"hello {self.mark}"), **more) as stream:
            kinds = {event.type for event in stream}
            first = stream.get_final_response()
        if PROVIDER != "openai":
            self.assertIn("response.reasoning_summary_text.delta", kinds)
        turns = user(f"hello {self.mark}") + [item.to_dict() for item in first.output] + user(f"again {self.mark}")
        for turn in turns:
            for part in turn["content"] if isinstance(turn.get("content"), list) else []:
                part.pop("parsed", None)
        self.assertEqual(self.create(input=turns, **more).output_text, f"again {self.mark}")

    @gateway_only
    def test_a_session_moves_from_provider_to_provider(self):
        """What one vendor signed or encrypted is no obstacle at the next, and is taken back by the first."""
        more = {"store": False, "reasoning": {"effort": "low", "summary": "auto"}, "max_output_tokens": 4000}
        turns = []
        for step, provider in enumerate(["anthropic", "responses", "openai", "responses", "anthropic"]):
            turns += user(f"step {step} {self.mark}")
            answer = self.responses.create(model=f"mock-{provider}/echo", input=turns, **more)
            self.assertEqual(answer.output_text, f"step {step} {self.mark}")
            turns += [item.to_dict() for item in answer.output]

    @needs_provider("responses")
    def test_log_probabilities(self):
        answer = self.create("lorem", "12", include=["message.output_text.logprobs"], top_logprobs=2)
        tokens = answer.output[0].content[0].logprobs
        self.assertEqual((len(tokens), len(tokens[0].top_logprobs)), (12, 2))

    # -- streams

    def test_stream(self):
        events = list(self.create(stream=True))
        self.assertEqual([e.sequence_number for e in events], list(range(len(events))))
        self.assertEqual([e.type for e in events[:4]], [
            "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        ])
        self.assertEqual([e.type for e in events[-4:]], [
            "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
        ])
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        self.assertEqual(text, f"hello {self.mark}")
        whole = events[-1].response
        self.assertEqual((whole.output_text, whole.id), (text, events[0].response.id))
        self.assertEqual((whole.usage.input_tokens, whole.usage.output_tokens), (11, 5))

    def test_stream_helper(self):
        with self.responses.stream(model=model("echo"), input=f"hello {self.mark}") as stream:
            snapshots = [e.snapshot for e in stream if e.type == "response.output_text.delta"]
        self.assertEqual(snapshots[-1], f"hello {self.mark}")
        self.assertEqual(stream.get_final_response().output_text, f"hello {self.mark}")

    def test_a_stream_ends_incomplete_at_the_limit(self):
        events = list(self.create("lorem", f"90 {self.mark}", max_output_tokens=7, stream=True))
        self.assertEqual(events[-1].type, "response.incomplete")
        self.assertEqual(events[-1].response.incomplete_details.reason, "max_output_tokens")

    @unless_provider("bedrock", "Converse has no word for a refusal")
    @unless_provider("cohere", "Cohere has no word for a refusal")
    @unless_provider("gemini", "Gemini refuses by a finish reason, not in words")
    def test_streamed_refusal(self):
        events = list(self.create("refusal", stream=True))
        self.assertIn(events[-1].type, ("response.completed", "response.incomplete"))
        self.assertTrue({"response.refusal.done"} & {e.type for e in events})

    def test_async_stream(self):
        async def run():
            async with AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0) as client:
                stream = await client.responses.create(model=model("lorem"), input="50", stream=True)
                return [e async for e in stream]

        events = asyncio.run(run())
        self.assertEqual(len("".join(e.delta for e in events if e.type == "response.output_text.delta")), 200)

    def test_unicode_survives_streaming(self):
        text = "naïve 日本語 😀 \u2028 e\u0301 " + self.mark
        events = list(self.create(input=text, stream=True))
        self.assertEqual("".join(e.delta for e in events if e.type == "response.output_text.delta"), text)
        self.assertEqual(events[-1].response.output_text, text)

    # -- tools

    def test_a_forced_tool(self):
        answer = self.create(tools=TOOLS, tool_choice={"type": "function", "name": "clock"})
        calls = [item for item in answer.output if item.type == "function_call"]
        self.assertEqual([call.name for call in calls], ["clock"])
        self.assertEqual(json.loads(calls[0].arguments), {"zone": "some zone"})

    def test_parallel_tools_and_their_results(self):
        turns = user(f"plan {self.mark}")
        first = self.create("tools", turns, tools=TOOLS)
        calls = [item for item in first.output if item.type == "function_call"]
        self.assertEqual([call.name for call in calls], ["weather", "clock"])
        self.assertEqual(len({call.call_id for call in calls}), 2)
        turns = turns + [item.to_dict() for item in first.output]
        for call, result in zip(calls, ["rain", "noon"]):
            turns.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
        answer = self.create("tools", turns, tools=TOOLS)
        self.assertEqual(answer.output_text, "weather: rain\nclock: noon")

    @unless_provider("bedrock", "Converse can't be told to call one tool at a time")
    @unless_provider("cohere", "Cohere can't be told to call one tool at a time")
    @unless_provider("gemini", "Gemini cannot be told to make one call")
    def test_parallel_can_be_forbidden(self):
        answer = self.create("tools", tools=TOOLS, parallel_tool_calls=False)
        self.assertEqual(sum(item.type == "function_call" for item in answer.output), 1)

    def test_streamed_tools(self):
        pieces, whole = {}, {}
        for event in self.create("tools", tools=TOOLS, stream=True):
            if event.type == "response.function_call_arguments.delta":
                pieces[event.output_index] = pieces.get(event.output_index, "") + event.delta
            if event.type == "response.output_item.done" and event.item.type == "function_call":
                whole[event.output_index] = event.item
        self.assertEqual({i: item.arguments for i, item in whole.items()}, pieces)
        self.assertEqual([item.name for item in whole.values()], ["weather", "clock"])
        self.assertEqual(json.loads(list(pieces.values())[0]), {"city": "some city", "days": 7})

    def test_stream_helper_with_tools(self):
        with self.responses.stream(model=model("tools"), input=self.mark, tools=TOOLS) as stream:
            done = [e for e in stream if e.type == "response.function_call_arguments.done"]
            final = stream.get_final_response()
        self.assertEqual([json.loads(e.arguments) for e in done], [{"city": "some city", "days": 7}, {"zone": "some zone"}])
        self.assertEqual([item.name for item in final.output], ["weather", "clock"])

    def test_a_custom_tool_and_its_output(self):
        tools = [{"type": "custom", "name": "shell", "description": "Runs a command"}]
        turns = user(f"ls {self.mark}")
        first = self.create("tools", turns, tools=tools)
        call = first.output[0]
        self.assertEqual((call.type, call.name), ("custom_tool_call", "shell"))
        self.assertTrue(call.input)
        turns = turns + [call.to_dict(), {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "total 0"}]
        self.assertEqual(self.create("tools", turns, tools=tools).output_text, "shell: total 0")

    def test_a_streamed_custom_tool(self):
        tools = [{"type": "custom", "name": "shell", "description": "Runs a command"}]
        events = list(self.create("tools", f"ls {self.mark}", tools=tools, stream=True))
        text = "".join(e.delta for e in events if e.type == "response.custom_tool_call_input.delta")
        done = [e.input for e in events if e.type == "response.custom_tool_call_input.done"]
        self.assertEqual(done, [text])
        self.assertTrue(text)

    def test_tools_of_the_vendor_and_of_agents_do_no_harm(self):
        tools = [{"type": "web_search"}, {"type": "namespace", "name": "notes", "description": "Notes", "tools": TOOLS}]
        answer = self.create(tools=tools, store=False, prompt_cache_key="k", extra_body={"client_metadata": {"a": "b"}})
        self.assertEqual(answer.output_text, f"hello {self.mark}")

    # -- structured output, images, documents

    def test_parse(self):
        answer = self.responses.parse(model=model("json"), input=self.mark, text_format=Person)
        self.assertIsInstance(answer.output_parsed, Person)

    def test_parse_streamed(self):
        with self.responses.stream(model=model("json"), input=self.mark, text_format=Person) as stream:
            stream.until_done()
        self.assertIsInstance(stream.get_final_response().output_parsed, Person)

    def test_json_object(self):
        answer = self.create("json", f"as json: {self.mark}", text={"format": {"type": "json_object"}})
        self.assertIsInstance(json.loads(answer.output_text), dict)

    @unless_provider("cohere", "Cohere takes plain text documents only")
    def test_image_and_document(self):
        parts = [
            {"type": "input_text", "text": self.mark},
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
            {"type": "input_file", "filename": "map.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQ="},
        ]
        text = self.create(input=user(parts)).output_text
        self.assertIn("image: png 1x1", text)
        self.assertIn("document", text)

    # -- errors and retries

    def test_wrong_key(self):
        client = OpenAI(base_url=BASE_URL, api_key="sk-wrong", max_retries=0)
        with self.assertRaises(openai.AuthenticationError):
            client.responses.create(model=model("echo"), input="x")

    @unittest.skipUnless(SPENT_KEY, "no key with a spent budget given")
    def test_spent_budget(self):
        client = OpenAI(base_url=BASE_URL, api_key=SPENT_KEY, max_retries=2)
        with self.assertRaises(openai.APIStatusError) as caught:
            client.responses.create(model=model("echo"), input=self.mark)
        self.assertEqual(caught.exception.status_code, 402)
        self.assertEqual(self.arrivals(), 0)

    def test_unknown_model(self):
        with self.assertRaises(openai.NotFoundError):
            self.create("no-such-model")

    def test_bad_request(self):
        with self.assertRaises(openai.BadRequestError):
            self.create(input=[{"role": "robot", "content": "x"}])

    def test_what_is_not_kept_is_refused(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.create(previous_response_id="resp_1")
        self.assertEqual(caught.exception.param, "previous_response_id")

    def test_provider_rate_limit(self):
        self.rule({"status": 429, "retry_after_ms": 5})
        with self.assertRaises(openai.RateLimitError):
            self.create()

    def test_provider_failures(self):
        for status in (500, 503):
            with self.subTest(status), self.assertRaises(openai.InternalServerError):
                self.create(f"status-{status}")

    def test_error_in_the_stream(self):
        """A provider of this dialect says so in a last event, which the SDK hands on; the gateway in one that raises."""
        self.rule({"error_after": 5})
        got = []
        try:
            for event in self.create(stream=True):
                got.append(event.type)
        except openai.APIError:
            got.append("raised")
        self.assertIn(got[-1], ("raised", "response.failed"))
        self.assertNotIn("response.completed", got)
        self.assertGreater(len(got), 2)

    @gateway_only
    def test_a_cut_stream_is_an_error(self):
        self.rule({"fault": "cut", "at": 3000})
        with self.assertRaises(openai.APIError):
            list(self.create("lorem", f"50 {self.mark}", stream=True))

    def test_retries(self):
        self.rule({"status": 429, "retry_after_ms": 5}, times=1)
        client = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=2)
        self.assertEqual(client.responses.create(model=model("echo"), input=self.mark).output_text, self.mark)
        self.assertEqual(self.arrivals(), 2)

    def test_no_retry_of_a_bad_request(self):
        self.rule({"status": 400})
        client = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=2)
        with self.assertRaises(openai.BadRequestError):
            client.responses.create(model=model("echo"), input=self.mark)
        self.assertEqual(self.arrivals(), 1)


if __name__ == "__main__":
    unittest.main()
