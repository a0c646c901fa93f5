// The Vercel AI SDK with its Anthropic provider, which speaks the older API version.
import { createAnthropic } from "@ai-sdk/anthropic";
import { suite } from "./ai-sdk.shared.mjs";
import { apiKey, baseURL, model } from "./common.mjs";

const anthropic = createAnthropic({ baseURL, apiKey });
suite("anthropic", (name) => anthropic(model(name)));
