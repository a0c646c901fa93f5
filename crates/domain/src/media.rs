//! Images within a request, as far as what they cost turns on them.

/// How closely a model is to look at an image (OpenAI's `detail`; other vendors have no such word).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageDetail {
    /// `auto`, or nothing said.
    #[default]
    Auto,
    /// `low`.
    Low,
    /// `high`.
    High,
    /// `original`, and any word that we don't know: no model looks closer than at the original.
    Original,
}

impl ImageDetail {
    /// The detail that a request's word asks for.
    pub fn of_word(word: &str) -> Self {
        match word {
            "auto" => Self::Auto,
            "low" => Self::Low,
            "high" => Self::High,
            _ => Self::Original,
        }
    }
}

/// An image in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageInput {
    /// Width and height in pixels; `None` where the request does not hold the image, or its head can't be read.
    pub size: Option<(u32, u32)>,
    /// How closely it is to be looked at.
    pub detail: ImageDetail,
}
