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
    let shift = code_shift_lhs(unsigned, form);
    let kr = form.kr();
    let whole = k / kr;
    let mut sum = 0i32;
    // SAFETY: called with `group < whole` only: `kr` codes within k.
    let read = |group: usize| unsafe { codes.add(group * kr) };
    let put = |group: usize, bytes: [u8; 4]| {
        // SAFETY: group `group` of row `row` lies in the block, by this function's contract.
        unsafe { block.add((group * rows + row) * 4).cast::<[u8; 4]>().write(bytes) }
    };
    for group in 0..whole {
        let bytes = match form {
            LhsForm::I16 => {
                // SAFETY: two codes, as above.
                let [a, b] = unsafe { read(group).cast::<[u8; 2]>().read() };
                let widen = |c: u8| if unsigned { c as i16 } else { c as i8 as i16 };
                let (a, b) = (widen(a), widen(b));
                sum = sum.wrapping_add(a as i32 + b as i32);
                let ([a0, a1], [b0, b1]) = (a.to_le_bytes(), b.to_le_bytes());
                [a0, a1, b0, b1]
            }
            LhsForm::U8 | LhsForm::S8 => {
                // SAFETY: four codes, as above.
                let codes = unsafe { read(group).cast::<[u8; 4]>().read() };
                // Moving a code by 128 is flipping its top bit.
                let packed = codes.map(|c| if shift == 0 { c } else { c ^ 0x80 });
                let value = |c: u8| if form == LhsForm::U8 { c as i32 } else { c as i8 as i32 };
                let [a, b, c, d] = packed.map(value);
                sum = sum.wrapping_add(a + b + c + d);
                packed
            }
        };
        put(group, bytes);
    }
    if whole * kr < k {
        let mut bytes = [0u8; 4];
        for j in 0..k - whole * kr {
            // SAFETY: `whole * kr + j < k`.
            let code = unsafe { codes.add(whole * kr + j).read() };
            let v = if unsigned { code as i32 } else { code as i8 as i32 } + shift;
            sum = sum.wrapping_add(v);
            let [low, high, ..] = v.to_le_bytes();
            if form == LhsForm::I16 {
                // One of two: the second stays 0.
                bytes = [low, high, 0, 0];
            } else if let Some(byte) = bytes.get_mut(j) {
                *byte = low;
            }
        }
        put(whole, bytes);
    }
    sum
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
    for (group, bytes) in panel.chunks_exact_mut((nr * kr).max(1)).enumerate() {
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
