//! A small seeded generator: the same numbers on every host.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose numbers follow from the seed alone.
    pub const fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.next_u32() as u64 * n as u64) >> 32) as usize
    }

    /// One of the values.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// A number in 0..1.
    pub fn unit(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 / 16_777_216.0
    }

    /// Normally distributed, mean 0 and deviation 1 (sum of twelve uniform numbers).
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    /// Any f32 bit pattern: NaNs, infinities and subnormals included; every fourth number is of
    /// ordinary size.
    pub fn any_f32(&mut self) -> f32 {
        match self.next_u32() & 3 {
            0 => (self.unit() - 0.5) * 1000.0,
            _ => f32::from_bits(self.next_u32()),
        }
    }

    /// A byte; a quarter of them are extremes: 0, 127, 128, 255.
    pub fn byte(&mut self) -> u8 {
        match self.next_u32() & 3 {
            0 => self.pick(&[0, 127, 128, 255]),
            _ => self.next_u32() as u8,
        }
    }

    /// Fills with [`byte`](Rng::byte)s.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.byte()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_splitmix64() {
        // The first numbers of the published generator for the seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let first = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn inputs_cover_their_range() {
        let mut rng = Rng::new(1);
        let bytes = rng.bytes(20_000);
        assert!((0..=255).all(|code| bytes.contains(&code)));
        let floats: Vec<f32> = (0..100_000).map(|_| rng.any_f32()).collect();
        // Infinities are two patterns in 2^32: lists of extremes provide them.
        assert!(floats.iter().any(|x| x.is_nan()));
        assert!(floats.iter().any(|x| x.is_subnormal()));
        assert!(floats.iter().any(|x| *x > 1e30) && floats.iter().any(|x| *x < -1e30));
        assert!(floats.iter().any(|x| x.abs() < 1e-30));
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.unit()) && rng.below(3) < 3));
    }
}
