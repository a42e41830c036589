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
    let value = |i: usize| -> i32 {
        // SAFETY: `i < k`, by the callers below and this function's contract.
        let code = unsafe { codes.add(i).read() };
        if unsigned { code as i32 + shift } else { code as i8 as i32 + shift }
    };
    let mut sum = 0i32;
    let kr = form.kr();
    let whole = k / kr;
    for group in 0..k.div_ceil(kr) {
        let mut bytes = [0u8; 4];
        let present = if group < whole { kr } else { k - whole * kr };
        match form {
            LhsForm::I16 => {
                for (j, pair) in bytes.chunks_exact_mut(2).enumerate().take(present) {
                    let v = value(group * kr + j);
                    sum = sum.wrapping_add(v);
                    let [low, high] = (v as i16).to_le_bytes();
                    if let [a, b] = pair {
                        (*a, *b) = (low, high);
                    }
                }
            }
            LhsForm::U8 | LhsForm::S8 => {
                for (j, byte) in bytes.iter_mut().enumerate().take(present) {
                    let v = value(group * kr + j);
                    sum = sum.wrapping_add(v);
                    *byte = v as u8;
                }
            }
        }
        // SAFETY: group `group` of row `row` lies in the block, by this function's contract.
        unsafe { block.add((group * rows + row) * 4).cast::<[u8; 4]>().write(bytes) };
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
