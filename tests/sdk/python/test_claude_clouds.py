"""Anthropic's SDK for Python as it is used with Claude on the clouds: AnthropicBedrock and AnthropicVertex."""

import unittest

import anthropic
from anthropic import AnthropicBedrock, AnthropicVertex

import test_anthropic
from common import API_KEY, SPENT_KEY
from test_anthropic import ROOT


class Cloud:
    """What a cloud's client can't do, or does otherwise than Anthropic's own."""

    def setUp(self):
        super().setUp()
        self.client = self.connect()
        self.messages = self.client.messages

    def test_wrong_key(self):
        with self.assertRaises((anthropic.AuthenticationError, anthropic.PermissionDeniedError)):
            self.connect(key="sk-wrong").messages.create(**self.ask())

    def test_retries(self):
        self.rule({"status": 429, "retry_after_ms": 5}, times=1)
        answer = self.connect(retries=2).messages.create(**self.ask())
        self.assertEqual(answer.content[0].text, f"hello {self.mark}")
        self.assertEqual(self.arrivals(), 2)

    def test_no_retry_of_a_bad_request(self):
        self.rule({"status": 400})
        with self.assertRaises(anthropic.BadRequestError):
            self.connect(retries=2).messages.create(**self.ask())
        self.assertEqual(self.arrivals(), 1)

    def test_betas(self):
        answer = self.client.beta.messages.create(**self.ask(), betas=["context-1m-2025-08-07"])
        self.assertEqual(answer.content[0].text, f"hello {self.mark}")

    # These are Anthropic's own, whichever the cloud.
    test_models = test_async_stream = test_old_version_and_key_header = None


class BedrockSuite(Cloud, test_anthropic.AnthropicSuite):
    test_count_tokens = None

    def connect(self, key=API_KEY, retries=0):
        return AnthropicBedrock(
            base_url=ROOT, api_key=key, aws_region="us-east-1", max_retries=retries, timeout=20
        )

    @unittest.skipUnless(SPENT_KEY, "no key with a spent budget given")
    def test_spent_budget(self):
        # By the name with which AWS says that a quota is used up, and with our own status.
        with self.assertRaises(anthropic.PaymentRequiredError) as caught:
            self.connect(key=SPENT_KEY, retries=2).messages.create(**self.ask())
        name = caught.exception.response.headers["x-amzn-errortype"]
        self.assertEqual(name, "ServiceQuotaExceededException")
        self.assertEqual(self.arrivals(), 0)

    def test_unknown_model(self):
        # Bedrock says that a model's name is no valid one.
        with self.assertRaises((anthropic.NotFoundError, anthropic.BadRequestError)):
            self.create("no-such-model")

    def test_old_version(self):
        answer = self.messages.create(**self.ask(), extra_body={"anthropic_version": "bedrock-2023-05-31"})
        self.assertEqual(answer.content[0].text, f"hello {self.mark}")


class VertexSuite(Cloud, test_anthropic.AnthropicSuite):
    def connect(self, key=API_KEY, retries=0):
        return AnthropicVertex(
            base_url=f"{ROOT}/v1", access_token=key, project_id="p", region="europe-west1",
            max_retries=retries, timeout=20,
        )

    @unittest.skipUnless(SPENT_KEY, "no key with a spent budget given")
    def test_spent_budget(self):
        with self.assertRaises(anthropic.PaymentRequiredError):
            self.connect(key=SPENT_KEY, retries=2).messages.create(**self.ask())
        self.assertEqual(self.arrivals(), 0)


# The base runs as a suite of its own.
del test_anthropic

if __name__ == "__main__":
    unittest.main()
