use proptest::prelude::*;

use super::*;

type Events = Vec<(Vec<u8>, Vec<u8>)>;

/// The standard's own algorithm, in its own order, on the whole text.
fn reference(stream: &[u8]) -> Events {
    let stream = stream.strip_prefix(&BOM).unwrap_or(stream);
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut line = Vec::new();
    let mut bytes = stream.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                if bytes.peek() == Some(&b'\n') {
                    bytes.next();
                }
                lines.push(std::mem::take(&mut line));
            }
            b'\n' => lines.push(std::mem::take(&mut line)),
            _ => line.push(byte),
        }
    }
    let (mut events, mut data, mut kind) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        if line.is_empty() {
            let kind = std::mem::take(&mut kind);
            let mut data = std::mem::take(&mut data);
            if !data.is_empty() {
                assert_eq!(data.pop(), Some(b'\n'));
                events.push((kind, data));
            }
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(0) => continue,
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (&line[..], &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            b"event" => kind = value.to_vec(),
            _ => {}
        }
    }
    events
}

fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Events {
    let mut parser = SseParser::default();
    let mut events = Vec::new();
    for piece in pieces {
        parser
            .blocks(piece, |block| {
                assert!(block.end <= piece.len());
                events.extend(block.event.map(|it| (it.event.to_vec(), it.data.to_vec())));
            })
            .unwrap();
    }
    events
}

fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for place in places.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[from..place]);
        from = place;
    }
    pieces
}

/// Streams made of what the grammar turns on.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(&b"\n"[..]),
        2 => Just(&b"\r\n"[..]),
        2 => Just(&b"\r"[..]),
        3 => Just(&b"data: x"[..]),
        2 => Just(&b"data:y"[..]),
        1 => Just(&b"data"[..]),
        1 => Just(&b"data:"[..]),
        1 => Just(&b"data:  two"[..]),
        2 => Just(&b"event: e"[..]),
        1 => Just(&b"event"[..]),
        1 => Just(&b": comment"[..]),
        1 => Just(&b"id: 1"[..]),
        1 => Just(&b"datax: 1"[..]),
        1 => Just(&b" data: 1"[..]),
        1 => Just("\u{2028}".as_bytes()),
        1 => Just("\u{e9}\u{1f600}".as_bytes()),
        1 => Just(&BOM[..]),
        1 => Just(&BOM[..2]),
        1 => Just(&b"\0"[..]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

#[test]
fn the_examples_of_the_standard() {
    let texts = |stream: &str| {
        let events = parse([stream.as_bytes()]);
        events.into_iter().map(|(_, data)| String::from_utf8(data).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(texts("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
    assert_eq!(texts("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
    assert_eq!(texts("data:test\n\ndata: test\n\n"), ["test", "test"]);
    assert_eq!(texts(": only a comment\n\n"), [""; 0]);
    assert_eq!(texts("data: cut by the end"), [""; 0]);
    assert_eq!(texts("\u{feff}data: \u{2028}\r\n\r\n"), ["\u{2028}"]);
}

#[test]
fn what_the_end_cut_can_be_asked_for() {
    for stream in ["data: {}", "data: {}\n", "data: {}\r", "data: {}\r\n"] {
        let mut parser = SseParser::default();
        parser.feed(stream.as_bytes(), |_| panic!("not over")).unwrap();
        let mut rest = Vec::new();
        parser.rest(|event| rest.push(event.data.to_vec()));
        assert_eq!(rest, [b"{}"], "{stream:?}");
    }
}

#[test]
fn an_event_beyond_the_cap_is_refused_and_memory_stays_bounded() {
    let mut parser = SseParser::default();
    let piece = vec![b'x'; 1 << 20];
    parser.feed(b"data: ", |_| {}).unwrap();
    for _ in 0..7 {
        parser.feed(&piece, |_| {}).unwrap();
    }
    assert_eq!(parser.feed(&vec![b'x'; 1 << 20], |_| {}), Err(EventTooLarge));

    let mut parser = SseParser::default();
    let most = vec![b'x'; EVENT_BYTES_MAX - 6];
    parser.feed(b"data: ", |_| {}).unwrap();
    parser.feed(&most, |_| {}).unwrap();
    let mut seen = 0;
    parser.feed(b"\n\n", |event| seen = event.data.len()).unwrap();
    assert_eq!(seen, EVENT_BYTES_MAX - 6);
}

proptest! {
    /// T-S3. The long form sets PROPTEST_CASES=1000000.
    #[test]
    fn any_chunking_reads_as_the_standard_does(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let expected = reference(&stream);
        prop_assert_eq!(&parse([stream.as_slice()]), &expected);
        prop_assert_eq!(&parse(cut(&stream, &cuts)), &expected);
        prop_assert_eq!(&parse(stream.chunks(1)), &expected);
    }

    #[test]
    fn any_bytes_do(
        stream in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let expected = reference(&stream);
        prop_assert_eq!(&parse(cut(&stream, &cuts)), &expected);
    }
}
