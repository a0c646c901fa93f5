//! The SDK suites of `tests/sdk`, as data: rows of the matrix in the README.

/// Where a suite's packages are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packages {
    Python,
    /// Cohere's SDK, whose dependencies are its own.
    Cohere,
    /// Frameworks for Python and Mistral's SDK, whose dependencies are older in part.
    Frameworks,
    Js,
}

/// One suite, run in a process of its own for each provider.
#[derive(Clone, Copy)]
pub(crate) struct Suite {
    /// A module of `tests/sdk/python`, or a file of `tests/sdk/js`.
    pub(crate) file: &'static str,
    /// What it shows, as readers of the README know it.
    pub(crate) title: &'static str,
    /// The dialect it speaks; one of several where frameworks speak them all.
    pub(crate) client: &'static str,
    pub(crate) packages: Packages,
    /// The providers it is run against without `--long`.
    pub(crate) quick: &'static [&'static str],
    /// The clouds it is run against.
    pub(crate) clouds: &'static [&'static str],
}

/// A provider that suites are run against.
#[derive(Clone, Copy)]
pub(crate) struct Provider {
    /// Its name in the gateway's configuration, after `mock-`.
    pub(crate) name: &'static str,
    /// Its column in the README.
    pub(crate) column: &'static str,
    /// What it is spoken to in.
    pub(crate) dialect: &'static str,
    /// What its models' names begin with.
    pub(crate) models: &'static str,
}

const fn provider(
    name: &'static str,
    column: &'static str,
    dialect: &'static str,
    models: &'static str,
) -> Provider {
    Provider { name, column, dialect, models }
}

/// A provider of each dialect: the columns of the README's first matrix.
pub(crate) const PROVIDERS: [Provider; 7] = [
    provider("openai", "Chat", "openai", ""),
    provider("responses", "Responses", "responses", ""),
    provider("anthropic", "Messages", "anthropic", ""),
    provider("gemini", "Gemini", "gemini", ""),
    provider("bedrock", "Converse", "bedrock", ""),
    provider("cohere", "Cohere", "cohere", ""),
    provider("oci", "Oracle", "oci", ""),
];

/// The same dialects in what a cloud puts around them: the columns of the second. A few suites are run against them.
pub(crate) const CLOUDS: [Provider; 5] = [
    provider("invoke", "Bedrock InvokeModel", "anthropic", "anthropic.claude/"),
    provider("mantle", "Bedrock mantle", "anthropic", ""),
    provider("platform", "Claude Platform on AWS", "anthropic", ""),
    provider("vertex", "Vertex rawPredict", "anthropic", "claude/"),
    provider("oci-cohere", "Oracle, Cohere's models", "oci", "cohere."),
];

const ALL: &[&str] = &["openai", "responses", "anthropic", "gemini", "bedrock", "cohere", "oci"];
const CLAUDE: &[&str] = &["invoke", "mantle", "platform", "vertex"];
/// Those of them that have other bodies, too.
const ENVELOPED: &[&str] = &["invoke", "vertex"];
const COHERE_AT_ORACLE: &[&str] = &["oci-cohere"];

const fn suite(
    file: &'static str,
    client: &'static str,
    packages: Packages,
    title: &'static str,
) -> Suite {
    Suite { file, title, client, packages, quick: ALL, clouds: &[] }
}

impl Suite {
    const fn at(self, clouds: &'static [&'static str]) -> Self {
        Suite { clouds, ..self }
    }
}

/// What is passed on between a client and a provider of OpenAI's, and never translated.
const fn only_openai(file: &'static str, packages: Packages, title: &'static str) -> Suite {
    Suite { quick: &["openai"], ..suite(file, "openai", packages, title) }
}

use Packages::{Cohere, Frameworks, Js, Python};

#[rustfmt::skip]
pub(crate) const SUITES: [Suite; 24] = [
    suite("test_openai", "openai", Python, "OpenAI for Python: Chat Completions").at(ENVELOPED),
    suite("openai.test.mjs", "openai", Js, "OpenAI for JavaScript: Chat Completions").at(COHERE_AT_ORACLE),
    suite("ai-sdk-openai.test.mjs", "openai", Js, "Vercel AI SDK: openai.chat and openai-compatible"),
    suite("test_mistral", "openai", Frameworks, "Mistral for Python"),
    suite("mistral.test.mjs", "openai", Js, "Mistral for JavaScript"),
    suite("openrouter.test.mjs", "openai", Js, "OpenRouter for JavaScript"),
    suite("test_responses", "responses", Python, "OpenAI for Python: Responses"),
    suite("responses.test.mjs", "responses", Js, "OpenAI for JavaScript: Responses"),
    suite("ai-sdk-responses.test.mjs", "responses", Js, "Vercel AI SDK: openai"),
    suite("test_anthropic", "anthropic", Python, "Anthropic for Python").at(CLAUDE),
    suite("test_claude_clouds", "anthropic", Python, "Anthropic for Python: AnthropicBedrock and AnthropicVertex"),
    suite("anthropic.test.mjs", "anthropic", Js, "Anthropic for JavaScript"),
    Suite {
        file: "claude-clouds.test.mjs",
        title: "Anthropic for JavaScript: AnthropicBedrock and AnthropicVertex",
        client: "anthropic",
        packages: Js,
        clouds: &[],
        quick: &["openai", "anthropic", "bedrock"], // what differs from the suite above is the client's side
    },
    suite("ai-sdk-anthropic.test.mjs", "anthropic", Js, "Vercel AI SDK: anthropic"),
    suite("test_gemini", "gemini", Python, "Google Gen AI for Python"),
    suite("gemini.test.mjs", "gemini", Js, "Google Gen AI for JavaScript"),
    suite("test_bedrock", "bedrock", Python, "AWS for Python (boto3): Converse"),
    suite("bedrock.test.mjs", "bedrock", Js, "AWS for JavaScript: Converse"),
    suite("test_cohere", "cohere", Cohere, "Cohere for Python"),
    suite("cohere.test.mjs", "cohere", Js, "Cohere for JavaScript").at(COHERE_AT_ORACLE),
    suite("ai-sdk-others.test.mjs", "gemini", Js, "Vercel AI SDK: google, amazon-bedrock, cohere and mistral"),
    only_openai("test_realtime", Python, "OpenAI for Python: Realtime"),
    only_openai("realtime.test.mjs", Js, "OpenAI for JavaScript: Realtime"),
    Suite {
        file: "test_frameworks",
        title: "LangChain and Pydantic AI, in six dialects",
        client: "openai",
        packages: Frameworks,
        clouds: &[],
        quick: &["responses", "anthropic"], // the packages alone take seconds to load
    },
];
