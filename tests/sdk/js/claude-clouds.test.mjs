// Anthropic's SDKs for JavaScript as they are used with Claude on the clouds: AnthropicBedrock, with a key and with a pair that
// signs, and AnthropicVertex.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AnthropicBedrock } from "@anthropic-ai/bedrock-sdk";
import Anthropic from "@anthropic-ai/sdk";
import { AnthropicVertex } from "@anthropic-ai/vertex-sdk";
import { apiKey, baseURL, clock, marked, model, onlyGateway, onlyProvider, onlySpent, pairId, pairSecret, spentKey, weather } from "./common.mjs";

const root = baseURL.replace(/\/v1$/, "");
const usual = { maxRetries: 0, timeout: 20_000 };
const bedrock = (more) => new AnthropicBedrock({ baseURL: root, awsRegion: "us-east-1", ...usual, ...more });
// What logs in elsewhere is put here, as whoever has a token may do.
const logIn = (key) => ({ getRequestHeaders: async () => new Headers({ authorization: `Bearer ${key}` }) });
const vertex = (key, more) => new AnthropicVertex({ baseURL, authClient: logIn(key), projectId: "p", region: "global", ...usual, ...more });
const clouds = {
  "Bedrock, with a key": (key = apiKey, more) => bedrock({ apiKey: key, ...more }),
  "Bedrock, signed": (key, more) => bedrock({ awsAccessKey: pairId, awsSecretKey: key ?? pairSecret, ...more }),
  Vertex: (key = apiKey, more) => vertex(key, more),
};
const user = (content) => [{ role: "user", content }];
const ask = (name, content, more = {}) => ({ model: model(name), max_tokens: 500, messages: user(content), ...more });
const tools = [
  { name: "weather", description: "Forecast", input_schema: weather },
  { name: "clock", description: "Local time", input_schema: clock },
];

for (const [cloud, connect] of Object.entries(clouds)) {
  const client = connect();

  test(`${cloud}: message`, async () => {
    const { mark } = marked();
    const answer = await client.messages.create(ask("echo", `hello ${mark}`));
    assert.equal(answer.content[0].text, `hello ${mark}`);
    assert.deepEqual([answer.stop_reason, answer.usage.input_tokens, answer.usage.output_tokens], ["end_turn", 11, 5]);
  });

  test(`${cloud}: stream`, async () => {
    const { mark } = marked();
    const final = await client.messages.stream(ask("echo", mark)).finalMessage();
    assert.deepEqual([final.content[0].text, final.stop_reason], [mark, "end_turn"]);
    assert.ok(final.usage.output_tokens > 0);
  });

  test(`${cloud}: streamed tools and their results`, async () => {
    const first = await client.messages.stream(ask("tools", "plan", { tools })).finalMessage();
    const calls = first.content.filter((b) => b.type === "tool_use");
    assert.deepEqual(calls.map((c) => c.input), [{ city: "some city", days: 7 }, { zone: "some zone" }]);
    const results = calls.map((c) => ({ type: "tool_result", tool_use_id: c.id, content: "fine" }));
    const messages = [...user("plan"), { role: "assistant", content: first.content }, { role: "user", content: results }];
    const second = await client.messages.create({ ...ask("tools", ""), tools, messages });
    assert.equal(second.content[0].text, "weather: fine\nclock: fine");
  });

  test(`${cloud}: errors raise their classes`, async () => {
    const { mark, rule } = marked();
    const refused = (e) => [Anthropic.AuthenticationError, Anthropic.PermissionDeniedError].some((kind) => e instanceof kind);
    await assert.rejects(connect("sk-wrong").messages.create(ask("echo", "x")), refused);
    await rule({ status: 429, retry_after_ms: 5 });
    await assert.rejects(client.messages.create(ask("echo", mark)), Anthropic.RateLimitError);
  });

  test(`${cloud}: retries`, async () => {
    const { mark, rule, arrivals } = marked();
    await rule({ status: 429, retry_after_ms: 5 }, { times: 1 });
    assert.equal((await connect(undefined, { maxRetries: 2 }).messages.create(ask("echo", mark))).content[0].text, mark);
    assert.equal(await arrivals(), 2);
  });

  onlyGateway(`${cloud}: a cut stream is an error`, async () => {
    const { mark, rule } = marked();
    await rule({ fault: "cut", at: 1500 });
    await assert.rejects(client.messages.stream(ask("lorem", `50 ${mark}`)).finalMessage());
  });
}

onlySpent("a spent budget is a 402 and not retried", async () => {
  const { mark, arrivals } = marked();
  for (const spent of [bedrock({ apiKey: spentKey, maxRetries: 2 }), vertex(spentKey, { maxRetries: 2 })]) {
    await assert.rejects(spent.messages.create(ask("echo", mark)), (e) => e.status === 402);
  }
  assert.equal(await arrivals(), 0);
});

onlyGateway("Vertex without a version in its base URL", async () => {
  const { mark } = marked();
  const client = vertex(apiKey, { baseURL: root });
  assert.equal((await client.messages.create(ask("echo", mark))).content[0].text, mark);
});

onlyProvider("anthropic", "Vertex counts tokens", async () => {
  const answer = await vertex(apiKey).messages.countTokens({ model: model("echo"), messages: user("hello there") });
  assert.equal(answer.input_tokens, 9);
});
