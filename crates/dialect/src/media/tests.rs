use proptest::prelude::*;

use super::*;
use crate::cursor::Cursor;

/// Heads of files that Pillow 12 wrote, up to their size.
const FILES: [(&str, &str, (u32, u32)); 9] = [
    ("png", "iVBORw0KGgoAAAANSUhEUgAAACUAAAAVCAIAAABOhrD5", (37, 21)),
    (
        "jpeg",
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////wAALCAAVACU=",
        (37, 21),
    ),
    (
        "progressive, with a comment and Exif",
        "/9j/4AAQSkZJRgABAQAAAQABAAD/4QAqRXhpZgAATU0AKgAAAAgAAQEOAAIAAAAHAAAAGgAAAABhIHZpZXcAAP/+AAdoZWxsb//bAEMA///////////////////////////////////////////////////////////////////////////////////////CAAsIAAIBLA==",
        (300, 2),
    ),
    ("gif 87a", "R0lGODdhJQAVAIEAALHZc2KKskk6YgAAACwAAAAAJQAVAEAI", (37, 21)),
    (
        "animated gif 89a",
        "R0lGODlhJQAVAIEAAAAAAAAAAAAAAAAAACH/C05FVFNDQVBFMi4wAwEAAAAh/gFjACwAAAAAJQAVAAAI",
        (37, 21),
    ),
    ("webp, lossy", "UklGRooAAABXRUJQVlA4IH4AAACQBACdASolABUAP5nC", (37, 21)),
    ("webp, lossless", "UklGRnIAAABXRUJQVlA4TGYAAAAvJAAFAHU4qW1b", (37, 21)),
    ("webp, extended", "UklGRuwAAABXRUJQVlA4WAoAAAAYAAAAJAAAFAAAQUxQ", (37, 21)),
    // By hand: the frame reaches beyond a screen of one pixel.
    ("gif, a small screen", "R0lGODlhAQABAAAAACwFAAYAJQAVAAAI", (42, 27)),
];

fn of_json(written: &str) -> Option<(u32, u32)> {
    Sizes::new().of_base64(Cursor::new(written.as_bytes()).text().unwrap())
}

fn of_url(written: &str) -> Option<(u32, u32)> {
    Sizes::new().of_data_url(Cursor::new(written.as_bytes()).text().unwrap())
}

#[test]
fn the_four_formats_tell_their_size() {
    for (name, data, size) in FILES {
        assert_eq!(of_json(&format!("\"{data}\"")), Some(size), "{name}");
        // As PHP writes slashes, as mail wraps lines, as Google's SDK writes base64.
        let slashes = data.replace('/', "\\/");
        assert_eq!(of_json(&format!("\"{slashes}\"")), Some(size), "{name}");
        let (first, second) = data.split_at(13);
        let wrapped = format!("\"{first}\\r\\n{second}\\n\"");
        assert_eq!(of_json(&wrapped), Some(size), "{name}");
        let url_safe = data.replace('/', "_").replace('+', "-");
        assert_eq!(of_json(&format!("\"{url_safe}\"")), Some(size), "{name}");
        // The media type of a URL is not believed.
        assert_eq!(of_url(&format!("\"data:image/x;base64,{data}\"")), Some(size), "{name}");
        assert_eq!(of_url(&format!("\"data:image\\/x;base64,{slashes}\"")), Some(size), "{name}");
    }
}

#[test]
fn what_is_not_plain_has_no_size() {
    let png = FILES[0].1;
    for data in [
        "",
        "=",
        "iVBO",
        // A character that lenient decoders leave out and strict ones refuse.
        &png.replacen('g', "g ", 1),
        &png.replacen('g', "g=", 1),
        // Another first chunk, a width of zero, a BMP, an SVG.
        &png.replacen("SUhE", "SUhF", 1),
        &png.replacen("AAACUA", "AAAAAA", 1),
        "Qk02AwAAAAAAADYAAAAoAAAAEAAAABAAAAABABgAAAAAAAADAAA",
        "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciPg",
    ] {
        assert_eq!(of_json(&format!("\"{data}\"")), None, "{data}");
    }
    for url in ["data:image/png,abc", "data:;base64", "data:image/png;base64", "https://x.example"]
    {
        assert_eq!(of_url(&format!("\"{url}\"")), None, "{url}");
    }
}

/// A segment that says it has no length, or less, does not hold the reader up; neither does one without an end.
#[test]
fn a_jpeg_that_leads_nowhere_has_no_size() {
    for segments in [
        vec![0xff, 0xd8, 0xff, 0xe0, 0, 0],
        vec![0xff, 0xd8, 0xff, 0xe0, 0, 1],
        vec![0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff],
        vec![0xff, 0xd8, 0xff, 0xe0, 0, 2, 0, 0xc0],
        // The picture begins without a frame; a height that comes later.
        vec![0xff, 0xd8, 0xff, 0xda, 0, 2],
        vec![0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 0, 0, 5],
        vec![0xff; 100],
    ] {
        assert_eq!(image_size(segments.iter().copied()), None, "{segments:x?}");
    }
}

/// What is looked at is bounded: for an image, and for a request.
#[test]
fn a_size_far_behind_is_not_looked_for() {
    let frame = [0xff, 0xc0, 0, 11, 8, 0, 21, 0, 37];
    let segment = [&[0xff, 0xe1, 0xff, 0xff], vec![0; 65_533].as_slice()].concat();
    let encoded = |segments: usize| {
        use base64::Engine;
        let file = [&[0xff, 0xd8], segment.repeat(segments).as_slice(), &frame].concat();
        format!("\"{}\"", base64::engine::general_purpose::STANDARD.encode(file))
    };
    let (near, far) = (encoded(2), encoded(3));
    let text = |written: &'static str| Cursor::new(written.as_bytes()).text().unwrap();
    let (near, far) = (text(near.leak()), text(far.leak()));
    let mut sizes = Sizes::new();
    assert_eq!(sizes.of_base64(near), Some((37, 21)));
    assert_eq!(sizes.of_base64(far), None);
    for _ in 0..20 {
        sizes.of_base64(far);
    }
    assert_eq!(sizes.of_base64(near), None);
}

proptest! {
    #[test]
    fn any_bytes_and_any_cut_are_survived(
        file in 0usize..FILES.len(), cut: prop::sample::Index, junk: Vec<u8>, at: prop::sample::Index,
    ) {
        let mut bytes: Vec<u8> = Base64::new(FILES[file].1.bytes()).collect();
        let size = image_size(bytes.iter().copied());
        // A prefix tells the same or nothing.
        let head = image_size(bytes[..cut.index(bytes.len())].iter().copied());
        prop_assert!(head.is_none() || head == size);
        let at = at.index(bytes.len());
        bytes.splice(at..(at + junk.len()).min(bytes.len()), junk.iter().copied());
        let _ = (image_size(bytes.into_iter()), image_size(junk.into_iter()));
    }

    #[test]
    fn base64_reads_as_the_crate_writes_it(bytes: Vec<u8>) {
        use base64::Engine;
        for engine in [
            base64::engine::general_purpose::STANDARD,
            base64::engine::general_purpose::URL_SAFE,
            base64::engine::general_purpose::STANDARD_NO_PAD,
        ] {
            let text = engine.encode(&bytes);
            prop_assert_eq!(Base64::new(text.bytes()).collect::<Vec<u8>>(), bytes.clone());
        }
    }
}
