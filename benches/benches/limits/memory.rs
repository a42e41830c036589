//! Bandwidth: `limit/r4w1/avx512/64Ki` reads 4 bytes and writes 1 for each of 64 Ki elements, with as
//! little work between as possible; `avx512_stream` writes past the caches.

use criterion::{Criterion, SamplingMode, Throughput};
use fewbit::simd::Isa;
use fewbit_benches::{Buffer, SIZES, Traffic, codes};
use fewbit_testkit::limited;
use std::hint::black_box;

/// The size of the tensors in the elementwise benches, beside those of the arrays.
const TENSOR: (&str, usize) = ("16Mi", 1 << 24);

/// Steps of one turn of the loop.
const UNROLL: usize = 4;

/// A vector of an instruction set.
trait Vector {
    type V: Copy;
    const BYTES: usize;
    unsafe fn zero() -> Self::V;
    unsafe fn load(from: *const u8) -> Self::V;
    unsafe fn store(to: *mut u8, v: Self::V);
    /// Stores past the caches; `to` is aligned to `BYTES`.
    unsafe fn stream(to: *mut u8, v: Self::V);
    /// Makes streamed stores visible in order.
    unsafe fn fence();
    unsafe fn or(a: Self::V, b: Self::V) -> Self::V;
}

/// `steps` times, a multiple of [`UNROLL`]: reads R vectors, joins or repeats them, and writes W.
///
/// # Safety
/// Within an entry compiled for `T`; `steps * R` vectors can be read and `steps * W` written, from
/// addresses aligned to a vector on.
#[inline(always)]
unsafe fn pass<T: Vector, const R: usize, const W: usize, const STREAM: bool>(
    mut src: *const u8,
    mut dst: *mut u8,
    steps: usize,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut seen = [T::zero(); UNROLL];
        for _ in 0..steps / UNROLL {
            for seen in &mut seen {
                let mut read = [T::zero(); R];
                for read in &mut read {
                    *read = T::load(src);
                    src = src.add(T::BYTES);
                }
                if W == 0 {
                    for v in read {
                        *seen = T::or(*seen, v);
                    }
                }
                for w in 0..W {
                    let mut v = read[w % R];
                    for v_more in read.iter().skip(w + W).step_by(W.max(1)) {
                        v = T::or(v, *v_more);
                    }
                    if STREAM {
                        T::stream(dst, v)
                    } else {
                        T::store(dst, v)
                    }
                    dst = dst.add(T::BYTES);
                }
            }
        }
        if STREAM {
            T::fence();
        }
        black_box(seen);
    }
}

type Pass = unsafe fn(*const u8, *mut u8, usize);

/// A limit: bits an element, vectors read in a step, and the passes that write to the caches and past
/// them.
type Limit = (Traffic, usize, Pass, Option<Pass>);

/// An instruction set: name, what it needs, bytes of a vector, limits.
struct Machine {
    isa: Isa,
    vector: usize,
    limits: [Limit; 10],
}

