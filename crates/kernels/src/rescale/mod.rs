//! Codes to codes of other parameters: `clamp(round_half_even(f32(q - from_zero_point) * multiplier) +
//! zero_point, qmin, qmax)`, as [`fewbit_scheme::rescale`] defines it; the multiplier is the quotient of
//! the scales. There are only 256 codes: a run of more is looked up in a table of them, where lookups are
//! fast.

#[cfg(target_arch = "x86_64")]
use crate::elementwise::row_avx512_vbmi;
use crate::elementwise::{Step, rows, run};
use crate::infos;
use crate::registry::RowInfo;
use fewbit_simd::{Lanes, Lookup};

/// A run of codes to rescale. Strides are in elements.
#[derive(Clone, Copy, Debug)]
pub struct RescaleArgs {
    /// The codes.
    pub src: *const u8,
    /// Distance of consecutive codes, in elements.
    pub src_stride: usize,
    /// The other codes: elsewhere, or in the same places as the codes themselves.
    pub dst: *mut u8,
    /// Distance of consecutive codes, in elements.
    pub dst_stride: usize,
    /// The number of elements.
    pub n: usize,
    /// The zero point of the codes.
    pub from_zero_point: i32,
    /// `from.scale / to.scale`, not negative; infinity is possible.
    pub multiplier: f32,
    /// The zero point of the other codes, in their range.
    pub zero_point: i32,
}

/// A kernel of this op.
///
/// # Safety
/// For `i < n`, `src + i * src_stride` can be read and `dst + i * dst_stride` written; `dst` is `src`
/// with the same stride, or does not overlap it. With `n = 0` no pointer is used.
pub type RescaleFn = unsafe fn(&RescaleArgs);

rows! {
    /// s8 to s8.
    S8_S8: RescaleFn = "rescale_s8s8", |args: &RescaleArgs|, rescale::<V, V, true>(args);
    #[cfg(target_arch = "x86_64")]
    row_avx512_vbmi!(RescaleFn, "rescale_s8s8", (args: &RescaleArgs),
        rescale::<V, fewbit_simd::Avx512Vbmi, true>(args))
}

rows! {
    /// u8 to u8.
    U8_U8: RescaleFn = "rescale_u8u8", |args: &RescaleArgs|, rescale::<V, V, false>(args);
    #[cfg(target_arch = "x86_64")]
    row_avx512_vbmi!(RescaleFn, "rescale_u8u8", (args: &RescaleArgs),
        rescale::<V, fewbit_simd::Avx512Vbmi, false>(args))
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(S8_S8).chain(infos(U8_U8))
}

/// The codes, one by one, as the table's places.
static CODES: [u8; 256] = {
    let mut codes = [0; 256];
    let mut i = 0;
    while i < codes.len() {
        codes[i] = i as u8;
        i += 1;
    }
    codes
};

/// Elements from which on a table is made, which takes the time of 256.
const TABLE: usize = 512;

/// Multipliers up to this one give integers that are far from overflow, at most 2^28: they are clamped as codes
/// only.
const BOUNDED: f32 = (1 << 20) as f32;

/// # Safety
/// As [`RescaleFn`], within an entry compiled for `V` and `L`.
#[inline(always)]
unsafe fn rescale<V: Lanes, L: Lookup, const SIGNED: bool>(args: &RescaleArgs) {
    let RescaleArgs { src, src_stride, dst, dst_stride, n, .. } = *args;
    let RescaleArgs { from_zero_point, multiplier, zero_point, .. } = *args;
    let (qmin, qmax) = if SIGNED { (-128, 127) } else { (0, 255) };
    let bound = |q: i32| q.wrapping_sub(zero_point) as f32;
    let (low, high) = (bound(qmin), bound(qmax));
    // SAFETY: by this function's contract.
    unsafe {
        let op = Rescale::<V, SIGNED> {
            from_zero_point: V::splat_i32(from_zero_point),
            // Not infinity, which times 0 is no number, where the contract takes it for the zero point. All
            // else is clamped with either.
            multiplier: V::splat_f32(multiplier.min(f32::MAX)),
            low: V::splat_f32(low),
            high: V::splat_f32(high),
            zero_point: V::splat_i32(zero_point),
            bounded: multiplier <= BOUNDED,
        };
        let mut done = 0;
        if L::FAST && src_stride == 1 && dst_stride == 1 && n >= TABLE {
            let mut entries = [0_u8; 256];
            run(&op, CODES.as_ptr(), 1, entries.as_mut_ptr(), 1, entries.len(), None);
            let table = L::table(entries.as_ptr());
            while n - done >= L::BYTES {
                L::lookup(table, src.add(done), dst.add(done));
                done += L::BYTES;
            }
        }
        let (src, dst) = (src.wrapping_add(done * src_stride), dst.wrapping_add(done * dst_stride));
        run(&op, src, src_stride, dst, dst_stride, n - done, None);
    }
}

struct Rescale<V: Lanes, const SIGNED: bool> {
    from_zero_point: V::I32,
    multiplier: V::F32,
    low: V::F32,
    high: V::F32,
    zero_point: V::I32,
    bounded: bool,
}

impl<V: Lanes, const SIGNED: bool> Rescale<V, SIGNED> {
    /// Real steps, not yet rounded.
    ///
    /// # Safety
    /// As [`Step::step`].
    #[inline(always)]
    unsafe fn steps(&self, src: *const u8, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe {
            let q = if SIGNED { V::load_i8(src.cast(), n) } else { V::load_u8(src, n) };
            let steps = V::f32_from_i32(V::sub_i32(q, self.from_zero_point));
            V::mul(steps, self.multiplier)
        }
    }
}

impl<V: Lanes, const SIGNED: bool> Step for Rescale<V, SIGNED> {
    type Src = u8;
    type Dst = u8;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const u8, dst: *mut u8, _first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe {
            let t = V::min(V::max(self.steps(src, n), self.low), self.high);
            V::store_u8(dst, V::add_i32(V::nearest_i32(t), self.zero_point), n);
        }
    }

    #[inline(always)]
    unsafe fn step_4<const STREAM: bool>(
        &self,
        src: *const u8,
        dst: *mut u8,
        _first: usize,
    ) -> bool {
        if !self.bounded {
            return false;
        }
        // SAFETY: by the contract of `Step::step_4`. All is read before anything is written.
        unsafe {
            let steps = [
                V::nearest_i32(self.steps(src, V::LANES)),
                V::nearest_i32(self.steps(src.add(V::LANES), V::LANES)),
                V::nearest_i32(self.steps(src.add(2 * V::LANES), V::LANES)),
                V::nearest_i32(self.steps(src.add(3 * V::LANES), V::LANES)),
            ];
            if SIGNED {
                V::store_s8_sums_of_4::<STREAM>(dst.cast(), steps, self.zero_point);
            } else {
                V::store_u8_sums_of_4::<STREAM>(dst, steps, self.zero_point);
            }
        }
        true
    }
}
