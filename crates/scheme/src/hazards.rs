//! What becomes of f32 numbers in f16 and bf16: how many are lost, and the power of two that saves them.

/// Counts that tell all: of each of [`LIMITS`], how many magnitudes are above it, and the finite extremes.
///
/// Magnitudes are compared as integers, the bits of an f32 less its sign, which order as the numbers do, with NaN above
/// all. Counts of parts of an array may be [merged](Census::merge) in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Numbers in all.
    pub count: u64,
    /// How many magnitudes are above each limit.
    pub above: [u64; LIMITS.len()],
    /// The bits of the largest finite magnitude, 0 if there is none.
    pub largest: u32,
    /// The bits of the smallest finite magnitude other than 0; those of infinity, or NaN, if there is none.
    pub smallest: u32,
}

/// The largest magnitudes of each kind, as bits: of zero; of what bf16 rounds to zero; to a subnormal number; of what f16
/// rounds to zero; to a subnormal number; to a finite number; of what bf16 rounds to a finite number; of finite f32; of
/// infinity.
pub const LIMITS: [u32; 9] = [
    0,
    // 2^-134, half of bf16's smallest: a tie, to even.
    0x0000_8000,
    0x007F_7FFF,
    // 2^-25, half of f16's smallest: a tie, to even.
    0x3300_0000,
    0x387F_DFFF,
    // Below 65520.
    0x477F_EFFF,
    0x7F7F_7FFF,
    0x7F7F_FFFF,
    0x7F80_0000,
];

impl Census {
    /// Of nothing.
    pub const EMPTY: Census =
        Census { count: 0, above: [0; LIMITS.len()], largest: 0, smallest: u32::MAX };

    /// Counts a number.
    pub fn see(&mut self, x: f32) {
        let magnitude = x.to_bits() & 0x7FFF_FFFF;
        self.count += 1;
        for (above, &limit) in self.above.iter_mut().zip(&LIMITS) {
            *above += u64::from(magnitude > limit);
        }
        if magnitude < 0x7F80_0000 {
            self.largest = self.largest.max(magnitude);
        }
        if magnitude > 0 {
            self.smallest = self.smallest.min(magnitude);
        }
    }

    /// Adds the counts of another part.
    pub fn merge(&mut self, other: &Census) {
        self.count += other.count;
        for (above, more) in self.above.iter_mut().zip(other.above) {
            *above += more;
        }
        self.largest = self.largest.max(other.largest);
        self.smallest = self.smallest.min(other.smallest);
    }
}

/// What a 16-bit format does to numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FormatHazards {
    /// Finite numbers that become infinities.
    pub overflow: u64,
    /// Numbers other than 0 that become 0.
    pub underflow: u64,
    /// Numbers that become subnormal: some of their bits are lost.
    pub subnormal: u64,
    /// A power of two, 2^-126 to 2^127: times it no finite number overflows, and none underflows or becomes
    /// subnormal if one scale can do both; otherwise as few as can be. Of those that do, the nearest to 1.
    pub scale: f32,
    /// Whether with that scale nothing overflows, underflows or becomes subnormal.
    pub avoids_all: bool,
}

/// What f16 and bf16 do to numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HalfHazards {
    /// Numbers in all.
    pub count: u64,
    /// NaN.
    pub nan: u64,
    /// Infinities.
    pub infinite: u64,
    /// Zeros.
    pub zero: u64,
    /// The largest finite magnitude; 0 if there is none.
    pub largest: f32,
    /// The smallest finite magnitude other than 0; 0 if there is none.
    pub smallest: f32,
    /// In f16.
    pub f16: FormatHazards,
    /// In bf16.
    pub bf16: FormatHazards,
}

impl HalfHazards {
    /// What counts tell.
    pub fn new(census: &Census) -> HalfHazards {
        let [
            any,
            bf16_nonzero,
            bf16_normal,
            f16_nonzero,
            f16_normal,
            f16_over,
            bf16_over,
            not_finite,
            nan,
        ] = census.above;
        let extremes = match census.largest {
            0 => None,
            largest => Some((census.smallest, largest)),
        };
        let format = |nonzero: u64, normal: u64, over: u64, limits: (u32, u32)| {
            let (scale, avoids_all) = match extremes {
                Some(extremes) => scale(extremes, limits),
                None => (1.0, true),
            };
            FormatHazards {
                overflow: over - not_finite,
                underflow: any - nonzero,
                subnormal: nonzero - normal,
                scale,
                avoids_all,
            }
        };
        HalfHazards {
            count: census.count,
            nan,
            infinite: not_finite - nan,
            zero: census.count - any,
            largest: f32::from_bits(census.largest),
            smallest: extremes.map_or(0.0, |(smallest, _)| f32::from_bits(smallest)),
            f16: format(f16_nonzero, f16_normal, f16_over, (LIMITS[4] + 1, LIMITS[5] + 1)),
            bf16: format(bf16_nonzero, bf16_normal, bf16_over, (LIMITS[2] + 1, LIMITS[6] + 1)),
        }
    }

    /// What becomes of numbers.
    pub fn of(numbers: impl Iterator<Item = f32>) -> HalfHazards {
        let mut census = Census::EMPTY;
        numbers.for_each(|x| census.see(x));
        HalfHazards::new(&census)
    }
}

/// The bits of a magnitude other than 0 as `mantissa * 2^exponent`, the mantissa of 24 bits.
fn parts(bits: u32) -> (u32, i32) {
    match bits >> 23 {
        0 => {
            let up = bits.leading_zeros() as i32 - 8;
            (bits << up, -149 - up)
        }
        exponent => (bits & 0x7F_FFFF | 0x80_0000, exponent as i32 - 150),
    }
}

/// The scale for a smallest and a largest magnitude, of a format whose smallest normal number and whose overflow begin at
/// the limits; and whether it avoids all. All are bits of f32.
fn scale((smallest, largest): (u32, u32), (normal, over): (u32, u32)) -> (f32, bool) {
    let ((m, e), (limit_m, limit_e)) = (parts(largest), parts(over));
    // The largest exponent that stays below the limit, and the smallest that reaches the other one.
    let most = limit_e - e - i32::from(m >= limit_m);
    let ((m, e), (limit_m, limit_e)) = (parts(smallest), parts(normal));
    let least = limit_e - e + i32::from(m < limit_m);
    // Where one of them must give way, it is the smallest.
    let exponent = 0.max(least).min(most);
    let exponent = exponent.clamp(-126, 127);
    let scale = f32::from_bits(((exponent + 127) as u32) << 23);
    (scale, least <= exponent && exponent <= most)
}
