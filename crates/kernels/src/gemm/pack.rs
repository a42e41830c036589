//! Packing of both operands; see the module's head for the layouts.

use super::tile::{RhsForm, Tile};
use fewbit_simd::dot::LhsForm;
use fewbit_simd::{
    flip_bytes, interleave_bytes, interleave_bytes_of_2, interleave_widened,
    interleave_widened_of_2, widen_bytes,
};

/// What is added to lhs codes, and so to their zero point, when they are packed.
pub const fn code_shift_lhs(unsigned: bool, form: LhsForm) -> i32 {
    match (form, unsigned) {
        (LhsForm::U8, false) => 128,
        // -1 and +1 are 0 and 2.
        (LhsForm::Bits, false) => 1,
        (LhsForm::S8 | LhsForm::S8x8 | LhsForm::S8x16 | LhsForm::S8x32, true) => -128,
        _ => 0,
    }
}

/// What is added to rhs codes from `qmin` on, and so to their zero point, when they are packed: bytes become signed, fewer
/// bits unsigned.
pub const fn code_shift_rhs(rhs: RhsForm, qmin: i32) -> i32 {
    match rhs {
        RhsForm::S8 => -128 - qmin,
        _ => -qmin,
    }
}

/// What flips the codes' top bit where they are moved by 128.
const fn mask(unsigned: bool, form: LhsForm) -> u8 {
    if code_shift_lhs(unsigned, form) == 0 { 0 } else { 0x80 }
}

/// Whether a tile can read codes where they are: they are bytes of the signedness that it wants.
pub const fn is_packed_form(unsigned: bool, form: LhsForm) -> bool {
    match form {
        LhsForm::I16 => false,
        LhsForm::Bits => true,
        _ => code_shift_lhs(unsigned, form) == 0,
    }
}

/// Packs a lhs block of `rows` rows of `k` contiguous codes each: bytes, or, of [`LhsForm::Bits`], bits. The rest of the last
/// group is filled with zeros; of bits, that of the last byte is what it was.
///
/// # Safety
/// `k` codes can be read at `row(r)` for `r < rows`, all at once; `block` written for
/// `k.div_ceil(kr) * rows * form.group_bytes()` bytes.
#[inline]
pub unsafe fn pack_lhs(
    row: impl Fn(usize) -> *const u8,
    rows: usize,
    k: usize,
    unsigned: bool,
    form: LhsForm,
    block: *mut u8,
) {
    let mask = mask(unsigned, form);
    // SAFETY: by this function's contract; bits are bytes of eight codes, four a group, which are moved by none.
    unsafe {
        match form {
            LhsForm::I16 => pack_groups::<2>(&row, (rows, k), unsigned, mask, block),
            LhsForm::U8 | LhsForm::S8 => pack_groups::<4>(&row, (rows, k), unsigned, mask, block),
            LhsForm::S8x8 => pack_groups::<8>(&row, (rows, k), unsigned, mask, block),
            LhsForm::S8x16 => pack_groups::<16>(&row, (rows, k), unsigned, mask, block),
            LhsForm::S8x32 => pack_groups::<32>(&row, (rows, k), unsigned, mask, block),
            LhsForm::Bits => pack_groups::<4>(&row, (rows, k.div_ceil(8)), unsigned, 0, block),
        }
    }
}

