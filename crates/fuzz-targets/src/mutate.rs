//! New inputs from old ones, the same for the same seed.

/// Makes inputs.
pub(crate) struct Mutator {
    state: u64,
    words: &'static [&'static str],
}

impl Mutator {
    pub(crate) fn new(seed: u64, words: &'static [&'static str]) -> Self {
        Self { state: seed, words }
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Below `end`; zero when `end` is.
    fn below(&mut self, end: usize) -> usize {
        self.next().checked_rem(end as u64).unwrap_or(0) as usize
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        // Mostly short: long cuts leave little to try.
        let most = if self.below(4) == 0 { length - start } else { (length - start).min(16) };
        start..start + self.below(most + 1)
    }

    /// One input, made of one or two others by a few changes.
    pub(crate) fn input(&mut self, from: &[Vec<u8>], length_max: usize) -> Vec<u8> {
        let mut input = from.get(self.below(from.len())).cloned().unwrap_or_default();
        for _ in 0..=self.below(6) {
            self.change(&mut input, from);
        }
        input.truncate(length_max);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, from: &[Vec<u8>]) {
        let place = self.range(input.len());
        match self.below(9) {
            0 => {
                if let Some(byte) = input.get_mut(place.start) {
                    *byte ^= 1 << (self.next() % 8);
                }
            }
            1 => {
                let byte = self.next() as u8;
                input.insert(place.start, byte);
            }
            2 => {
                input.drain(place);
            }
            3 => {
                let copied = input.get(place.clone()).unwrap_or_default().to_vec();
                input.splice(place.end..place.end, copied);
            }
            4 => {
                let other = from.get(self.below(from.len())).map_or(&[][..], Vec::as_slice);
                let part = self.range(other.len());
                let part = other.get(part).unwrap_or_default().to_vec();
                input.splice(place, part);
            }
            5 => input.truncate(place.end),
            6 => {
                let repeated = input.get(place.clone()).unwrap_or_default().repeat(8);
                input.splice(place.start..place.start, repeated);
            }
            _ => {
                let word = self.words.get(self.below(self.words.len())).copied().unwrap_or("");
                let over = if self.below(2) == 0 { place } else { place.start..place.start };
                input.splice(over, word.bytes());
            }
        }
    }
}
