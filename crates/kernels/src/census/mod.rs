//! Counts of magnitudes: what [`fewbit_scheme::hazards`] tells the hazards of 16-bit formats from.
//!
//! Magnitudes are compared as integers. Each limit has a vector of counts, which are added up before they could wrap.

use crate::elementwise::rows;
use crate::infos;
use crate::registry::RowInfo;
use fewbit_scheme::hazards::{Census, LIMITS};
use fewbit_simd::Lanes;

/// Counts `n` numbers, as [`Census::see`] does each.
///
/// # Safety
/// `n` f32 can be read; they need not be aligned. With `n = 0` the pointer is not used.
pub type CensusFn = unsafe fn(*const f32, usize) -> Census;

rows! {
    /// Counts f32.
    CENSUS_F32: CensusFn = "census_f32", |src: *const f32, n: usize| -> Census, census::<V>(src, n)
}

/// The rows of this op's table.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(CENSUS_F32)
}

/// Vectors whose counts are added up in lanes: with 16 lanes a sum stays within i32.
const PART: usize = 1 << 20;

/// What lanes have seen.
struct Lanewise<V: Lanes> {
    above: [V::I32; LIMITS.len()],
    largest: V::I32,
    smallest: V::I32,
}

impl<V: Lanes> Lanewise<V> {
    /// Sees a vector; lanes without a number are 0, which adds to no count and is no extreme.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    unsafe fn see(&mut self, v: V::F32) {
        // SAFETY: by this function's contract.
        unsafe {
            let (zero, all) = (V::splat_i32(0), V::splat_i32(-1));
            let magnitude = V::and_i32(V::bits(v), V::splat_i32(i32::MAX));
            for (above, &limit) in self.above.iter_mut().zip(&LIMITS) {
                // -1 for a magnitude above the limit.
                let is_above = V::select_gt(magnitude, V::splat_i32(limit as i32), all, zero);
                *above = V::sub_i32(*above, is_above);
            }
            let finite = V::select_gt(magnitude, V::splat_i32(0x7F7F_FFFF), zero, magnitude);
            self.largest = V::max_i32(self.largest, finite);
            let nonzero = V::select_gt(magnitude, zero, magnitude, V::splat_i32(i32::MAX));
            self.smallest = V::min_i32(self.smallest, nonzero);
        }
    }
}

/// # Safety
/// As [`CensusFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn census<V: Lanes>(src: *const f32, n: usize) -> Census {
    let mut census = Census { count: n as u64, ..Census::EMPTY };
    // SAFETY: by this function's contract.
    unsafe {
        let mut first = 0;
        while first < n {
            let end = n.min(first + PART * V::LANES);
            let mut seen = Lanewise::<V> {
                above: [V::splat_i32(0); LIMITS.len()],
                largest: V::splat_i32(0),
                smallest: V::splat_i32(i32::MAX),
            };
            while end - first >= V::LANES {
                seen.see(V::load_f32(src.add(first), V::LANES));
                first += V::LANES;
            }
            if first < end {
                seen.see(V::load_f32(src.add(first), end - first));
                first = end;
            }
            for (above, counts) in census.above.iter_mut().zip(seen.above) {
                *above += V::sum_across_i32(counts) as u64;
            }
            census.largest = census.largest.max(V::max_across_i32(seen.largest) as u32);
            let smallest = V::min_across_i32(seen.smallest) as u32;
            if census.above.first().is_some_and(|&any| any > 0) {
                census.smallest = census.smallest.min(smallest);
            }
        }
    }
    census
}
