//! Why a call was refused: a status, the argument's name, and a sentence with the offending value.
//! An error is a plain value: no allocation, no thread-local state, no lifetime rules.

use core::fmt;

/// What kind of refusal. The numbers are those of the C ABI and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Status {
    /// A required pointer is NULL.
    NullPointer = 1,
    /// A value is outside its documented range.
    InvalidArgument = 2,
    /// The combination is well formed but not implemented.
    Unsupported = 3,
    /// A buffer or workspace is smaller than the call needs.
    BufferTooSmall = 4,
    /// A buffer is not aligned as documented.
    Misaligned = 5,
    /// Buffers overlap where that is forbidden, or an output's elements overlap each other.
    Overlap = 6,
    /// An int32 accumulator could overflow: the sum would not be exact.
    LimitExceeded = 7,
    /// The allocator returned NULL.
    OutOfMemory = 8,
    /// The instruction-set limit names something unknown or unavailable, or came too late.
    Isa = 9,
    /// A state that the library's own checks exclude: a bug in fewbit.
    Internal = 10,
}

/// A value shown in an error's sentence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Nothing: the slot is unused.
    None,
    /// A size, count or index.
    Size(usize),
    /// A signed integer.
    Int(i64),
    /// A real number.
    Real(f64),
    /// A fixed text, such as an instruction set's name.
    Text(&'static str),
}

impl From<usize> for Value {
    fn from(v: usize) -> Self {
        Value::Size(v)
    }
}
impl From<i32> for Value {
    fn from(v: i32) -> Self {
        Value::Int(v as i64)
    }
}
impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Value::Int(v)
    }
}
impl From<f32> for Value {
    fn from(v: f32) -> Self {
        Value::Real(v as f64)
    }
}
impl From<&'static str> for Value {
    fn from(v: &'static str) -> Self {
        Value::Text(v)
    }
}

/// A refused call. Outputs are untouched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Error {
    /// The kind.
    pub status: Status,
    /// The offending argument, as named in the C header, e.g. `desc.weight_scales`.
    pub argument: &'static str,
    /// The sentence after the argument's name; each `{}` stands for the next of `values`.
    pub text: &'static str,
    /// What the holes of `text` show, in order: at most three.
    pub values: [Value; 3],
}

/// The result of every fallible call.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// A refusal of `argument`, said by `text` without values.
    pub const fn new(status: Status, argument: &'static str, text: &'static str) -> Error {
        Error { status, argument, text, values: [Value::None; 3] }
    }

    /// The same refusal with the next unused hole filled.
    #[must_use]
    pub fn with(mut self, value: impl Into<Value>) -> Error {
        if let Some(slot) = self.values.iter_mut().find(|v| matches!(v, Value::None)) {
            *slot = value.into();
        }
        self
    }

    /// The sentence as a sequence of pieces: fixed text and the values that fill its holes. The C
    /// ABI writes these into the caller's buffer without `core::fmt`.
    pub fn pieces(&self) -> impl Iterator<Item = Value> + '_ {
        let mut rest = self.text;
        let mut values = self.values.iter();
        let mut pending = None;
        core::iter::from_fn(move || {
            if let Some(value) = pending.take() {
                return Some(value);
            }
            if rest.is_empty() {
                return None;
            }
            // By hand: searching a `str` leaves a panic path in the code.
            let hole = rest.as_bytes().windows(2).position(|pair| pair == b"{}");
            let split = hole.and_then(|at| Some((rest.get(..at)?, rest.get(at + 2..)?)));
            match split {
                Some((before, after)) => {
                    rest = after;
                    pending = values.next().copied();
                    Some(Value::Text(before))
                }
                None => {
                    let last = rest;
                    rest = "";
                    Some(Value::Text(last))
                }
            }
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.argument)?;
        self.pieces().try_for_each(|piece| match piece {
            Value::None => Ok(()),
            Value::Size(v) => write!(f, "{v}"),
            Value::Int(v) => write!(f, "{v}"),
            Value::Real(v) => write!(f, "{v}"),
            Value::Text(v) => f.write_str(v),
        })
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_sentence_names_argument_and_values() {
        let error =
            Error::new(Status::InvalidArgument, "axis", "is {}, but the tensor has rank {}")
                .with(5usize)
                .with(4usize);
        assert_eq!(error.to_string(), "axis is 5, but the tensor has rank 4");
    }

    #[test]
    fn holes_at_the_ends_and_side_by_side() {
        let error =
            Error::new(Status::InvalidArgument, "x", "{}{} and {}").with(1usize).with(-2i32);
        assert_eq!(error.to_string(), "x 1-2 and ");
        assert_eq!(Error::new(Status::Internal, "x", "").to_string(), "x ");
    }

    #[test]
    fn more_values_than_slots_are_dropped() {
        let mut error = Error::new(Status::InvalidArgument, "x", "{} {} {}{}");
        for i in 0..6usize {
            error = error.with(i);
        }
        assert_eq!(error.to_string(), "x 0 1 2");
    }
}
