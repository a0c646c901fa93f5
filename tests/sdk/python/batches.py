"""Files and batches through the official SDKs of OpenAI and Anthropic: run with `test_openai` and `test_anthropic`."""

import io
import json
import time
import unittest

import anthropic
import openai

from common import API_KEY, BASE_URL, PARTNER, PREFIX, gateway_only, needs_provider

# A gateway has several providers that speak an API; what lies at one must be told where.
WHERE = {"x-outrigger-provider": PREFIX.split("/")[0]} if PREFIX else {}
TEXT = [{"role": "user", "content": "hello there"}]


def until(ask, done, seconds=20):
    """What is asked for, once it is done."""
    end = time.monotonic() + seconds
    while not done(it := ask()) and time.monotonic() < end:
        time.sleep(0.01)
    return it


def cost(client, response):
    """What the ledger says about the request of a raw response, once it is settled."""
    path = BASE_URL + "/outrigger/requests/" + response.headers["x-outrigger-request-id"]
    return until(lambda: client.get(path, cast_to=object), lambda it: it["outcome"] == "ok")


def line(name, **more):
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": {"model": "echo", "messages": TEXT, **more}}


class OpenaiBatches(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=20, default_headers=WHERE)

    def upload(self, *lines):
        text = "\n".join(json.dumps(it) for it in lines)
        return self.client.files.create(file=("in.jsonl", io.BytesIO(text.encode())), purpose="batch")

    def batch(self, *lines):
        ask = self.client.batches.with_raw_response.create
        return ask(input_file_id=self.upload(*lines).id, endpoint="/v1/chat/completions", completion_window="24h")

    @needs_provider("openai")
    def test_files_are_kept_listed_read_and_deleted(self):
        file = self.upload(line("a"))
        self.assertEqual((file.purpose, self.client.files.retrieve(file.id).filename), ("batch", "in.jsonl"))
        self.assertEqual(json.loads(self.client.files.content(file.id).read()), line("a"))
        self.assertIn(file.id, [it.id for it in self.client.files.list(limit=5)])
        self.assertTrue(self.client.files.delete(file.id).deleted)
        with self.assertRaises(openai.NotFoundError):
            self.client.files.retrieve(file.id)

    @needs_provider("openai")
    def test_batches_are_made_asked_for_and_read(self):
        made = self.batch(line("a"), line("b", no_such_argument=1))
        batch = until(lambda: self.client.batches.retrieve(made.parse().id), lambda it: it.status == "completed")
        counts = batch.request_counts
        self.assertEqual((counts.total, counts.completed, counts.failed, batch.usage.input_tokens), (2, 1, 1, 9))
        rows = [json.loads(it) for it in self.client.files.content(batch.output_file_id).read().splitlines()]
        self.assertEqual(rows[0]["response"]["body"]["choices"][0]["message"]["content"], "hello there")
        errors = self.client.files.content(batch.error_file_id).read()
        self.assertEqual(json.loads(errors)["response"]["status_code"], 400)
        self.assertIn(batch.id, [it.id for it in self.client.batches.list(limit=10)])

    @needs_provider("openai")
    def test_batches_are_cancelled(self):
        batch = self.batch(line("stay-a"), line("b")).parse()
        self.assertEqual(self.client.batches.cancel(batch.id).status, "cancelling")
        ended = until(lambda: self.client.batches.retrieve(batch.id), lambda it: it.status == "cancelled")
        self.assertEqual(ended.request_counts.completed, 1)

    @needs_provider("openai")
    @gateway_only
    def test_a_batch_is_in_the_ledger(self):
        made = self.batch(line("a"), line("b"))
        until(lambda: self.client.batches.retrieve(made.parse().id), lambda it: it.status == "completed")
        told = cost(self.client, made)
        self.assertEqual((told["endpoint"], told["attempts"][0]["usage"]["input"]), ("batches", 18))

    @needs_provider("openai")
    @gateway_only
    def test_a_line_that_no_batch_can_have_is_refused_by_its_number(self):
        with self.assertRaises(openai.BadRequestError) as raised:
            self.upload(line("a"), {**line("b"), "url": "/v1/videos"})
        self.assertIn("line 2", raised.exception.message)


needs_anthropic = unittest.skipUnless(PARTNER == "anthropic", "a cloud keeps no batches of Claude's in this form")


class AnthropicBatches(unittest.TestCase):
    def setUp(self):
        base = BASE_URL.removesuffix("/v1")
        self.client = anthropic.Anthropic(base_url=base, api_key=API_KEY, max_retries=0, timeout=20, default_headers=WHERE)

    def create(self, *names):
        def request(name):
            return {"custom_id": name, "params": {"model": "echo", "max_tokens": 50, "messages": TEXT}}
        return self.client.messages.batches.with_raw_response.create(requests=[request(name) for name in names])

    def ended(self, made):
        ask = self.client.messages.batches.retrieve
        return until(lambda: ask(made.parse().id), lambda it: it.processing_status == "ended")

    @needs_anthropic
    def test_batches_are_made_asked_for_and_listed(self):
        made = self.create("a", "b")
        self.assertEqual(self.ended(made).request_counts.succeeded, 2)
        self.assertIn(made.parse().id, [it.id for it in self.client.messages.batches.list(limit=5)])

    @needs_anthropic
    @gateway_only
    def test_results_are_read_and_cost_is_told(self):
        made = self.create("a", "expire")
        self.ended(made)
        results = {it.custom_id: it.result for it in self.client.messages.batches.results(made.parse().id)}
        self.assertEqual(results["a"].message.content[0].text, "hello there")
        self.assertEqual(results["expire"].type, "expired")
        told = cost(self.client, made)
        self.assertEqual((told["endpoint"], told["attempts"][0]["usage"]["input"]), ("batches", 9))

    @needs_anthropic
    def test_batches_are_cancelled_and_deleted(self):
        made = self.create("stay", "b")
        batches = self.client.messages.batches
        self.assertEqual(batches.cancel(made.parse().id).processing_status, "canceling")
        self.assertEqual(self.ended(made).request_counts.canceled, 1)
        self.assertEqual(batches.delete(made.parse().id).type, "message_batch_deleted")
        with self.assertRaises(anthropic.NotFoundError):
            batches.retrieve(made.parse().id)
