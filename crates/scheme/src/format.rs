//! Formats of codes, and of the real numbers on the other side of them.

/// A format of real numbers that become codes, and that codes become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RealFormat {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// bfloat16.
    Bf16,
}

impl RealFormat {
    /// Every format.
    pub const ALL: [RealFormat; 3] = [RealFormat::F32, RealFormat::F16, RealFormat::Bf16];

    /// Bytes of a number.
    pub const fn size(self) -> usize {
        match self {
            RealFormat::F32 => 4,
            RealFormat::F16 | RealFormat::Bf16 => 2,
        }
    }
}

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
    /// One bit, binary: the codes -1 and +1, stored as 0 and 1; -scale and +scale. No zero point, no
    /// exact zero.
    B1,
}

impl IntFormat {
    /// Every format.
    pub const ALL: [IntFormat; 8] = [
        IntFormat::S8,
        IntFormat::U8,
        IntFormat::S16,
        IntFormat::S4,
        IntFormat::U4,
        IntFormat::S2,
        IntFormat::U1,
        IntFormat::B1,
    ];

    /// The smallest code.
    pub const fn qmin(self) -> i32 {
        match self {
            IntFormat::S8 => -128,
            IntFormat::S16 => -32768,
            IntFormat::S4 => -8,
            IntFormat::S2 => -2,
            IntFormat::B1 => -1,
            IntFormat::U8 | IntFormat::U4 | IntFormat::U1 => 0,
        }
    }
    /// The largest code.
    pub const fn qmax(self) -> i32 {
        match self {
            IntFormat::S8 => 127,
            IntFormat::U8 => 255,
            IntFormat::S16 => 32767,
            IntFormat::S4 => 7,
            IntFormat::U4 => 15,
            IntFormat::S2 | IntFormat::U1 | IntFormat::B1 => 1,
        }
    }

    /// Codes that a byte holds; 1 for codes of a byte or more.
    pub const fn codes_per_byte(self) -> usize {
        match self {
            IntFormat::S8 | IntFormat::U8 | IntFormat::S16 => 1,
            IntFormat::S4 | IntFormat::U4 => 2,
            IntFormat::S2 => 4,
            IntFormat::U1 | IntFormat::B1 => 8,
        }
    }

    /// The code of real 0 under a zero point: what pads packed rows. `B1` has none; its pad is -1,
    /// the bit 0.
    pub const fn zero_code(self, zero_point: i32) -> i32 {
        match self {
            IntFormat::B1 => -1,
            _ => zero_point,
        }
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
