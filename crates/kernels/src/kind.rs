//! The two kinds of codes that are bytes, as numbers that a body takes: there is one body for both, and one machine code.

/// How codes become bytes by [`fewbit_simd::Lanes::store_bytes_of_4`]: less `offset` they are s8, whose bits `flip` are
/// flipped.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub offset: i32,
    pub flip: i32,
}

impl Kind {
    /// s8 or u8.
    #[inline(always)]
    pub(crate) fn new(signed: bool) -> Kind {
        if signed {
            Kind { offset: 0, flip: 0 }
        } else {
            Kind { offset: 128, flip: i32::from_ne_bytes([0x80; 4]) }
        }
    }

    /// That of codes within bounds, which are within a kind's: where both kinds have all of them, their bytes are the same.
    #[inline(always)]
    pub(crate) fn of(clamp: (i32, i32)) -> Kind {
        Kind::new(clamp.1 <= 127)
    }
}
