//! Part of a vector, for backends without masked loads: 1 to 15 bytes in power-of-two pieces.
//! No loop, because the compiler would make a call to `memcpy` of it.

/// The `bytes` bytes at `from`, the first one lowest, zero above.
///
/// # Safety
/// `from` is valid for reading `bytes` bytes, `bytes < 16`.
#[inline(always)]
pub(crate) unsafe fn load(from: *const u8, bytes: usize) -> u128 {
    let mut value = 0_u128;
    let mut at = 0;
    // SAFETY: the pieces are disjoint and their sizes add up to `bytes`, which is readable.
    unsafe {
        if bytes & 8 != 0 {
            value = u128::from(from.cast::<u64>().read_unaligned().to_le());
            at = 8;
        }
        if bytes & 4 != 0 {
            let piece = from.add(at).cast::<u32>().read_unaligned().to_le();
            value |= u128::from(piece) << (8 * at);
            at += 4;
        }
        if bytes & 2 != 0 {
            let piece = from.add(at).cast::<u16>().read_unaligned().to_le();
            value |= u128::from(piece) << (8 * at);
            at += 2;
        }
        if bytes & 1 != 0 {
            value |= u128::from(from.add(at).read()) << (8 * at);
        }
    }
    value
}

/// Writes the lowest `bytes` bytes of `value` to `to`, the lowest one first.
///
/// # Safety
/// `to` is valid for writing `bytes` bytes, `bytes < 16`.
#[inline(always)]
pub(crate) unsafe fn store(to: *mut u8, mut value: u128, bytes: usize) {
    let mut at = 0;
    // SAFETY: the pieces are disjoint and their sizes add up to `bytes`, which is writable.
    unsafe {
        if bytes & 8 != 0 {
            to.cast::<u64>().write_unaligned((value as u64).to_le());
            value >>= 64;
            at = 8;
        }
        if bytes & 4 != 0 {
            to.add(at).cast::<u32>().write_unaligned((value as u32).to_le());
            value >>= 32;
            at += 4;
        }
        if bytes & 2 != 0 {
            to.add(at).cast::<u16>().write_unaligned((value as u16).to_le());
            value >>= 16;
            at += 2;
        }
        if bytes & 1 != 0 {
            to.add(at).write(value as u8);
        }
    }
}
