// Message batches through the official Anthropic SDK: run with `anthropic.test.mjs`.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { apiKey, baseURL, gateway, lodged, onlyProvider, until } from "./common.mjs";

const root = baseURL.replace(/\/v1$/, "");
const client = new Anthropic({ baseURL: root, apiKey, maxRetries: 0, timeout: 20_000, defaultHeaders: lodged });

onlyProvider("anthropic", "batches, made, asked for and read", async () => {
  const params = { model: "echo", max_tokens: 50, messages: [{ role: "user", content: "hello there" }] };
  const made = await client.messages.batches.create({ requests: [{ custom_id: "a", params }] });
  const ended = await until(() => client.messages.batches.retrieve(made.id), (it) => it.processing_status === "ended");
  assert.equal(ended.request_counts.succeeded, 1);
  // The fake's own address of the results leads to Anthropic; a gateway's leads to itself.
  if (!gateway) return;
  const results = [];
  for await (const it of await client.messages.batches.results(made.id)) results.push(it.result.message.content[0].text);
  assert.deepEqual(results, ["hello there"]);
});