/// [`pack_lhs`] of groups of two codes, widened; or of four bytes or more, exclusive-or `mask`. A function for each, so that
/// small blocks do not spend their time on what is known beforehand.
///
/// # Safety
/// As there.
#[inline(never)]
unsafe fn pack_groups<const KR: usize>(
    row: &impl Fn(usize) -> *const u8,
    (rows, k): (usize, usize),
    unsigned: bool,
    mask: u8,
    block: *mut u8,
) {
    let group_bytes = if KR > 4 { KR } else { 4 };
    let widen = |code: u8| if unsigned { code as i16 } else { code as i8 as i16 };
    // Whole groups of four rows, four at a time, ...
    let packed = match KR {
        // SAFETY: by this function's contract.
        2 | 4 => unsafe { pack_quads::<KR>(row, (rows, k), unsigned, mask, block) },
        _ => 0,
    };
    // ... then what is left.
    if packed * KR == k {
        return;
    }
    for r in 0..rows {
        let from = row(r);
        let at = |group: usize| block.wrapping_add((group * rows + r) * group_bytes);
        for group in packed..k / KR {
            // SAFETY: `group < k / KR`: a whole group of codes, and its place in the block.
            unsafe {
                let from = from.add(group * KR);
                if KR >= 8 {
                    let mask = u64::from_ne_bytes([mask; 8]);
                    for eight in (0..KR).step_by(8) {
                        let codes = from.add(eight).cast::<u64>().read_unaligned();
                        at(group).add(eight).cast::<u64>().write_unaligned(codes ^ mask);
                    }
                } else if KR == 4 {
                    let codes = from.cast::<u32>().read_unaligned();
                    let mask = u32::from_ne_bytes([mask; 4]);
                    at(group).cast::<u32>().write_unaligned(codes ^ mask);
                } else {
                    let codes = [widen(from.read()), widen(from.add(1).read())];
                    at(group).cast::<[i16; 2]>().write_unaligned(codes);
                }
            }
        }
        let (group, rest) = (k / KR, k % KR);
        if rest > 0 {
            // SAFETY: `group * KR + j < k` for `j < rest`; the last group's place in the block.
            unsafe {
                let from = from.add(group * KR);
                if KR == 2 {
                    // One of two.
                    at(group).cast::<[i16; 2]>().write_unaligned([widen(from.read()), 0]);
                } else {
                    for j in 0..group_bytes {
                        let code = if j < rest { from.add(j).read() ^ mask } else { 0 };
                        at(group).add(j).write(code);
                    }
                }
            }
        }
    }
}

/// Packs the first groups of all rows, four groups of four rows at a time, and gives their number. What is left of
/// the rows is two of them or one that is alone, or else four again, which overlap those before; three rows alone are
/// four of which the last is there twice: what they write too much is the beginning of the next group, which comes
/// later, so they stop before the last groups.
///
/// # Safety
/// As [`pack_groups`], with groups of 4 bytes.
#[inline(always)]
unsafe fn pack_quads<const KR: usize>(
    row: &impl Fn(usize) -> *const u8,
    (rows, k): (usize, usize),
    unsigned: bool,
    mask: u8,
    block: *mut u8,
) -> usize {
    let widened = KR == 2;
    let whole = k / (4 * KR) * 4;
    let mut packed = whole;
    let mut done = 0;
    while done < rows {
        let at = |group: usize, first: usize| block.wrapping_add((group * rows + first) * 4);
        let left = rows - done;
        // SAFETY: groups `group..group + 4` of the rows exist, and so do their places in the block: those of four rows
        // from `first` on for all groups but, with three rows, the last ones; those of two rows, and of the only one.
        unsafe {
            if left == 1 && rows == 1 {
                let from = row(0);
                for group in (0..whole).step_by(4) {
                    let (from, to) = (from.add(group * KR), at(group, 0));
                    match widened {
                        true => widen_bytes(from, unsigned, to),
                        false => flip_bytes(from, mask, to),
                    }
                }
            } else if left == 2 {
                let from = [row(done), row(done + 1)];
                for group in (0..whole).step_by(4) {
                    let (from, to) = (from.map(|row| row.add(group * KR)), at(group, done));
                    match widened {
                        true => interleave_widened_of_2(from, unsigned, to, 4 * rows),
                        false => interleave_bytes_of_2(from, mask, to, 4 * rows),
                    }
                }
            } else {
                let first = done.min(rows.saturating_sub(4));
                let from = [0, 1, 2, 3].map(|i| row((first + i).min(rows - 1)));
                // The fourth of three rows must not go beyond the block.
                let end = if rows < 4 {
                    whole.min(k.div_ceil(KR).saturating_sub(1) / 4 * 4)
                } else {
                    whole
                };
                for group in (0..end).step_by(4) {
                    let (from, to) = (from.map(|row| row.add(group * KR)), at(group, first));
                    match widened {
                        true => interleave_widened(from, unsigned, to, 4 * rows),
                        false => interleave_bytes(from, mask, to, 4 * rows),
                    }
                }
                packed = packed.min(end);
            }
        }
        done += 4;
    }
    packed
}

