// The official Cohere SDK for JavaScript against a base URL.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CohereClientV2 } from "cohere-ai";
import { apiKey, baseURL, clock, marked, model, onlySpent, onlyProvider, png, provider, spentKey, weather } from "./common.mjs";

const root = baseURL.replace(/\/v1$/, ""); // this SDK adds the version by itself
const connect = (token, maxRetries = 0) => new CohereClientV2({ token, baseUrl: root, environment: root, maxRetries });
const client = connect(apiKey);
const user = (content) => [{ role: "user", content }];
const ask = (name, messages, more = {}) => ({ model: model(name), messages, ...more });
const tools = [
  { type: "function", function: { name: "weather", description: "Forecast", parameters: weather } },
  { type: "function", function: { name: "clock", description: "Local time", parameters: clock } },
];
const text = (answer) => answer.message.content.at(-1).text;
const failed = (promise, status) => assert.rejects(promise, (e) => (assert.ok([].concat(status).includes(e.statusCode), `${e}`), true));
const events = async (request) => {
  const all = [];
  for await (const event of await client.chatStream(request)) all.push(event);
  return all;
};

test("chat", async () => {
  const { mark } = marked();
  const answer = await client.chat(ask("echo", [{ role: "system", content: "be brief" }, ...user(`hello ${mark}`)]));
  assert.equal(text(answer), `hello ${mark}`);
  assert.equal(answer.finishReason, "COMPLETE");
  assert.equal(answer.usage.billedUnits.outputTokens, 5);
});

test("stream", async () => {
  const { mark } = marked();
  const all = await events(ask("echo", user(mark)));
  const deltas = all.filter((e) => e.type === "content-delta").map((e) => e.delta.message.content.text);
  assert.equal(deltas.join(""), mark);
  assert.equal(all.at(-1).delta.finishReason, "COMPLETE");
});

test("parallel tools and their results", async () => {
  const messages = user("plan");
  const { message, finishReason } = await client.chat(ask("tools", messages, { tools }));
  assert.equal(finishReason, "TOOL_CALL");
  assert.deepEqual(message.toolCalls.map((c) => c.function.name), ["weather", "clock"]);
  const results = message.toolCalls.map((c) => ({ role: "tool", toolCallId: c.id, content: "fine" }));
  const answer = await client.chat(ask("tools", [...messages, message, ...results], { tools }));
  assert.equal(text(answer), "weather: fine\nclock: fine");
});

test("streamed tools", async () => {
  const all = await events(ask("tools", user("plan"), { tools }));
  const names = all.filter((e) => e.type === "tool-call-start").map((e) => e.delta.message.toolCalls.function.name);
  assert.deepEqual(names, ["weather", "clock"]);
  const second = all.filter((e) => e.type === "tool-call-delta" && e.index === 1);
  assert.deepEqual(JSON.parse(second.map((e) => e.delta.message.toolCalls.function.arguments).join("")), { zone: "some zone" });
});

test("structured output", async () => {
  const answer = await client.chat(ask("json", user("as json"), { responseFormat: { type: "json_object", jsonSchema: weather } }));
  assert.deepEqual(JSON.parse(text(answer)), { city: "some city", days: 7 });
});

test("documents", async () => {
  const { mark } = marked();
  const documents = ["The hut opens in May.", { id: "hut", data: { title: "Hut" } }];
  const said = text(await client.chat(ask("echo", user(mark), { documents, citationOptions: { mode: "OFF" } })));
  assert.match(said, new RegExp(mark));
  if (provider === "cohere") assert.match(said, /\[2 document hut\]/);
});

test("thinking, whole and streamed, and back with tool results", async () => {
  const { mark } = marked();
  const more = { thinking: { type: "enabled", tokenBudget: 1600 }, maxTokens: 4000 };
  const answer = await client.chat(ask("echo", user(mark), more));
  assert.equal(text(answer), mark);
  assert.equal(answer.message.content.some((c) => c.type === "thinking"), provider !== "openai");
  const deltas = (await events(ask("echo", user(mark), more))).filter((e) => e.type === "content-delta");
  assert.equal(deltas.map((e) => e.delta.message.content.text ?? "").join(""), mark);
  const { message } = await client.chat(ask("tools", user(mark), { ...more, tools }));
  const results = message.toolCalls.map((c) => ({ role: "tool", toolCallId: c.id, content: "fine" }));
  const second = await client.chat(ask("tools", [...user(mark), message, ...results], { ...more, tools }));
  assert.equal(text(second), "weather: fine\nclock: fine");
});

test("image", async () => {
  const content = [{ type: "text", text: "look" }, { type: "image_url", imageUrl: { url: `data:image/png;base64,${png}` } }];
  assert.match(text(await client.chat(ask("echo", user(content)))), /image: png 1x1/);
});

test("thinking", async () => {
  const answer = await client.chat(ask("echo", user("x"), { thinking: { type: "enabled", tokenBudget: 1600 }, maxTokens: 4000 }));
  assert.equal(text(answer), "x");
  assert.ok(answer.usage.billedUnits.outputTokens > 1);
});

onlyProvider("cohere", "embeddings", async () => {
  const answer = await client.embed({ model: model("embed"), texts: ["a", "b"], inputType: "search_query", embeddingTypes: ["float"] });
  assert.deepEqual(answer.embeddings.float.map((v) => v.length), [64, 64]);
});

test("errors keep their status", async () => {
  const { mark, rule } = marked();
  await failed(connect("sk-wrong").chat(ask("echo", user("x"))), 401);
  await failed(client.chat(ask("nope", user("x"))), 404);
  await failed(client.chat(ask("status-500", user("x"))), [500, 502]);
  await rule({ status: 429, retry_after_ms: 5 });
  await failed(client.chat(ask("echo", user(mark))), 429);
});

onlySpent("a spent budget is a 402 and not retried", async () => {
  const { mark, arrivals } = marked();
  await failed(connect(spentKey, 2).chat(ask("echo", user(mark))), 402);
  assert.equal(await arrivals(), 0);
});

test("an error in the stream is its end", async () => {
  const { mark, rule } = marked();
  await rule({ error_after: 5 });
  const all = [];
  try {
    for await (const event of await client.chatStream(ask("lorem", user(`50 ${mark}`)))) all.push(event);
  } catch {
    // A gateway may break the connection off besides.
  }
  assert.equal(all.at(-1).delta.finishReason, "ERROR");
});

onlyProvider("cohere", "rerank", async () => {
  const { mark, rule } = marked();
  const ask = { model: model("rerank"), query: "cold war", documents: ["a warm day", "the cold war", mark] };
  const answer = await client.rerank({ ...ask, topN: 2 });
  assert.deepEqual(answer.results.map((it) => it.index), [1, 0]);
  assert.equal(answer.meta.billedUnits.searchUnits, 1);
  await rule({ status: 503 });
  await failed(client.rerank(ask), 503);
});
