// Realtime sessions through the official OpenAI SDK for JavaScript: over `ws`, and as a browser opens them.
import assert from "node:assert/strict";
import net from "node:net";
import OpenAI from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { apiKey, baseURL, marked, model, onlyProvider } from "./common.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
// The SDK connects by TLS whatever the base URL says; here there is none.
const { hostname: host, port } = new URL(baseURL);
const options = { createConnection: () => net.connect({ host, port: Number(port) }) };
globalThis.WebSocket = class extends WebSocket {
  constructor(url, protocols) {
    super(String(url).replace(/^wss:/, "ws:"), protocols);
  }
};

// Says something and gives the events of the answer, up to its end.
function talk(session, events) {
  return new Promise((resolve, reject) => {
    const heard = [];
    session.on("event", (event) => {
      heard.push(event);
      if (event.type === "session.created") for (const said of events) session.send(said);
      if (event.type === "response.done") resolve(heard);
    });
    session.on("error", reject);
  });
}

const text = (said) => [
  { type: "conversation.item.create", item: { type: "message", role: "user", content: [{ type: "input_text", text: said }] } },
  { type: "response.create", response: { output_modalities: ["text"] } },
];

const joined = (events) =>
  events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta).join("");

onlyProvider("openai", "over ws", async () => {
  const { mark } = marked();
  const session = new OpenAIRealtimeWS({ model: model("gpt-realtime"), options }, client);
  const events = await talk(session, text(`hello ${mark}`));
  assert.equal(joined(events), `hello ${mark}`);
  const { usage } = events.at(-1).response;
  assert.deepEqual([usage.input_tokens, usage.output_tokens], [8, 5]);
  const closed = new Promise((resolve) => session.socket.on("close", (code) => resolve(code)));
  session.close({ code: 1000, reason: "enough" });
  assert.equal(await closed, 1000);
});

onlyProvider("openai", "as a browser, whose key is a subprotocol", async () => {
  const { mark } = marked();
  const own = new OpenAI({ baseURL, apiKey, dangerouslyAllowBrowser: true });
  const session = new OpenAIRealtimeWebSocket({ model: model("gpt-realtime"), dangerouslyAllowBrowser: true }, own);
  const events = await talk(session, text(mark));
  assert.equal(joined(events), mark);
  assert.equal(session.socket.protocol, "realtime");
  session.close();
});

onlyProvider("openai", "a provider that answers by itself", async () => {
  const session = new OpenAIRealtimeWS({ model: model("gpt-realtime"), options }, client);
  const sound = (byte) => ({ type: "input_audio_buffer.append", audio: Buffer.alloc(9_600, byte).toString("base64") });
  const events = await talk(session, [sound(16), sound(0)]);
  const kinds = events.map((event) => event.type);
  assert.ok(kinds.includes("input_audio_buffer.speech_stopped"));
  assert.equal(events.at(-1).response.usage.input_token_details.audio_tokens, 4);
  session.close();
});
