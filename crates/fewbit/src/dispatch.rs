//! The instruction sets in force: what the CPU has, narrowed once by `FEWBIT_ISA` or by
//! [`limit`]. Decided before the first use and fixed from then on, so that two plans of one program
//! never disagree.

use crate::{Error, Result, Status};
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};
use fewbit_simd::{Isa, IsaError, IsaSet, Supported};

/// Not decided yet.
const UNDECIDED: u32 = u32::MAX;
/// `FEWBIT_ISA` was refused; every later call says so again. The low bits tell why.
const REFUSED: u32 = 1 << 31;
/// With [`REFUSED`]: the name is known but unavailable; the low byte is the missing feature.
const UNAVAILABLE: u32 = 1 << 30;

/// The decision: [`UNDECIDED`], [`REFUSED`] with a reason, or the bits of an [`IsaSet`]. One atomic
/// word is enough because every thread that decides reads the same environment; a race between
/// [`limit`] and a first use is settled by the compare-and-swap.
static DECISION: AtomicU32 = AtomicU32::new(UNDECIDED);

/// What the CPU offers, whatever the limit.
pub fn detected() -> Supported {
    Supported::detect()
}

/// The instruction sets that kernels may use: the CPU's, within `FEWBIT_ISA` or [`limit`]. The first
/// call decides; later ones repeat its answer.
///
/// # Errors
/// [`Status::Isa`] if `FEWBIT_ISA` names an unknown or unavailable instruction set: a limit never
/// falls back silently.
pub fn supported() -> Result<Supported> {
    let decision = match DECISION.load(Ordering::Relaxed) {
        UNDECIDED => decide(from_environment()),
        decided => decided,
    };
    read(decision)
}

/// Limits the instruction sets of this process, as `FEWBIT_ISA` would: `native`, `scalar`, or names
/// separated by commas, each with those it is built on. Replaces `FEWBIT_ISA`.
///
/// # Errors
/// [`Status::Isa`] for an unknown or unavailable name, and after the first use of a different set.
pub fn limit(limit: &str) -> Result<Supported> {
    let supported =
        detected().limited(limit).map_err(|error| refusal("limit", encode_refusal(error)))?;
    let wanted = supported.set().bits();
    if decide(wanted) == wanted {
        Ok(supported)
    } else {
        Err(Error::new(
            Status::Isa,
            "limit",
            "came after the first use of other instruction sets; set it before any other call",
        ))
    }
}

/// Decides anew, whatever was decided. Only the fuzz targets are compiled with this: one process can compare what
/// instruction sets give, if no plan of another decision is alive.
#[cfg(any(fuzzing, feature = "fuzzing"))]
pub fn decide_anew(supported: Supported) {
    DECISION.store(supported.set().bits(), Ordering::Relaxed);
}

/// Stores the decision unless another was first; returns the one in force.
fn decide(decision: u32) -> u32 {
    match DECISION.compare_exchange(UNDECIDED, decision, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => decision,
        Err(earlier) => earlier,
    }
}

fn from_environment() -> u32 {
    // SAFETY: the name is NUL-terminated; getenv returns NULL or a NUL-terminated string that stays
    // valid until the environment changes, and it is only read before this function returns.
    let value = unsafe {
        let value = libc::getenv(c"FEWBIT_ISA".as_ptr());
        if value.is_null() { None } else { Some(CStr::from_ptr(value)) }
    };
    let limited = match value.map(CStr::to_str) {
        None => Ok(detected()),
        Some(Ok("")) => Ok(detected()),
        Some(Ok(limit)) => detected().limited(limit),
        Some(Err(_)) => Err(IsaError::Unknown),
    };
    match limited {
        Ok(supported) => supported.set().bits(),
        Err(error) => encode_refusal(error),
    }
}

fn read(decision: u32) -> Result<Supported> {
    if decision & REFUSED == 0 {
        // SAFETY: a decision without `REFUSED` is the set of a proof, by `from_environment` and
        // `limit`.
        Ok(unsafe { Supported::assume(IsaSet::from_bits(decision)) })
    } else {
        Err(refusal("FEWBIT_ISA", decision))
    }
}

fn encode_refusal(error: IsaError) -> u32 {
    match error {
        IsaError::Unknown => REFUSED,
        IsaError::Unavailable(isa) => REFUSED | UNAVAILABLE | isa as u32,
    }
}

fn refusal(argument: &'static str, decision: u32) -> Error {
    let missing = Isa::ALL.get((decision & 0xff) as usize).map_or("", |isa| isa.name());
    if decision & UNAVAILABLE == 0 {
        Error::new(
            Status::Isa,
            argument,
            "names no known instruction set; use native, scalar, or names separated by commas: \
             avx2, avx512, avx512_vnni, avx512_vbmi, avx512_vpopcntdq, avx512_bf16, avx_vnni, neon, neon_dotprod, neon_i8mm, \
             neon_bf16, neon_fp16",
        )
    } else {
        Error::new(Status::Isa, argument, "needs {}, which this CPU does not have").with(missing)
    }
}
