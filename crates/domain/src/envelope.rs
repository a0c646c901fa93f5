//! How the requests of a dialect travel where they do not stand alone. What that means on the wire is the `dialect`
//! crate's; the catalog needs the words.

/// What is put around a request and its answer: a Messages request but for the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Envelope {
    /// Nothing: model and stream in the body, version and betas in headers, as Anthropic itself has it.
    #[default]
    None,
    /// Amazon Bedrock's InvokeModel: model and stream in the path, version and betas in the body, streams as frames,
    /// errors as AWS says them.
    BedrockInvoke,
    /// Google Vertex AI's `rawPredict`: model and stream in the path, the version in the body.
    VertexRawPredict,
    /// Azure's deployments: the model's deployment and the API's version in the path of an OpenAI request.
    AzureDeployment,
}

impl Envelope {
    const ALL: [Self; 4] =
        [Self::None, Self::BedrockInvoke, Self::VertexRawPredict, Self::AzureDeployment];

    /// The word in data files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::BedrockInvoke => "bedrock-invoke",
            Self::VertexRawPredict => "vertex-raw-predict",
            Self::AzureDeployment => "azure-deployment",
        }
    }

    /// Whether it changes a request's body, and not its address alone.
    pub fn wraps(self) -> bool {
        matches!(self, Self::BedrockInvoke | Self::VertexRawPredict)
    }

    /// The envelope of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}
