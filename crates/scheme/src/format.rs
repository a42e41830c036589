//! Integer code formats.

/// A format of integer codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntFormat {
    /// Signed 8 bits, -128..=127.
    S8,
    /// Unsigned 8 bits, 0..=255.
    U8,
    /// Signed 16 bits, -32768..=32767.
    S16,
    /// Signed 4 bits, -8..=7, two in a byte.
    S4,
    /// Unsigned 4 bits, 0..=15, two in a byte.
    U4,
    /// Signed 2 bits, -2..=1, four in a byte.
    S2,
    /// One bit, the affine codes 0 and 1, eight in a byte.
    U1,
    /// One bit, binary: code `q` stands for `scale * (2 q - 1)`, so -scale and +scale. No zero
    /// point, no exact zero.
    B1,
}

impl IntFormat {
    /// The smallest code.
    pub const fn qmin(self) -> i32 {
        match self {
            IntFormat::S8 => -128,
            IntFormat::S16 => -32768,
            IntFormat::S4 => -8,
            IntFormat::S2 => -2,
            IntFormat::U8 | IntFormat::U4 | IntFormat::U1 | IntFormat::B1 => 0,
        }
    }
    /// The largest code.
    pub const fn qmax(self) -> i32 {
        self.qmin() + ((1 << self.bits()) - 1)
    }
    /// Bits of a code.
    pub const fn bits(self) -> u32 {
        match self {
            IntFormat::S8 | IntFormat::U8 => 8,
            IntFormat::S16 => 16,
            IntFormat::S4 | IntFormat::U4 => 4,
            IntFormat::S2 => 2,
            IntFormat::U1 | IntFormat::B1 => 1,
        }
    }
}
