// OpenRouter's official SDK for JavaScript against a base URL. It checks each answer against its own schemas, which want more
// than OpenAI's own SDK does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { OpenRouter } from "@openrouter/sdk";
import { apiKey, baseURL, clock, marked, model, onlyGateway, onlySpent, png, provider, spentKey, weather } from "./common.mjs";

const retryConfig = { strategy: "backoff", backoff: { initialInterval: 1, maxInterval: 10, exponent: 1.5, maxElapsedTime: 5000 }, retryConnectionErrors: true };
const connect = (key, more) => new OpenRouter({ apiKey: key, serverURL: baseURL, timeoutMs: 20_000, retryConfig: { strategy: "none" }, ...more });
const client = connect(apiKey);
const user = (content) => [{ role: "user", content }];
const send = (name, messages, more = {}, from = client) => from.chat.send({ chatRequest: { model: model(name), messages, ...more } });
const tools = [
  { type: "function", function: { name: "weather", description: "Forecast", parameters: weather } },
  { type: "function", function: { name: "clock", description: "Local time", parameters: clock } },
];
const failed = (promise, status) => assert.rejects(promise, (e) => (assert.ok([].concat(status).includes(e.statusCode), `${e}`), true));

test("chat", async () => {
  const { mark } = marked();
  const answer = await send("echo", [{ role: "system", content: "be brief" }, ...user(`hello ${mark}`)]);
  assert.equal(answer.choices[0].message.content, `hello ${mark}`);
  assert.equal(answer.choices[0].finishReason, "stop");
  assert.equal(answer.usage.completionTokens, 5);
});

// Before the tests after which the provider is left alone for a moment: it would be told of that instead.
onlySpent("a spent budget is a 402 and not retried", async () => {
  const { mark, arrivals } = marked();
  await failed(send("echo", user(mark), {}, connect(spentKey, { retryConfig })), 402);
  assert.equal(await arrivals(), 0);
});

test("a limit ends in length", async () => {
  const { mark } = marked();
  const answer = await send("lorem", user(`90 ${mark}`), { maxCompletionTokens: 7 });
  assert.deepEqual([answer.choices[0].finishReason, answer.usage.completionTokens], ["length", 7]);
});

test("stream", async () => {
  const { mark } = marked();
  let text = "";
  let end;
  for await (const chunk of await send("echo", user(mark), { stream: true })) {
    text += chunk.choices[0]?.delta.content ?? "";
    end = chunk.choices[0]?.finishReason ?? end;
  }
  assert.deepEqual([text, end], [mark, "stop"]);
});

test("parallel tools and their results", async () => {
  const messages = user("plan");
  const { message, finishReason } = (await send("tools", messages, { tools })).choices[0];
  assert.equal(finishReason, "tool_calls");
  assert.deepEqual(message.toolCalls.map((c) => c.function.name), ["weather", "clock"]);
  const results = message.toolCalls.map((c) => ({ role: "tool", toolCallId: c.id, content: "fine" }));
  const answer = await send("tools", [...messages, message, ...results], { tools });
  assert.equal(answer.choices[0].message.content, "weather: fine\nclock: fine");
});

test("streamed tools", async () => {
  const calls = [];
  for await (const chunk of await send("tools", user("plan"), { tools, stream: true })) {
    for (const part of chunk.choices[0]?.delta.toolCalls ?? []) {
      calls[part.index] ??= { name: part.function.name, text: "" };
      calls[part.index].text += part.function.arguments ?? "";
    }
  }
  assert.deepEqual(calls.map((c) => [c.name, JSON.parse(c.text)]), [["weather", { city: "some city", days: 7 }], ["clock", { zone: "some zone" }]]);
});

test("structured output", async () => {
  const responseFormat = { type: "json_schema", jsonSchema: { name: "forecast", schema: weather, strict: true } };
  const answer = await send("json", user("the weather, as json"), { responseFormat });
  assert.deepEqual(JSON.parse(answer.choices[0].message.content), { city: "some city", days: 7 });
});

test("image", async () => {
  const content = [{ type: "text", text: "look" }, { type: "image_url", imageUrl: { url: `data:image/png;base64,${png}` } }];
  assert.match((await send("echo", user(content))).choices[0].message.content, /image: png 1x1/);
});

test("errors keep their status", async () => {
  const { mark, rule } = marked();
  await failed(send("echo", user("x"), {}, connect("sk-wrong")), 401);
  await failed(send("nope", user("x")), 404);
  await failed(send("status-500", user("x")), [500, 502]);
  await rule({ status: 429, retry_after_ms: 5 });
  await failed(send("echo", user(mark)), 429);
});

test("an error in the stream is told", async () => {
  const { mark, rule } = marked();
  await rule({ error_after: 8 });
  let told;
  const stream = await send("lorem", user(`50 ${mark}`), { stream: true });
  try {
    for await (const chunk of stream) told ??= chunk.error;
  } catch (e) {
    told = e;
  }
  assert.ok(told);
});

onlyGateway("a cut stream is an error", async () => {
  const { mark, rule } = marked();
  await rule({ fault: "cut", at: 3000 });
  let told;
  try {
    for await (const chunk of await send("lorem", user(`50 ${mark}`), { stream: true })) told ??= chunk.error;
  } catch (e) {
    told = e;
  }
  assert.ok(told);
});

test("retries", async () => {
  const { mark, rule, arrivals } = marked();
  await rule({ status: 500 }, { times: 1 });
  const answer = await send("echo", user(mark), {}, connect(apiKey, { retryConfig }));
  assert.equal(answer.choices[0].message.content, mark);
  assert.equal(await arrivals(), 2);
});
