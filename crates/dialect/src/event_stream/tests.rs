use proptest::prelude::*;

use super::*;

type Owned = (FrameKind, Vec<u8>, Vec<u8>, Vec<u8>);

fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Owned>, Result<bool, BadFrame>) {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for piece in pieces {
        let fed = decoder.feed(piece, |it| {
            frames.push((it.kind, it.name.to_vec(), it.message.to_vec(), it.payload.to_vec()));
        });
        if let Err(bad) = fed {
            return (frames, Err(bad));
        }
    }
    (frames, Ok(decoder.is_between_frames()))
}

/// Frames of the AWS SDKs' own tests (botocore, `tests/unit/test_eventstream.py`).
#[test]
fn frames_of_aws_are_read() {
    let empty = b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff";
    let (read, end) = frames([empty.as_slice()]);
    assert_eq!(read, [(FrameKind::Other, vec![], vec![], vec![])]);
    assert_eq!(end, Ok(true));
    let number = b"\x00\x00\x00+\x00\x00\x00\x0e4\x8b\xec{\x08event-id\x04\x00\x00\xa0\x0c{'foo':'bar'}\xd3\x89\x02\x85";
    let (read, end) = frames([number.as_slice()]);
    assert_eq!(read, [(FrameKind::Other, vec![], vec![], b"{'foo':'bar'}".to_vec())]);
    assert_eq!(end, Ok(true));
}

/// What we write: the lengths by hand, the rest by reading it again.
#[test]
fn an_event_is_written_as_the_format_says() {
    let mut out = Vec::new();
    append_event("messageStart", br#"{"role":"assistant"}"#, &mut out);
    // 1+11+3+12, 1+13+3+16 and 1+13+3+5 bytes of headers.
    assert_eq!(out.get(..8), Some([0, 0, 0, 118, 0, 0, 0, 82].as_slice()));
    assert_eq!(out.len(), 118);
    let (read, end) = frames([out.as_slice()]);
    let expected =
        (FrameKind::Event, b"messageStart".to_vec(), vec![], br#"{"role":"assistant"}"#.to_vec());
    assert_eq!((read, end), (vec![expected], Ok(true)));
    let mut out = Vec::new();
    append_exception("throttlingException", br#"{"message":"slow"}"#, &mut out);
    let (read, _) = frames([out.as_slice()]);
    assert_eq!(read[0].0, FrameKind::Exception);
    assert_eq!(read[0].1, b"throttlingException");
}

#[test]
fn checksums_are_the_common_ones() {
    // The check value of every CRC-32 catalogue.
    assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
}

fn some_frames() -> Vec<u8> {
    let mut out = Vec::new();
    append_event("messageStart", br#"{"role":"assistant"}"#, &mut out);
    append_event("contentBlockDelta", &[b'x'; 300], &mut out);
    append_exception("modelStreamErrorException", b"{}", &mut out);
    out
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = some_frames();
    let (expected, _) = frames([good.as_slice()]);
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            let (read, end) = frames([bad.as_slice()]);
            assert!(end.is_err(), "byte {at}, bit {bit}");
            assert!(read.len() < expected.len());
            assert_eq!(read, expected[..read.len()]);
        }
    }
}

#[test]
fn lengths_beyond_the_bounds_are_refused_before_they_are_waited_for() {
    for (total, headers) in [(15, 0), (16, 1), (20 << 20, 0), (1 << 20, 129 << 10), (u32::MAX, 0)] {
        let mut prelude = [u32::to_be_bytes(total), u32::to_be_bytes(headers)].concat();
        prelude.extend_from_slice(&crc32(0, &prelude).to_be_bytes());
        assert_eq!(frames([prelude.as_slice()]).1, Err(BadFrame::Length), "{total} {headers}");
    }
    // The largest there may be is waited for.
    let mut prelude = [u32::to_be_bytes((16 << 20) + 16), u32::to_be_bytes(0)].concat();
    prelude.extend_from_slice(&crc32(0, &prelude).to_be_bytes());
    assert_eq!(frames([prelude.as_slice()]).1, Ok(false));
}

proptest! {
    #[test]
    fn pieces_change_nothing(cuts in prop::collection::vec(0usize..700, 0..30)) {
        let bytes = some_frames();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        places.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for place in places.into_iter().chain([bytes.len()]) {
            pieces.push(&bytes[from..place]);
            from = place;
        }
        prop_assert_eq!(frames(pieces), frames([bytes.as_slice()]));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(frames([bytes.as_slice()]).0.len() <= bytes.len());
        // Behind a good prelude and with a good checksum, so that the headers are read.
        let mut frame = [u32::to_be_bytes(bytes.len() as u32 + 16), u32::to_be_bytes(bytes.len() as u32)].concat();
        frame.extend_from_slice(&crc32(0, &frame).to_be_bytes());
        frame.extend_from_slice(&bytes);
        frame.extend_from_slice(&crc32(0, &frame).to_be_bytes());
        let (_, end) = frames([frame.as_slice()]);
        prop_assert!(matches!(end, Ok(true) | Err(BadFrame::Headers)));
    }
}
