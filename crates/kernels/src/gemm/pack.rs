//! Packing of both operands; see the module's head for the layouts.

use fewbit_simd::dot::LhsForm;
use fewbit_simd::{interleave_bytes, interleave_widened};

/// What is added to lhs codes, and so to their zero point, when they are packed.
pub const fn code_shift_lhs(unsigned: bool, form: LhsForm) -> i32 {
    match (form, unsigned) {
        (LhsForm::U8, false) => 128,
        (LhsForm::S8, true) => -128,
        _ => 0,
    }
}

/// What is added to rhs codes, and so to their zero point, when they are packed.
pub const fn code_shift_rhs(unsigned: bool) -> i32 {
    if unsigned { -128 } else { 0 }
}

/// What flips the codes' top bit where they are moved by 128.
const fn mask(unsigned: bool, form: LhsForm) -> u8 {
    if code_shift_lhs(unsigned, form) == 0 { 0 } else { 0x80 }
}

/// Whether a tile can read codes where they are: they are bytes of the signedness that it wants.
pub const fn is_packed_form(unsigned: bool, form: LhsForm) -> bool {
    !matches!(form, LhsForm::I16) && code_shift_lhs(unsigned, form) == 0
}

/// Packs a lhs block of `rows` rows of `k` contiguous codes each. The rest of the last group is filled
/// with zeros.
///
/// # Safety
/// `k` codes can be read at `row(r)` for `r < rows`, all at once; `block` written for
/// `k.div_ceil(kr) * rows * 4` bytes.
pub unsafe fn pack_lhs(
    row: impl Fn(usize) -> *const u8,
    rows: usize,
    k: usize,
    unsigned: bool,
    form: LhsForm,
    block: *mut u8,
) {
    let kr = form.kr();
    let mask = mask(unsigned, form);
    // Four groups of four rows at a time, ...
    let quads = rows / 4;
    let whole = k / (4 * kr) * 4;
    for quad in 0..quads {
        let from = [0, 1, 2, 3].map(|i| row(4 * quad + i));
        let mut group = 0;
        while group < whole {
            // SAFETY: groups `group..group + 4` of four rows exist on both sides.
            unsafe {
                let from = from.map(|row| row.add(group * kr));
                let to = block.add((group * rows + 4 * quad) * 4);
                match form {
                    LhsForm::U8 | LhsForm::S8 => interleave_bytes(from, mask, to, 4 * rows),
                    LhsForm::I16 => interleave_widened(from, unsigned, to, 4 * rows),
                }
            }
            group += 4;
        }
    }
    // ... then what is left of rows, and of groups.
    let put = |r: usize, group: usize, bytes: [u8; 4]| {
        // SAFETY: a group of a row of the block, by this function's contract.
        unsafe { block.add((group * rows + r) * 4).cast::<[u8; 4]>().write_unaligned(bytes) }
    };
    let widen = |code: u8| if unsigned { code as i16 } else { code as i8 as i16 };
    for r in 0..rows {
        let from = row(r);
        let first = if r < 4 * quads { whole } else { 0 };
        for group in first..k / kr {
            // SAFETY: `group < k / kr`: a whole group of codes.
            let bytes = unsafe {
                let from = from.add(group * kr);
                match form {
                    LhsForm::U8 | LhsForm::S8 => {
                        from.cast::<[u8; 4]>().read_unaligned().map(|code| code ^ mask)
                    }
                    LhsForm::I16 => pair(widen(from.read()), widen(from.add(1).read())),
                }
            };
            put(r, group, bytes);
        }
        if !k.is_multiple_of(kr) {
            let group = k / kr;
            let mut bytes = [0u8; 4];
            for (j, byte) in bytes.iter_mut().enumerate().take(k % kr) {
                // SAFETY: `group * kr + j < k`.
                let code = unsafe { from.add(group * kr + j).read() };
                *byte = code ^ mask;
                if form == LhsForm::I16 {
                    // One of two: the second stays 0.
                    bytes = pair(widen(code), 0);
                    break;
                }
            }
            put(r, group, bytes);
        }
    }
}

/// Σ_k of a row's codes in the packed form.
///
/// # Safety
/// `codes` can be read for `k` bytes.
pub unsafe fn sum_lhs(codes: *const u8, k: usize, unsigned: bool, form: LhsForm) -> i32 {
    // SAFETY: k codes, by this function's contract; without any, the pointer may be anything.
    let codes = if k == 0 { &[] } else { unsafe { core::slice::from_raw_parts(codes, k) } };
    // Σ of the codes read as unsigned after a flip that keeps their order, then moved to what the
    // packed codes are.
    let order = if unsigned { 0 } else { 0x80 };
    let sum = codes.iter().fold(0u32, |sum, &code| sum.wrapping_add((code ^ order) as u32)) as i32;
    let packed_zero = match form {
        LhsForm::U8 => 0,
        LhsForm::S8 => -128,
        LhsForm::I16 => -(order as i32),
    };
    sum.wrapping_add(packed_zero.wrapping_mul(k as i32))
}

/// Two i16 as their bytes in memory.
fn pair(first: i16, second: i16) -> [u8; 4] {
    let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
    [a, b, c, d]
}

/// Packs one rhs panel from a reader of codes (`code(column, k)`, already moved to signed bytes) and
/// gives each column's Σ. Columns from `columns` on, and the rest of the last group, are zeros.
///
/// `panel` holds `k.div_ceil(kr) * nr * kr` bytes and `sums` nr values; anything beyond is left
/// alone.
pub fn pack_rhs(
    code: impl Fn(usize, usize) -> i32,
    columns: usize,
    k: usize,
    nr: usize,
    form: LhsForm,
    panel: &mut [i8],
    sums: &mut [i32],
) {
    let kr = form.kr();
    sums.iter_mut().take(nr).for_each(|sum| *sum = 0);
    let groups = panel.chunks_exact_mut((nr * kr).max(1)).take(k.div_ceil(kr.max(1)));
    for (group, bytes) in groups.enumerate() {
        for (column, values) in bytes.chunks_exact_mut(kr).enumerate() {
            for (j, byte) in values.iter_mut().enumerate() {
                let i = group * kr + j;
                let v = if column < columns && i < k { code(column, i) } else { 0 };
                *byte = v as i8;
                if let Some(sum) = sums.get_mut(column) {
                    *sum = sum.wrapping_add(v);
                }
            }
        }
    }
}
