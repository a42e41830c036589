//! Packing of both operands; see the module's head for the layouts.

use fewbit_simd::dot::LhsForm;

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

/// Packs row `row` of a lhs block of `rows` rows from `k` contiguous codes, and gives Σ of the packed
/// codes. The rest of the last group is filled with zeros.
///
/// # Safety
/// `codes` can be read for `k` bytes; `block` written for `k.div_ceil(kr) * rows * 4`; `row < rows`.
pub unsafe fn pack_lhs_row(
    codes: *const u8,
    unsigned: bool,
    k: usize,
    form: LhsForm,
    block: *mut u8,
    row: usize,
    rows: usize,
) -> i32 {
    let kr = form.kr();
    let whole = k / kr;
    // Moving a code by 128 is flipping its top bit.
    let flip = if code_shift_lhs(unsigned, form) == 0 { 0 } else { 0x8080_8080 };
    let put = |group: usize, bytes: u32| {
        // SAFETY: group `group` of row `row` lies in the block, by this function's contract.
        unsafe { block.add((group * rows + row) * 4).cast::<u32>().write_unaligned(bytes) }
    };
    match form {
        LhsForm::U8 | LhsForm::S8 => {
            for group in 0..whole {
                // SAFETY: `group < whole`: four codes within k.
                let four = unsafe { codes.add(group * 4).cast::<u32>().read_unaligned() };
                put(group, four ^ flip);
            }
        }
        LhsForm::I16 => {
            let widen = |code: u8| (if unsigned { code as i16 } else { code as i8 as i16 }) as u16;
            for group in 0..whole {
                // SAFETY: `group < whole`: two codes within k.
                let [a, b] = unsafe { codes.add(group * 2).cast::<[u8; 2]>().read() };
                put(group, u32::from_ne_bytes(pair(widen(a), widen(b))));
            }
        }
    }
    if whole * kr < k {
        let mut bytes = [0u8; 4];
        for j in 0..k - whole * kr {
            // SAFETY: `whole * kr + j < k`.
            let code = unsafe { codes.add(whole * kr + j).read() };
            if form == LhsForm::I16 {
                // One of two: the second stays 0.
                let wide = if unsigned { code as i16 } else { code as i8 as i16 };
                bytes = pair(wide as u16, 0);
            } else if let Some(byte) = bytes.get_mut(j) {
                *byte = code ^ flip as u8;
            }
        }
        put(whole, u32::from_ne_bytes(bytes));
    }
    // SAFETY: k codes, by this function's contract; without any, the pointer may be anything.
    let codes = if k == 0 { &[] } else { unsafe { core::slice::from_raw_parts(codes, k) } };
    // Σ of the codes read as unsigned after a flip that keeps their order, then moved to what the
    // packed codes are: a loop that vectorises, apart from the one above that cannot.
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
fn pair(first: u16, second: u16) -> [u8; 4] {
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
