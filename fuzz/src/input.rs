//! Arguments from bytes: good ones mostly, so that calls get far, and wrong ones of every sort.

use arbitrary::Unstructured;

/// The bytes that a target is given, as a stream of choices. When they are used up, every choice is the first.
pub struct Input<'a> {
    bytes: Unstructured<'a>,
    /// Whether wrong values are given at all.
    hostile: bool,
}

impl<'a> Input<'a> {
    /// A stream of some bytes. The first says whether there will be wrong values.
    pub fn new(bytes: &'a [u8]) -> Input<'a> {
        let mut input = Input { bytes: Unstructured::new(bytes), hostile: false };
        input.hostile = input.byte() % 2 == 1;
        input
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes.arbitrary().unwrap_or(0)
    }

    /// Any word.
    pub fn word(&mut self) -> u32 {
        self.bytes.arbitrary().unwrap_or(0)
    }

    /// A number below `n`, which is at most 256.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    /// A number of a range, its ends included, that is at most 256 long.
    pub fn within(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// Yes or no.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Whether to give a wrong value here: one in 24 times, of inputs that have any.
    pub fn wrong(&mut self) -> bool {
        self.hostile && self.byte() % 24 == 23
    }

    /// One of some values.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// One of a parameter's named constants, or a number that is none perhaps.
    pub fn constant(&mut self, named: &[i32]) -> i32 {
        if self.wrong() { self.word().cast_signed() } else { self.pick(named) }
    }

    /// A size up to `most`, or one that nothing can have.
    pub fn size(&mut self, most: usize) -> usize {
        if self.wrong() {
            self.pick(&[
                0,
                usize::MAX,
                usize::MAX - 1,
                usize::MAX / 2 + 1,
                usize::MAX / 3 * 2,
                usize::MAX - 63,
            ])
        } else {
            self.within(0, most)
        }
    }

    /// A size from 1 to `most`, or one that nothing can have.
    pub fn extent(&mut self, most: usize) -> usize {
        if self.wrong() { self.size(most) } else { self.within(1, most) }
    }

    /// Any f32: ordinary ones, ties, ends, subnormal ones, infinities, NaN.
    pub fn real(&mut self) -> f32 {
        match self.byte() % 8 {
            0 => f32::from_bits(self.word()),
            1 => self.pick(&[
                0.0,
                -0.0,
                f32::INFINITY,
                f32::NEG_INFINITY,
                f32::NAN,
                f32::MAX,
                f32::MIN,
                1e-45,
                -1e-39,
            ]),
            2 => f32::from(self.byte().cast_signed()) + 0.5,
            3 => f32::from(self.byte().cast_signed()),
            _ => (f32::from(self.byte()) * 256.0 + f32::from(self.byte()) - 32768.0) / 4096.0,
        }
    }

    /// A scale: an ordinary one mostly, otherwise any number, valid or not.
    pub fn scale(&mut self) -> f32 {
        match self.byte() % 16 {
            0 => self.pick(&[1e-45, 1e-40, f32::MIN_POSITIVE, 1e-30, 1e30, f32::MAX, 1.0]),
            1 if self.hostile => f32::from_bits(self.word()),
            _ => (1.0 + f32::from(self.byte())) / 1024.0,
        }
    }

    /// A zero point: of the codes from `low` to `high`, or any number.
    pub fn zero_point(&mut self, low: i32, high: i32) -> i32 {
        if self.wrong() {
            self.word().cast_signed()
        } else {
            low + self.word().cast_signed().rem_euclid(high - low + 1)
        }
    }

    /// Bytes without a pattern, of which two of the input's choose.
    pub fn noise(&mut self, n: usize) -> Vec<u8> {
        let mut state = u32::from(self.byte()) << 8 | u32::from(self.byte()) | 1 << 20;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 11) as u8
        };
        (0..n).map(|_| next()).collect()
    }

    /// Bytes of which the first are the input's own, the rest noise.
    pub fn codes(&mut self, n: usize) -> Vec<u8> {
        let own = n.min(self.below(48));
        let mut codes = self.noise(n);
        codes.iter_mut().take(own).for_each(|code| *code = self.byte());
        codes
    }

    /// Numbers: the first are the input's own, the rest ordinary.
    pub fn reals(&mut self, n: usize) -> Vec<f32> {
        let own = n.min(self.below(24));
        let noise = self.noise(2 * n);
        let ordinary =
            |pair: &[u8]| (f32::from(pair[0]) * 256.0 + f32::from(pair[1]) - 32768.0) / 8192.0;
        let mut reals: Vec<f32> = noise.chunks_exact(2).map(ordinary).collect();
        reals.iter_mut().take(own).for_each(|real| *real = self.real());
        reals
    }

    /// Scales, all alike mostly.
    pub fn scales(&mut self, n: usize) -> Vec<f32> {
        let all = self.scale();
        let own = n.min(self.below(8));
        let mut scales = vec![all; n];
        scales.iter_mut().take(own).for_each(|scale| *scale = self.scale());
        scales
    }

    /// Zero points, all alike mostly.
    pub fn zero_points(&mut self, n: usize, low: i32, high: i32) -> Vec<i32> {
        let all = self.zero_point(low, high);
        let own = n.min(self.below(8));
        let mut zero_points = vec![all; n];
        zero_points.iter_mut().take(own).for_each(|point| *point = self.zero_point(low, high));
        zero_points
    }

    /// A pointer to memory whose elements are aligned to `align`: rarely NULL, or misaligned where that must be seen.
    pub fn pointer<T>(&mut self, good: *const T, align: usize) -> *const T {
        if !self.wrong() {
            good
        } else if align == 1 || self.flag() {
            std::ptr::null()
        } else {
            good.wrapping_byte_add(1)
        }
    }
}
