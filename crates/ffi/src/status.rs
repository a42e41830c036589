//! Statuses, and the sentence that explains one.

use core::ffi::{CStr, c_char};
use fewbit::{Error, Value};

/// What a call returns: FEWBIT_OK or one of FEWBIT_ERROR_*.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type fewbit_status = i32;

/// The call did what it says.
pub const FEWBIT_OK: i32 = 0;
/// A required pointer is NULL.
pub const FEWBIT_ERROR_NULL_POINTER: i32 = 1;
/// A value is outside its documented range.
pub const FEWBIT_ERROR_INVALID_ARGUMENT: i32 = 2;
/// The combination is well formed but not implemented.
pub const FEWBIT_ERROR_UNSUPPORTED: i32 = 3;
/// A buffer or workspace is smaller than the call needs.
pub const FEWBIT_ERROR_BUFFER_TOO_SMALL: i32 = 4;
/// A pointer is not aligned as documented.
pub const FEWBIT_ERROR_MISALIGNED: i32 = 5;
/// Buffers overlap where that is forbidden, or an output's elements overlap each other.
pub const FEWBIT_ERROR_OVERLAP: i32 = 6;
/// An int32 sum could overflow: the result would not be exact.
pub const FEWBIT_ERROR_LIMIT_EXCEEDED: i32 = 7;
/// The allocator returned NULL.
pub const FEWBIT_ERROR_OUT_OF_MEMORY: i32 = 8;
/// The instruction-set limit (FEWBIT_ISA, fewbit_set_isa) is unknown, unavailable, or came too late.
pub const FEWBIT_ERROR_ISA: i32 = 9;
/// A state that the library's own checks exclude: a bug in fewbit.
pub const FEWBIT_ERROR_INTERNAL: i32 = 10;

/// Why a call was refused; owned by the caller, written by the call that it is passed to. Both texts end
/// with NUL, and are cut where they do not fit.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_error {
    /// The status that the call returned.
    pub status: fewbit_status,
    /// The offending argument, e.g. "desc.weights.scales"; empty after success.
    pub argument: [c_char; 44],
    /// A sentence that names the argument and shows the value; empty after success.
    pub message: [c_char; 208],
}

/// A fixed English text for a status; "unknown status" for any other number. Never NULL, never freed.
/// Callable from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn fewbit_status_string(status: fewbit_status) -> *const c_char {
    let text: &CStr = match status {
        FEWBIT_OK => c"ok",
        FEWBIT_ERROR_NULL_POINTER => c"a required pointer is NULL",
        FEWBIT_ERROR_INVALID_ARGUMENT => c"a value is outside its range",
        FEWBIT_ERROR_UNSUPPORTED => c"the combination is not implemented",
        FEWBIT_ERROR_BUFFER_TOO_SMALL => c"a buffer is too small",
        FEWBIT_ERROR_MISALIGNED => c"a pointer is misaligned",
        FEWBIT_ERROR_OVERLAP => c"buffers overlap",
        FEWBIT_ERROR_LIMIT_EXCEEDED => c"a sum could leave int32",
        FEWBIT_ERROR_OUT_OF_MEMORY => c"out of memory",
        FEWBIT_ERROR_ISA => c"the instruction-set limit is wrong",
        FEWBIT_ERROR_INTERNAL => c"internal error",
        _ => c"unknown status",
    };
    text.as_ptr()
}

/// Writes a result into the caller's error, if there is one, and gives its status.
///
/// # Safety
/// `error` is NULL or can be written.
pub(crate) unsafe fn finish(result: Result<(), Error>, error: *mut fewbit_error) -> fewbit_status {
    let status = match &result {
        Ok(()) => FEWBIT_OK,
        Err(error) => error.status as i32,
    };
    if !error.is_null() {
        let mut filled = fewbit_error { status, argument: [0; 44], message: [0; 208] };
        if let Err(error) = &result {
            let mut argument = Text::new(&mut filled.argument);
            argument.text(error.argument);
            let mut message = Text::new(&mut filled.message);
            message.text(error.argument);
            message.text(" ");
            error.pieces().for_each(|piece| message.value(piece));
        }
        // SAFETY: by this function's contract; the write does not need alignment.
        unsafe { error.write_unaligned(filled) };
    }
    status
}

/// A text being written into a fixed buffer whose last byte stays NUL. (Not `core::fmt`, whose code is
/// larger than the rest of the library's error handling and holds panic paths.)
struct Text<'a> {
    free: core::slice::IterMut<'a, c_char>,
}

impl<'a> Text<'a> {
    fn new(buffer: &'a mut [c_char]) -> Text<'a> {
        let end = buffer.len().saturating_sub(1);
        let (writable, _) = buffer.split_at_mut_checked(end).unwrap_or_default();
        Text { free: writable.iter_mut() }
    }

    fn byte(&mut self, byte: u8) {
        if let Some(slot) = self.free.next() {
            *slot = byte as c_char;
        }
    }

    fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
    }

