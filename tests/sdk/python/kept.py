"""Responses that the gateway keeps (`responses.store`): what later ones build on, read back, and deleted."""

import openai
from openai import OpenAI

from common import BASE_URL, PROVIDER, SPENT_KEY, WEATHER, control, gateway_only, model

TOOLS = [{"type": "function", "name": "weather", "description": "Forecast", "parameters": WEATHER, "strict": False}]


class KeptResponses:
    """For a suite with `create`, `responses` and a `mark`."""

    def sent(self):
        """The bodies that arrived with this test's mark, the oldest first."""
        return [r["body"] for r in control("GET", "/requests") if self.mark in r["body"]]

    @gateway_only
    def test_a_response_builds_on_those_before_it(self):
        first = self.create(input=f"one {self.mark}", instructions="only once")
        second = self.create(input=f"two {self.mark}", previous_response_id=first.id)
        third = self.create(input=[{"role": "user", "content": f"three {self.mark}"}], previous_response_id=second.id)
        self.assertEqual(third.output_text, f"three {self.mark}")
        self.assertEqual((first.previous_response_id, second.previous_response_id), (None, first.id))
        self.assertEqual((third.previous_response_id, third.store), (second.id, True))
        body = self.sent()[-1]
        # Each user turn, and the answers between them, in their order.
        places = [body.index(f"{word} {self.mark}") for word in ("one", "two", "three")]
        self.assertEqual(places, sorted(places))
        self.assertEqual((body.count(f"one {self.mark}"), body.count(f"two {self.mark}")), (2, 2))
        for absent in ("only once", "previous_response_id", "resp_"):
            self.assertNotIn(absent, body)
        if PROVIDER == "responses":
            self.assertIn('"store":false', body)

    @gateway_only
    def test_tools_across_turns(self):
        first = self.create("tools", f"plan {self.mark}", tools=TOOLS)
        calls = [item for item in first.output if item.type == "function_call"]
        outputs = [{"type": "function_call_output", "call_id": it.call_id, "output": "rain"} for it in calls]
        second = self.create("tools", outputs, tools=TOOLS, previous_response_id=first.id)
        self.assertEqual(second.output_text, "weather: rain")

    @gateway_only
    def test_reasoning_across_turns(self):
        more = {"tools": TOOLS, "reasoning": {"effort": "low"}, "max_output_tokens": 4000}
        first = self.create("tools", f"plan {self.mark}", **more)
        calls = [item for item in first.output if item.type == "function_call"]
        outputs = [{"type": "function_call_output", "call_id": it.call_id, "output": "rain"} for it in calls]
        second = self.create("tools", outputs, previous_response_id=first.id, **more)
        self.assertEqual(second.output_text, "weather: rain")

    @gateway_only
    def test_streams_are_kept_and_built_upon(self):
        with self.responses.stream(model=model("echo"), input=f"one {self.mark}") as stream:
            first = stream.until_done().get_final_response()
        self.assertTrue(first.store)
        events = list(self.create(input=f"two {self.mark}", previous_response_id=first.id, stream=True))
        created, last = events[0].response, events[-1].response
        self.assertEqual([it.previous_response_id for it in (created, last)], [first.id, first.id])
        self.assertEqual((last.output_text, last.store), (f"two {self.mark}", True))
        self.assertEqual(self.sent()[-1].count(f"one {self.mark}"), 2)
        self.assertEqual(self.responses.retrieve(last.id).output_text, f"two {self.mark}")

    @gateway_only
    def test_retrieve_and_delete(self):
        first = self.create()
        got = self.responses.retrieve(first.id)
        self.assertEqual(got.to_dict(), first.to_dict())
        self.responses.delete(first.id)
        for gone in (lambda: self.responses.retrieve(first.id), lambda: self.responses.delete(first.id)):
            with self.assertRaises(openai.NotFoundError):
                gone()
        with self.assertRaises(openai.BadRequestError) as caught:
            self.create(previous_response_id=first.id)
        error = caught.exception
        self.assertEqual((error.code, error.param), ("previous_response_not_found", "previous_response_id"))

    @gateway_only
    def test_input_items_in_pages(self):
        first = self.create(input=f"one {self.mark}")
        second = self.create(input=f"two {self.mark}", previous_response_id=first.id)
        items = list(self.responses.input_items.list(second.id, limit=2, order="asc"))
        said = [item.content[0].text for item in items if item.role == "user"]
        self.assertEqual(said, [f"one {self.mark}", f"two {self.mark}"])
        self.assertEqual(items[1].role, "assistant")
        latest = self.responses.input_items.list(second.id, limit=1)
        self.assertEqual((latest.data[0].content[0].text, latest.has_more), (f"two {self.mark}", True))

    @gateway_only
    def test_what_is_not_to_be_kept_is_not(self):
        answer = self.create(store=False)
        self.assertFalse(answer.store)
        with self.assertRaises(openai.NotFoundError):
            self.responses.retrieve(answer.id)

    @gateway_only
    def test_nobody_else_gets_at_it(self):
        if not SPENT_KEY:
            self.skipTest("no key of another application given")
        first = self.create()
        other = OpenAI(base_url=BASE_URL, api_key=SPENT_KEY, max_retries=0)
        with self.assertRaises(openai.NotFoundError):
            other.responses.retrieve(first.id)
        with self.assertRaises(openai.NotFoundError):
            other.responses.delete(first.id)
        with self.assertRaises(openai.BadRequestError) as caught:
            other.responses.create(model=model("echo"), input="x", previous_response_id=first.id)
        self.assertEqual(caught.exception.code, "previous_response_not_found")
        self.assertEqual(self.responses.retrieve(first.id).id, first.id)

    @gateway_only
    def test_what_is_not_served_says_so(self):
        first = self.create()
        client = self.client
        for ask in (
            lambda: self.responses.cancel(first.id),
            lambda: self.responses.retrieve(first.id, stream=True),
            lambda: self.create(background=True),
            lambda: self.create(conversation="conv_1"),
            lambda: client.conversations.create(),
            lambda: client.conversations.retrieve("conv_1"),
        ):
            with self.assertRaises(openai.BadRequestError):
                ask()

    @gateway_only
    def test_a_count_has_the_whole_request(self):
        first = self.create(input=f"one {self.mark} and some more words")
        count = self.responses.input_tokens.count
        alone = count(model=model("echo"), input="two").input_tokens
        self.assertGreater(count(model=model("echo"), input="two", previous_response_id=first.id).input_tokens, alone)
