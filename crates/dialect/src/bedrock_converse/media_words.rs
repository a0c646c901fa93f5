//! Formats of images, documents and audio, which this dialect names by word and others by media type.

/// Images: nothing else is taken.
const IMAGES: [(&str, &str); 4] =
    [("png", "image/png"), ("jpeg", "image/jpeg"), ("gif", "image/gif"), ("webp", "image/webp")];

const DOCUMENTS: [(&str, &str); 9] = [
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

/// The media type of an image format; an unknown one as it would be called.
pub(super) fn image_type(format: &str) -> String {
    let known = IMAGES.iter().find(|(word, _)| *word == format);
    known.map_or_else(|| format!("image/{format}"), |(_, kind)| (*kind).to_owned())
}

/// The format of an image's media type.
pub(super) fn image_format(media_type: &str) -> Option<&'static str> {
    // A widespread name for the same.
    let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
    IMAGES.iter().find(|(_, kind)| *kind == media_type).map(|(word, _)| *word)
}

/// The media type of a document format; an unknown one as it would be called.
pub(super) fn document_type(format: &str) -> String {
    let known = DOCUMENTS.iter().find(|(word, _)| *word == format);
    known.map_or_else(|| format!("application/{format}"), |(_, kind)| (*kind).to_owned())
}

/// The format of a document's media type. Other text is plain text.
pub(super) fn document_format(media_type: &str) -> Option<&'static str> {
    let bare = media_type.split(';').next().unwrap_or_default().trim();
    let known = DOCUMENTS.iter().find(|(_, kind)| *kind == bare).map(|(word, _)| *word);
    known.or_else(|| bare.starts_with("text/").then_some("txt"))
}