/// The limits of a vector type, each compiled with the features named.
macro_rules! machine {
    ($isa:expr, $features:literal, $vector:ty) => {{
        #[target_feature(enable = $features)]
        unsafe fn run<const R: usize, const W: usize, const STREAM: bool>(
            src: *const u8,
            dst: *mut u8,
            steps: usize,
        ) {
            // SAFETY: compiled for the vector; the rest is this function's contract.
            unsafe { pass::<$vector, R, W, STREAM>(src, dst, steps) }
        }
        macro_rules! limit {
            ($read:literal, $write:literal, $r:literal, $w:literal) => {{
                let stream: Option<Pass> = if $w == 0 { None } else { Some(run::<$r, $w, true>) };
                (Traffic { read: $read, write: $write }, $r, run::<$r, $w, false> as Pass, stream)
            }};
        }
        // Bits of an element, and the same ratio in vectors.
        let limits = [
            limit!(32, 0, 1, 0),
            limit!(32, 32, 1, 1),
            limit!(32, 8, 4, 1),
            limit!(8, 32, 1, 4),
            limit!(32, 16, 2, 1),
            limit!(16, 32, 1, 2),
            limit!(64, 32, 2, 1),
            limit!(8, 8, 1, 1),
            limit!(32, 4, 8, 1),
            limit!(4, 32, 1, 8),
        ];
        Machine { isa: $isa, vector: <$vector as Vector>::BYTES, limits }
    }};
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use super::*;
    use core::arch::x86_64::*;

    macro_rules! vector {
        ($name:ident, $v:ty, $zero:ident, $load:ident, $store:ident, $stream:ident, $or:ident) => {
            pub struct $name;
            // In each: SAFETY: the caller is compiled for the instruction set, and has the memory.
            impl Vector for $name {
                type V = $v;
                const BYTES: usize = size_of::<$v>();
                #[inline(always)]
                unsafe fn zero() -> $v {
                    // SAFETY: as above.
                    unsafe { $zero() }
                }
                #[inline(always)]
                unsafe fn load(from: *const u8) -> $v {
                    // SAFETY: as above.
                    unsafe { $load(from.cast()) }
                }
                #[inline(always)]
                unsafe fn store(to: *mut u8, v: $v) {
                    // SAFETY: as above.
                    unsafe { $store(to.cast(), v) }
                }
                #[inline(always)]
                unsafe fn stream(to: *mut u8, v: $v) {
                    // SAFETY: as above, and aligned; `fence` follows.
                    unsafe { $stream(to.cast(), v) }
                }
                #[inline(always)]
                unsafe fn fence() {
                    // SAFETY: every x86-64 CPU has it.
                    unsafe { _mm_sfence() }
                }
                #[inline(always)]
                unsafe fn or(a: $v, b: $v) -> $v {
                    // SAFETY: as above.
                    unsafe { $or(a, b) }
                }
            }
        };
    }
    vector!(
        Zmm,
        __m512i,
        _mm512_setzero_si512,
        _mm512_loadu_si512,
        _mm512_storeu_si512,
        _mm512_stream_si512,
        _mm512_or_si512
    );
    vector!(
        Ymm,
        __m256i,
        _mm256_setzero_si256,
        _mm256_loadu_si256,
        _mm256_storeu_si256,
        _mm256_stream_si256,
        _mm256_or_si256
    );

    pub fn machines() -> [Machine; 2] {
        [
            machine!(Isa::Avx512, "avx512f,avx512bw,avx512dq,avx512vl", Zmm),
            machine!(Isa::Avx2, "avx2", Ymm),
        ]
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    use super::*;
    use core::arch::aarch64::*;
    use core::arch::asm;

    /// Two registers, as `ldp` and `stp` move them.
    pub struct Pair;

    // In each: SAFETY: NEON is part of the architecture; the caller has the memory.
    impl Vector for Pair {
        type V = uint8x16x2_t;
        const BYTES: usize = 32;
        #[inline(always)]
        unsafe fn zero() -> uint8x16x2_t {
            // SAFETY: as above.
            unsafe { uint8x16x2_t(vdupq_n_u8(0), vdupq_n_u8(0)) }
        }
        #[inline(always)]
        unsafe fn load(from: *const u8) -> uint8x16x2_t {
            // SAFETY: as above.
            unsafe { uint8x16x2_t(vld1q_u8(from), vld1q_u8(from.add(16))) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut u8, v: uint8x16x2_t) {
            // SAFETY: as above.
            unsafe {
                vst1q_u8(to, v.0);
                vst1q_u8(to.add(16), v.1);
            }
        }
        #[inline(always)]
        unsafe fn stream(to: *mut u8, v: uint8x16x2_t) {
            // SAFETY: as above; 32 bytes are written and nothing else is touched.
            unsafe {
                asm!("stnp {0:q}, {1:q}, [{2}]", in(vreg) v.0, in(vreg) v.1, in(reg) to,
                     options(nostack, preserves_flags));
            }
        }
        #[inline(always)]
        unsafe fn fence() {}
        #[inline(always)]
        unsafe fn or(a: uint8x16x2_t, b: uint8x16x2_t) -> uint8x16x2_t {
            // SAFETY: as above.
            unsafe { uint8x16x2_t(vorrq_u8(a.0, b.0), vorrq_u8(a.1, b.1)) }
        }
    }

    pub fn machines() -> [Machine; 1] {
        [machine!(Isa::Neon, "neon", Pair)]
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod arch {
    pub fn machines() -> [super::Machine; 0] {
        []
    }
}

pub fn bench(c: &mut Criterion) {
    let sizes = [SIZES.as_slice(), &[TENSOR]].concat();
    let largest = sizes.iter().map(|&(_, n)| n).max().unwrap_or(0);
    // Of the limit that reads most, and of that which writes most. No zeros: caches may treat them
    // apart.
    let src = Buffer::repeated(&codes(1 << 16), 8 * largest);
    let mut dst = Buffer::new(4 * largest);
    for machine in arch::machines() {
        if !limited().has(machine.isa.closure()) {
            continue;
        }
        for (traffic, vectors, plain, stream) in machine.limits {
            for (pass, suffix) in [(Some(plain), ""), (stream, "_stream")] {
                let Some(pass) = pass else { continue };
                let kernel = format!("{}{suffix}", machine.isa.name());
                let mut group = c.benchmark_group(format!("limit/{}/{kernel}", traffic.name()));
                for &(size, n) in &sizes {
                    let steps = n * traffic.read / 8 / (vectors * machine.vector);
                    assert!(steps > 0 && steps.is_multiple_of(UNROLL));
                    group.throughput(Throughput::Bytes(traffic.bytes(n)));
                    if n > 1 << 22 {
                        group.sampling_mode(SamplingMode::Flat).sample_size(10);
                    }
                    group.bench_function(size, |b| {
                        let src = src.bytes().as_ptr();
                        let dst = dst.bytes_mut().as_mut_ptr();
                        // SAFETY: the CPU has the features; the buffers hold the largest size, and
                        // begin on pages.
                        b.iter(|| unsafe { pass(src, dst, steps) });
                    });
                }
                group.finish();
            }
        }
    }
}
