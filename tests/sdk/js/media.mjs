// Images, audio and moderation through the official OpenAI SDK: run with `openai.test.mjs`.
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";
import { apiKey, baseURL, marked, model, onlyGateway, onlyProvider, png, provider } from "./common.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const picture = () => toFile(Buffer.from(png, "base64"), "cat.png", { type: "image/png" });

// A WAV file of silence: 8,000 bytes a second.
function sound(seconds) {
  const head = Buffer.alloc(44);
  const length = 8_000 * seconds;
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8_000, 24);
  head.writeUInt32LE(8_000, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write("data", 36);
  head.writeUInt32LE(length, 40);
  return toFile(Buffer.concat([head, Buffer.alloc(length)]), "sound.wav", { type: "audio/wav" });
}

onlyProvider("openai", "images, made, streamed and changed", async () => {
  const { mark } = marked();
  const ask = { model: model("image"), prompt: `a cat ${mark}` };
  const made = await client.images.generate({ ...ask, n: 2 });
  assert.deepEqual(made.data.map((it) => it.b64_json), [png, png]);
  assert.equal(made.usage.output_tokens, 544);
  const kinds = [];
  for await (const event of await client.images.generate({ ...ask, stream: true, partial_images: 1 })) kinds.push(event.type);
  assert.deepEqual(kinds, ["image_generation.partial_image", "image_generation.completed"]);
  const changed = await client.images.edit({ ...ask, image: [await picture(), await picture()] });
  assert.equal(changed.usage.input_tokens_details.image_tokens, 646);
});

onlyProvider("openai", "speech, as bytes and as a stream of them", async () => {
  const { mark } = marked();
  const ask = { model: model("voice"), voice: "alloy", input: `hello ${mark}` };
  const whole = Buffer.from(await (await client.audio.speech.create(ask)).arrayBuffer());
  assert.equal(whole.subarray(0, 3).toString(), "ID3");
  const pieces = [];
  for await (const piece of (await client.audio.speech.create(ask)).body) pieces.push(piece);
  assert.deepEqual(Buffer.concat(pieces), whole);
});

onlyProvider("openai", "transcripts, whole and streamed", async () => {
  const ask = { model: model("transcribe"), file: await sound(2) };
  const written = await client.audio.transcriptions.create(ask);
  assert.equal(written.text, "16044 bytes of audio");
  assert.equal(written.usage.input_token_details.audio_tokens, 20);
  let text = "";
  for await (const event of await client.audio.transcriptions.create({ ...ask, stream: true })) text += event.delta ?? "";
  assert.equal(text, written.text);
});

onlyProvider("openai", "moderation, and errors of the right class", async () => {
  const { mark, rule } = marked();
  const judged = await client.moderations.create({ model: model("moderation"), input: `kill ${mark}` });
  assert.equal(judged.results[0].categories.violence, true);
  const ask = { model: model("image"), prompt: mark };
  await assert.rejects(client.images.generate({ ...ask, quality: "best" }), OpenAI.BadRequestError);
  await rule({ status: 503 });
  await assert.rejects(client.images.generate(ask), OpenAI.InternalServerError);
});

onlyGateway("images where there are none", async () => {
  if (provider === "openai") return;
  const { mark, arrivals } = marked();
  await assert.rejects(client.images.generate({ model: model("image"), prompt: mark }), /does not serve this operation/);
  assert.equal(await arrivals(), 0);
});
