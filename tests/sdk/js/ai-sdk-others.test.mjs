// The Vercel AI SDK with its providers for Google, Bedrock, Cohere and Mistral.
import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { createCohere } from "@ai-sdk/cohere";
import { createGoogle } from "@ai-sdk/google";
import { createMistral } from "@ai-sdk/mistral";
import { suite } from "./ai-sdk.shared.mjs";
import { apiKey, baseURL, gateway, model, provider } from "./common.mjs";

const root = baseURL.replace(/\/v1$/, "");

const google = createGoogle({ baseURL: `${root}/v1beta`, apiKey });
suite("google", (name) => google(model(name)));

const bedrock = createAmazonBedrock({ baseURL: root, apiKey, region: "us-east-1" });
suite("amazon-bedrock", (name) => bedrock(model(name)));

const cohere = createCohere({ baseURL: `${root}/v2`, apiKey });
suite("cohere", (name) => cohere(model(name)), {}, {
  bill: "reads what went through the model, which is more than what is billed",
  document: "sends the text of documents, and PDF is none",
});

const mistral = createMistral({ baseURL, apiKey });
const asSent = "OpenAI takes neither images whose URL is a text nor documents by URL, and gets from the gateway what the client sent";
suite("mistral", (name) => mistral(model(name)), {}, {
  usage: "OpenAI's chat tells a stream's usage when asked, and Mistral's clients don't ask",
  "streamed tools": "reads whole calls only, as Mistral sends them, and not in pieces",
  ...((provider === "openai" || !gateway) && { image: asSent, document: asSent }),
});
