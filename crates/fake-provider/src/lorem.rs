//! Seeded filler text, and the two small functions that everything "random" here is made of.

use std::fmt::Write as _;

const WORDS: [&str; 32] = [
    "lorem",
    "ipsum",
    "dolor",
    "sit",
    "amet",
    "consectetur",
    "adipiscing",
    "elit",
    "sed",
    "do",
    "eiusmod",
    "tempor",
    "incididunt",
    "ut",
    "labore",
    "et",
    "dolore",
    "magna",
    "aliqua",
    "enim",
    "ad",
    "minim",
    "veniam",
    "quis",
    "nostrud",
    "exercitation",
    "ullamco",
    "laboris",
    "nisi",
    "aliquip",
    "ex",
    "ea",
];

/// FNV-1a, 64 bits: stable over runs and machines; not for secrets.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut h: u64 = 0xcbf2_9ce4_8422_2325;
    for b in bytes {
        h = (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
    }
    h
}

/// SplitMix64's output function: spreads a counter or a hash over all 64 bits.
pub(crate) fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Filler of exactly `tokens` tokens, the same for the same seed.
pub(crate) fn text(seed: u64, tokens: u64) -> String {
    let want = usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(4);
    let mut out = String::new();
    let mut state = seed;
    while out.len() < want {
        state = mix(state);
        let word = WORDS.get((state % 32) as usize).copied().unwrap_or("lorem");
        let gap = if out.is_empty() { "" } else { " " };
        if write!(out, "{gap}{word}").is_err() {
            break;
        }
    }
    // Filler is ASCII, so a token is four bytes and cutting at `want` keeps the count exact.
    out.truncate(want);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filler_has_exactly_the_tokens_asked_and_depends_on_the_seed() {
        for n in [0, 1, 7, 64, 1000] {
            assert_eq!(crate::tokens::count(&text(1, n)), n);
        }
        assert_eq!(text(5, 40), text(5, 40));
        assert_ne!(text(5, 40), text(6, 40));
    }
}
