// What every suite is told by its environment; see ../README.md.
import { randomUUID } from "node:crypto";
import { test } from "node:test";

const env = process.env;
export const baseURL = env.SDK_BASE_URL.replace(/\/$/, ""); // ends in /v1
export const apiKey = env.SDK_API_KEY;
export const prefix = env.SDK_MODEL_PREFIX ?? "";
export const provider = env.SDK_PROVIDER_DIALECT ?? "openai"; // what the mock behind speaks
export const spentKey = env.SDK_SPENT_KEY; // a key whose budget is used up
export const [pairId, pairSecret] = (env.SDK_AWS_PAIR ?? "none:none").split(":"); // an AWS key pair that is accepted
export const gateway = env.SDK_GATEWAY === "1";
const controlURL = env.SDK_MOCK_CONTROL.replace(/\/$/, "");

export const model = (name) => prefix + name;

// A 1x1 PNG.
export const png =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

// The beginning of a PDF.
export const pdf = Buffer.from("%PDF-1.4 tiny").toString("base64");

export const weather = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer", minimum: 1 } },
  required: ["city", "days"],
  additionalProperties: false,
};
export const clock = {
  type: "object",
  properties: { zone: { type: "string" } },
  required: ["zone"],
  additionalProperties: false,
};

async function control(method, path, body) {
  const answer = await fetch(controlURL + path, { method, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`mock control: ${await answer.text()}`);
  return answer.json();
}

// A mark in the texts of one test, so that its rules and its arrivals are its own.
export function marked() {
  const mark = "m" + randomUUID().replaceAll("-", "").slice(0, 12);
  return {
    mark,
    rule: (behaviour, more = {}) => control("POST", "/rules", { match: { contains: mark }, do: behaviour, ...more }),
    arrivals: async () => (await control("GET", "/requests")).filter((r) => r.body.includes(mark)).length,
  };
}

export const onlyProvider = (dialect, name, run) =>
  test(name, { skip: provider !== dialect && `only a provider that speaks ${dialect} can do this` }, run);
// Cohere's chat takes text documents only.
const isCohere = ["cohere", "oci-cohere"].includes(env.SDK_PARTNER ?? provider);
export const onlyPaged = (name, run) => test(name, { skip: isCohere && "Cohere takes no PDF" }, run);
export const onlyEmbedding = (name, run) =>
  test(name, { skip: !["openai", "gemini", "cohere", "oci"].includes(provider) && "a provider without embeddings" }, run);
export const onlyGateway = (name, run) =>
  test(name, { skip: !gateway && "a promise of the gateway, not of the mock" }, run);
export const onlySpent = (name, run) => test(name, { skip: !spentKey && "no key with a spent budget given" }, run);

// A gateway has several providers that speak an API; what lies at one must be told where.
export const lodged = prefix ? { "x-outrigger-provider": prefix.split("/")[0] } : {};

// What is asked for, once it is done.
export async function until(ask, done, millis = 20_000) {
  const end = Date.now() + millis;
  for (;;) {
    const it = await ask();
    if (done(it) || Date.now() > end) return it;
    await new Promise((wake) => setTimeout(wake, 10));
  }
}
