// Files and batches through the official OpenAI SDK: run with `openai.test.mjs`.
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";
import { apiKey, baseURL, lodged, onlyProvider, until } from "./common.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000, defaultHeaders: lodged });
const line = (id) => ({
  custom_id: id,
  method: "POST",
  url: "/v1/chat/completions",
  body: { model: "echo", messages: [{ role: "user", content: "hello there" }] },
});

async function batch(...lines) {
  const text = lines.map((it) => JSON.stringify(it)).join("\n");
  const file = await client.files.create({ file: await toFile(Buffer.from(text), "in.jsonl"), purpose: "batch" });
  return client.batches.create({ input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h" });
}

onlyProvider("openai", "batches, made, asked for and read", async () => {
  const made = await batch(line("a"), line("b"));
  const ended = await until(() => client.batches.retrieve(made.id), (it) => it.status === "completed");
  assert.equal(ended.usage.input_tokens, 18);
  const text = await (await client.files.content(ended.output_file_id)).text();
  assert.deepEqual(text.trim().split("\n").map((it) => JSON.parse(it).custom_id), ["a", "b"]);
});

onlyProvider("openai", "batches, cancelled", async () => {
  const made = await batch(line("stay-a"), line("b"));
  assert.equal((await client.batches.cancel(made.id)).status, "cancelling");
  const ended = await until(() => client.batches.retrieve(made.id), (it) => it.status === "cancelled");
  assert.equal(ended.request_counts.completed, 1);
});