/// Σ_k of a row's codes in the packed form.
///
/// # Safety
/// `codes` can be read for `k` bytes, or of [`LhsForm::Bits`] for `k` bits.
pub unsafe fn sum_lhs(codes: *const u8, k: usize, unsigned: bool, form: LhsForm) -> i32 {
    if form == LhsForm::Bits {
        // SAFETY: by this function's contract.
        let ones = unsafe { count_bits(codes, k) };
        return if unsigned { ones } else { ones.wrapping_mul(2) };
    }
    // SAFETY: k codes, by this function's contract; without any, the pointer may be anything.
    let codes = if k == 0 { &[] } else { unsafe { core::slice::from_raw_parts(codes, k) } };
    // Σ of the codes read as unsigned after a flip that keeps their order, then moved to what the
    // packed codes are.
    let order = if unsigned { 0 } else { 0x80 };
    let sum = codes.iter().fold(0u32, |sum, &code| sum.wrapping_add((code ^ order) as u32)) as i32;
    let packed_zero = match form {
        LhsForm::U8 => 0,
        LhsForm::S8 | LhsForm::S8x8 | LhsForm::S8x16 | LhsForm::S8x32 => -128,
        LhsForm::I16 => -(order as i32),
        LhsForm::Bits => 0,
    };
    sum.wrapping_add(packed_zero.wrapping_mul(k as i32))
}

/// Σ_k of a row's packed codes, which lie one behind the other.
///
/// # Safety
/// `row` can be read for `k` codes in the packed form: i16 if the form is, else bytes; not bits.
pub unsafe fn sum_packed(row: *const u8, k: usize, form: LhsForm) -> i32 {
    let add = |sum: i32, i: usize| {
        // SAFETY: one of the k codes.
        let code = unsafe {
            match form {
                LhsForm::U8 => row.add(i).read() as i32,
                LhsForm::I16 => row.cast::<i16>().add(i).read_unaligned() as i32,
                _ => row.add(i).read() as i8 as i32,
            }
        };
        sum.wrapping_add(code)
    };
    (0..k).fold(0, add)
}

/// Bits set among the first `k`.
///
/// # Safety
/// `bits` can be read for `k` bits.
unsafe fn count_bits(bits: *const u8, k: usize) -> i32 {
    // SAFETY: whole bytes of them, by this function's contract; without any, the pointer may be anything.
    let bytes = if k < 8 { &[] } else { unsafe { core::slice::from_raw_parts(bits, k / 8) } };
    let whole = bytes.iter().fold(0, |sum: u32, byte| sum.wrapping_add(byte.count_ones()));
    let rest = match k % 8 {
        0 => 0,
        // SAFETY: the byte that the last bits are in.
        rest => unsafe { bits.add(k / 8).read() & ((1 << rest) - 1) },
    };
    whole.wrapping_add(rest.count_ones()) as i32
}

/// Packs one rhs panel of a tile from a reader of codes (`code(column, k)`, already moved by
/// [`code_shift_rhs`]) and gives each column's Σ. Columns from `columns` on, and the rest of the last group, are zeros.
///
/// `panel` holds `k.div_ceil(kr) * nr * rhs_bytes` bytes and `sums` nr values; anything beyond is left
/// alone.
pub fn pack_rhs(
    code: impl Fn(usize, usize) -> i32,
    columns: usize,
    k: usize,
    tile: &Tile,
    panel: &mut [i8],
    sums: &mut [i32],
) {
    let (nr, kr, bits, bytes) = (tile.nr, tile.lhs.kr(), tile.rhs.bits(), tile.rhs_bytes());
    sums.iter_mut().take(nr).for_each(|sum| *sum = 0);
    let groups = panel.chunks_exact_mut((nr * bytes).max(1)).take(k.div_ceil(kr.max(1)));
    for (group, panel) in groups.enumerate() {
        for (column, values) in panel.chunks_exact_mut(bytes.max(1)).enumerate() {
            let mut sum = 0i32;
            for (j, byte) in values.iter_mut().enumerate() {
                // A byte has one code of each part of the group, the first part's in its lowest bits; or, by bits, eight
                // neighbours.
                *byte = 0;
                for part in 0..8 / bits.max(1) {
                    let within =
                        if tile.lhs == LhsForm::Bits { 8 * j + part } else { part * bytes + j };
                    let i = group * kr + within;
                    let v = if column < columns && i < k { code(column, i) } else { 0 };
                    let stored = match tile.rhs {
                        RhsForm::B1 => v >> 1,
                        RhsForm::BitsBy2 | RhsForm::BitsBy4 => i32::from(v != 0),
                        _ => v,
                    };
                    *byte |= (stored << (part * bits)) as i8;
                    sum = sum.wrapping_add(v);
                }
            }
            if let Some(total) = sums.get_mut(column) {
                *total = total.wrapping_add(sum);
            }
        }
    }
}
