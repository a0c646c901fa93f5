// Mistral's official SDK for JavaScript against a base URL. What of it reads Mistral's own form only is told in
// ../python/test_mistral.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Mistral } from "@mistralai/mistralai";
import { z } from "zod";
import { apiKey, baseURL, clock, marked, model, onlyGateway, onlySpent, png, provider, spentKey, weather } from "./common.mjs";

const retryConfig = { strategy: "backoff", backoff: { initialInterval: 1, maxInterval: 10, exponent: 1.5, maxElapsedTime: 5000 }, retryConnectionErrors: true };
const connect = (key, more) => new Mistral({ apiKey: key, serverURL: baseURL.replace(/\/v1$/, ""), timeoutMs: 20_000, ...more });
const { chat } = connect(apiKey);
const user = (content) => [{ role: "user", content }];
const ask = (name, messages, more = {}) => ({ model: model(name), messages, ...more });
const tools = [
  { type: "function", function: { name: "weather", description: "Forecast", parameters: weather } },
  { type: "function", function: { name: "clock", description: "Local time", parameters: clock } },
];
const Person = z.object({ name: z.string(), age: z.int(), tags: z.array(z.string()) });
const failed = (promise, status) => assert.rejects(promise, (e) => (assert.ok([].concat(status).includes(e.statusCode), `${e}`), true));
const read = async (request) => {
  let text = "";
  for await (const { data } of await chat.stream(request)) text += data.choices[0]?.delta.content ?? "";
  return text;
};

test("chat", async () => {
  const { mark } = marked();
  const answer = await chat.complete(ask("echo", [{ role: "system", content: "be brief" }, ...user(`hello ${mark}`)]));
  assert.equal(answer.choices[0].message.content, `hello ${mark}`);
  assert.equal(answer.choices[0].finishReason, "stop");
  assert.equal(answer.usage.completionTokens, 5);
});

test("stream", async () => {
  const { mark } = marked();
  assert.equal(await read(ask("echo", user(mark))), mark);
});

test("parallel tools and their results", async () => {
  const messages = user("plan");
  const { message, finishReason } = (await chat.complete(ask("tools", messages, { tools }))).choices[0];
  assert.equal(finishReason, "tool_calls");
  assert.deepEqual(message.toolCalls.map((c) => c.function.name), ["weather", "clock"]);
  const results = message.toolCalls.map((c) => ({ role: "tool", name: c.function.name, toolCallId: c.id, content: "fine" }));
  const answer = await chat.complete(ask("tools", [...messages, { role: "assistant", ...message }, ...results], { tools }));
  assert.equal(answer.choices[0].message.content, "weather: fine\nclock: fine");
});

const refused = provider === "openai" && "OpenAI refuses Mistral's word, and gets from the gateway what the client sent";
test("any tool", { skip: refused }, async () => {
  const answer = await chat.complete(ask("echo", user("x"), { tools: tools.slice(1), toolChoice: "any" }));
  assert.deepEqual(answer.choices[0].message.toolCalls.map((c) => c.function.name), ["clock"]);
});

test("structured output", async () => {
  const answer = await chat.parse({ ...ask("json", user("a person")), responseFormat: Person });
  assert.deepEqual(answer.choices[0].message.parsed, { name: "some name", age: 7, tags: ["some tags"] });
});

test("reasoning", async () => {
  const { mark } = marked();
  const answer = await chat.complete(ask("echo", user(mark), { reasoningEffort: "high", maxTokens: 4000 }));
  assert.equal(answer.choices[0].message.content, mark);
  // The text and what was thought before it.
  assert.ok(answer.usage.completionTokens > 4);
});

test("image", async () => {
  const content = [{ type: "text", text: "look" }, { type: "image_url", imageUrl: { url: `data:image/png;base64,${png}` } }];
  assert.match((await chat.complete(ask("echo", user(content)))).choices[0].message.content, /image: png 1x1/);
});

test("errors keep their status", async () => {
  const { mark, rule } = marked();
  await failed(connect("sk-wrong").chat.complete(ask("echo", user("x"))), 401);
  await failed(chat.complete(ask("nope", user("x"))), 404);
  await failed(chat.complete(ask("status-500", user("x"))), [500, 502]);
  await rule({ status: 429, retry_after_ms: 5 });
  await failed(chat.complete(ask("echo", user(mark))), 429);
});

onlySpent("a spent budget is a 402 and not retried", async () => {
  const { mark, arrivals } = marked();
  await failed(connect(spentKey, { retryConfig }).chat.complete(ask("echo", user(mark))), 402);
  assert.equal(await arrivals(), 0);
});

test("an error in the stream is raised", async () => {
  const { mark, rule } = marked();
  await rule({ error_after: 8 });
  await assert.rejects(read(ask("lorem", user(`50 ${mark}`))));
});

onlyGateway("a cut stream is an error", async () => {
  const { mark, rule } = marked();
  await rule({ fault: "cut", at: 3000 });
  await assert.rejects(read(ask("lorem", user(`50 ${mark}`))));
});

test("retries", async () => {
  const { mark, rule, arrivals } = marked();
  await rule({ status: 429, retry_after_ms: 5 }, { times: 1 });
  const answer = await connect(apiKey, { retryConfig }).chat.complete(ask("echo", user(mark)));
  assert.equal(answer.choices[0].message.content, mark);
  assert.equal(await arrivals(), 2);
});