    fn value(&mut self, value: Value) {
        match value {
            Value::None => {}
            Value::Text(text) => self.text(text),
            Value::Size(v) => self.digits(v as u64),
            Value::Int(v) => {
                if v < 0 {
                    self.byte(b'-');
                }
                self.digits(v.unsigned_abs());
            }
            Value::Real(v) => self.real(v),
        }
    }

    fn digits(&mut self, v: u64) {
        // From the highest power of ten down; 20 digits hold any u64.
        let mut power = 10_000_000_000_000_000_000u64;
        let mut started = false;
        while power > 0 {
            let digit = (v / power % 10) as u8;
            started |= digit != 0 || power == 1;
            if started {
                self.byte(b'0' + digit);
            }
            power /= 10;
        }
    }

    /// Six significant digits: plain from 1e-4 to 1e6, otherwise with an exponent.
    fn real(&mut self, v: f64) {
        if v.is_nan() {
            return self.text("NaN");
        }
        if v.is_sign_negative() {
            self.byte(b'-');
        }
        let v = v.abs();
        if v == f64::INFINITY {
            return self.text("infinity");
        }
        if v == 0.0 {
            return self.text("0");
        }
        // v = mantissa * 10^exponent with mantissa in 1..10.
        let (mut mantissa, mut exponent) = (v, 0i32);
        while mantissa >= 10.0 {
            mantissa /= 10.0;
            exponent += 1;
        }
        while mantissa < 1.0 {
            mantissa *= 10.0;
            exponent -= 1;
        }
        let mut significant = (mantissa * 100_000.0 + 0.5) as u64;
        if significant >= 1_000_000 {
            significant /= 10;
            exponent += 1;
        }
        if (-4..6).contains(&exponent) {
            self.decimal(significant, exponent);
        } else {
            self.decimal(significant, 0);
            self.byte(b'e');
            self.value(Value::Int(exponent as i64));
        }
    }

    /// Six digits with the point behind digit `exponent` (counted from 0), zeros at the end dropped.
    fn decimal(&mut self, significant: u64, exponent: i32) {
        if exponent < 0 {
            self.text("0.");
            (exponent + 1..0).for_each(|_| self.byte(b'0'));
        }
        let mut rest = significant;
        let mut power = 100_000u64;
        let mut place = 0i32;
        while power > 0 && (rest > 0 || place <= exponent) {
            if place == exponent + 1 && exponent >= 0 {
                self.byte(b'.');
            }
            self.byte(b'0' + (rest / power % 10) as u8);
            rest %= power;
            power /= 10;
            place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewbit::Status;
    use std::string::{String, ToString};

    fn written(value: Value) -> String {
        let error = Error {
            values: [value, Value::None, Value::None],
            ..Error::new(Status::Internal, "x", "is {}")
        };
        let mut out = fewbit_error { status: 0, argument: [1; 44], message: [1; 208] };
        // SAFETY: a valid place.
        assert_eq!(unsafe { finish(Err(error), &mut out) }, FEWBIT_ERROR_INTERNAL);
        text(&out.message).strip_prefix("x is ").unwrap().to_string()
    }

    fn text(buffer: &[c_char]) -> String {
        buffer.iter().take_while(|&&c| c != 0).map(|&c| c as u8 as char).collect()
    }

    #[test]
    fn numbers_are_readable() {
        for (v, expected) in [
            (0.0, "0"),
            (-0.5, "-0.5"),
            (1.0, "1"),
            (10.0, "10"),
            (123456.0, "123456"),
            (0.00025, "0.00025"),
            (0.1f32 as f64, "0.1"),
            (1e-38, "1e-38"),
            (9.999999, "10"),
            (2.5e20, "2.5e20"),
            (f64::INFINITY, "infinity"),
            (f64::NEG_INFINITY, "-infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(written(Value::Real(v)), expected);
        }
        assert_eq!(written(Value::Size(usize::MAX)), usize::MAX.to_string());
        assert_eq!(written(Value::Size(0)), "0");
        assert_eq!(written(Value::Int(i64::MIN)), i64::MIN.to_string());
        assert_eq!(written(Value::Text("avx2")), "avx2");
    }

    #[test]
    fn long_sentences_are_cut_and_end_with_nul() {
        let long: &'static str =
            "0123456789012345678901234567890123456789012345678901234567890123456789";
        let error = Error::new(Status::Internal, long, "{}{}{}").with(long).with(long).with(long);
        let mut out = fewbit_error { status: 0, argument: [1; 44], message: [1; 208] };
        // SAFETY: a valid place.
        unsafe { finish(Err(error), &mut out) };
        assert_eq!((text(&out.argument).len(), text(&out.message).len()), (43, 207));
        // SAFETY: a valid place.
        assert_eq!(unsafe { finish(Ok(()), &mut out) }, FEWBIT_OK);
        assert_eq!((text(&out.argument), text(&out.message)), (String::new(), String::new()));
    }
}
