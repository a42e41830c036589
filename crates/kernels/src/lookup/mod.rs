//! Codes through a table of 256: what any function of 8-bit codes to 8-bit codes comes to, an activation in
//! table mode for one.

#[cfg(target_arch = "x86_64")]
use crate::elementwise::row_avx512_vbmi;
use crate::elementwise::rows;
use crate::infos;
use crate::registry::RowInfo;
use fewbit_simd::Lookup;

/// A run of codes.
#[derive(Clone, Copy, Debug)]
pub struct LookupArgs {
    /// 256 codes, one for each byte that a code may be.
    pub table: *const u8,
    /// The codes, as bytes.
    pub src: *const u8,
    /// The codes looked up; may be `src`.
    pub dst: *mut u8,
    /// The number of elements.
    pub n: usize,
}

/// A kernel of this op.
///
/// # Safety
/// The table can be read, and for `i < n` `src + i` read and `dst + i` written; the two runs are the same or do
/// not overlap, and the table overlaps neither.
pub type LookupFn = unsafe fn(&LookupArgs);

rows! {
    /// 8-bit codes to 8-bit codes.
    LOOKUP: LookupFn = "lookup_u8u8", |args: &LookupArgs|, lookup::<V>(args);
    #[cfg(target_arch = "x86_64")]
    row_avx512_vbmi!(LookupFn, "lookup_u8u8", (args: &LookupArgs),
        { let _: Option<V> = None; lookup::<fewbit_simd::Avx512Vbmi>(args) })
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(LOOKUP)
}

/// # Safety
/// As [`LookupFn`], within an entry compiled for `L`.
#[inline(always)]
unsafe fn lookup<L: Lookup>(args: &LookupArgs) {
    let LookupArgs { table, src, dst, n } = *args;
    // SAFETY: by this function's contract; the vectors and then the rest lie within the n codes.
    unsafe {
        let mut done = 0;
        if n >= L::BYTES {
            let entries = L::table(table);
            while n - done >= L::BYTES {
                L::lookup(entries, src.add(done), dst.add(done));
                done += L::BYTES;
            }
        }
        while done < n {
            dst.add(done).write(table.add(src.add(done).read() as usize).read());
            done += 1;
        }
    }
}
