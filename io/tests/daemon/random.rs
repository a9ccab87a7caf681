//! Random bytes that a failure can be repeated with: the seed is printed and can be given again.

/// A small generator (xorshift64*); good enough to be unexpected, and the same everywhere.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Takes the seed from `TEST_SEED` or from the clock, and prints it (shown when the test fails).
    pub(crate) fn from_environment() -> Self {
        let seed = std::env::var("TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| {
            let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            clock.map_or(1, |elapsed| u64::from(elapsed.subsec_nanos()) + 1)
        });
        println!("TEST_SEED={seed}");
        Self(seed.max(1))
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number in `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).expect("usize fits u64");
        usize::try_from((self.next() >> 16) % bound).expect("below a usize")
    }

    /// So many random bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}
