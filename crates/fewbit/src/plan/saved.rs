//! Packed weights as they are written to memory, and read where they lie. `docs/packing.md` has the format.

use super::checksum::xxh64;
use super::packed::{Layout, Packed, size};
use super::{MemoryRange, Weights, forbid_overlap};
use crate::memory::{ALIGNMENT, Plain};
use crate::{Error, Result, Status};
use fewbit_scheme::IntFormat;
use fewbit_simd::dot::LhsForm;

/// The first bytes.
const MAGIC: [u8; 8] = *b"fewbitpw";
/// Of this format. Another one is for any change of it, or of how a tile's panels lie.
const VERSION: u32 = 1;
/// As a number in the byte order of the CPU that wrote it.
const ORDER: u32 = 0x0102_0304;
/// Bytes before the sections.
const HEADER: usize = 128;
/// What the checksum covers starts here, behind the magic bytes and itself.
const COVERED: usize = 16;

/// Places in the header.
mod at {
    pub const CHECKSUM: usize = 8;
    pub const VERSION: usize = 16;
    pub const ORDER: usize = 20;
    pub const SIZE: usize = 24;
    pub const KIND: usize = 32;
    pub const FORM: usize = 36;
    pub const NR: usize = 40;
    pub const KR: usize = 44;
    pub const GROUPS: usize = 48;
    pub const COLUMNS: usize = 56;
    pub const K: usize = 64;
    pub const CODE: usize = 72;
    pub const DIMS: [usize; 4] = [80, 88, 96, 104];
}

/// The plan that weights were packed for, with what shapes its k-values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Linear,
    /// Taps along the three axes, and input channels of a group.
    Conv([usize; 4]),
}

impl Kind {
    fn words(self) -> (u32, [usize; 4]) {
        match self {
            Kind::Linear => (1, [0; 4]),
            Kind::Conv(dims) => (2, dims),
        }
    }
}

/// The number of a tile's form.
const fn form_id(form: LhsForm) -> u32 {
    match form {
        LhsForm::U8 => 1,
        LhsForm::S8 => 2,
        LhsForm::I16 => 3,
        LhsForm::S8x8 => 4,
        LhsForm::S8x16 => 5,
        LhsForm::S8x32 => 6,
        LhsForm::Bits => 7,
    }
}

/// The formats of weights, each at its number.
const FORMATS: [IntFormat; 7] = [
    IntFormat::S8,
    IntFormat::U8,
    IntFormat::S4,
    IntFormat::U4,
    IntFormat::S2,
    IntFormat::U1,
    IntFormat::B1,
];

/// The format of the weights in a buffer, as far as it says one; [`Saved::open`] checks the buffer.
pub(crate) fn saved_format(bytes: &[u8]) -> IntFormat {
    format_of(word(bytes, at::CODE)).unwrap_or(IntFormat::S8)
}

fn format_of(id: u32) -> Option<IntFormat> {
    FORMATS.get(usize::try_from(id).ok()?).copied()
}

/// Where the sections are, and where they end.
struct Sections {
    codes: usize,
    scales: usize,
    zero_points: usize,
    sums: usize,
    magnitudes: usize,
    end: usize,
}

/// Sections of so many codes and channels.
fn sections(codes: usize, channels: usize) -> Result<Sections> {
    let mut end = HEADER;
    let mut take = |count: usize, element: usize| {
        let begin = end;
        let bytes = size(&[count, element])?.checked_next_multiple_of(ALIGNMENT);
        end = bytes
            .and_then(|bytes| bytes.checked_add(begin))
            .filter(|&end| end <= isize::MAX as usize)
            .ok_or(Error::new(Status::InvalidArgument, "desc", "describes a size beyond memory"))?;
        Ok(begin)
    };
    let (codes, scales) = (take(codes, 1)?, take(channels, 4)?);
    let (zero_points, sums) = (take(channels, 4)?, take(channels, 4)?);
    let magnitudes = take(channels, 8)?;
    Ok(Sections { codes, scales, zero_points, sums, magnitudes, end })
}

/// Bytes that [`save`] writes.
pub(crate) fn saved_size(packed: &Packed<'_>) -> Result<usize> {
    Ok(sections(packed.codes().len(), packed.scales.len())?.end)
}

/// Refuses to write a mapped plan over what it reads.
pub(crate) fn check_apart(packed: &Packed<'_>, buffer: *const u8, size: usize) -> Result<()> {
    let codes = packed.codes();
    let read = MemoryRange::new("the plan's weights", codes.as_ptr(), codes.len());
    forbid_overlap(read, MemoryRange::new("packed", buffer, size))
}

/// Writes packed weights into the first [`saved_size`] bytes of a buffer.
pub(crate) fn save(packed: &Packed<'_>, kind: Kind, buffer: &mut [u8]) -> Result<()> {
    let channels = packed.scales.len();
    let sections = sections(packed.codes().len(), channels)?;
    let given = buffer.len();
    let Some(bytes) = buffer.get_mut(..sections.end) else {
        return Err(Error::new(
            Status::BufferTooSmall,
            "packed_size",
            "is {} bytes, but {} are needed",
        )
        .with(given)
        .with(sections.end));
    };
    bytes.fill(0);
    let mut put = |at: usize, value: &[u8]| {
        let to = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..value.len()));
        to.unwrap_or_default().iter_mut().zip(value).for_each(|(to, &byte)| *to = byte);
    };
    let (kind, dims) = kind.words();
    put(0, &MAGIC);
    for (at, word) in [
        (at::VERSION, VERSION),
        (at::ORDER, ORDER),
        (at::KIND, kind),
        (at::FORM, form_id(packed.form)),
        (at::NR, packed.nr as u32),
        (at::KR, packed.form.kr() as u32),
        (at::CODE, FORMATS.iter().position(|&of| of == packed.format).unwrap_or(0) as u32),
    ] {
        put(at, &word.to_ne_bytes());
    }
    let shape = [
        (at::SIZE, sections.end),
        (at::GROUPS, packed.groups),
        (at::COLUMNS, packed.columns),
        (at::K, packed.k),
    ];
    for (at, word) in shape.into_iter().chain(at::DIMS.into_iter().zip(dims)) {
        put(at, &(word as u64).to_ne_bytes());
    }
    let scales = packed.scales.as_slice();
    for (channel, (scale, magnitude)) in scales.iter().zip(packed.magnitudes.as_slice()).enumerate()
    {
        let (zero_point, sum) = packed.channel(channel);
        put(sections.scales + 4 * channel, &scale.to_ne_bytes());
        put(sections.zero_points + 4 * channel, &zero_point.to_ne_bytes());
        put(sections.sums + 4 * channel, &sum.to_ne_bytes());
        put(sections.magnitudes + 8 * channel, &magnitude.to_ne_bytes());
    }
    let codes = bytes.get_mut(sections.codes..).unwrap_or_default();
    codes.iter_mut().zip(packed.codes()).for_each(|(to, &code)| *to = code as u8);
    let checksum = xxh64(bytes.get(COVERED..).unwrap_or_default());
    let place = bytes.get_mut(at::CHECKSUM..).unwrap_or_default();
    place.iter_mut().zip(checksum.to_ne_bytes()).for_each(|(to, byte)| *to = byte);
    Ok(())
}

/// Packed weights in a buffer, checked.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'w> {
    format: IntFormat,
    pub codes: &'w [i8],
    scales: &'w [f32],
    zero_points: &'w [i32],
    /// Each channel's sum of packed codes.
    pub sums: &'w [i32],
    /// Each channel's Σ |w - zw|.
    pub magnitudes: &'w [i64],
}

fn refused(status: Status, text: &'static str) -> Error {
    Error::new(status, "packed", text)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    word.map_or(0, |&word| u32::from_ne_bytes(word))
}

fn wide(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    word.map_or(0, |&word| u64::from_ne_bytes(word))
}

/// `count` numbers, from `at` on.
fn section<T: Plain>(bytes: &[u8], at: usize, count: usize) -> Result<&[T]> {
    let part = count
        .checked_mul(size_of::<T>())
        .and_then(|len| bytes.get(at..)?.get(..len))
        .filter(|part| part.as_ptr().cast::<T>().is_aligned())
        .ok_or(refused(Status::Internal, "has no such section"))?;
    // SAFETY: as many bytes as `count` numbers have, at their alignment; any bytes are numbers of the types that
    // are plain.
    Ok(unsafe { core::slice::from_raw_parts(part.as_ptr().cast(), count) })
}

impl<'w> Saved<'w> {
    /// Checks a buffer that should hold weights of a kind in a layout.
    ///
    /// # Errors
    /// [`Status::Misaligned`], [`Status::BufferTooSmall`] (truncated), [`Status::InvalidArgument`] (no packed
    /// weights, changed ones, or those of another shape), [`Status::Unsupported`] (another version, byte order or
    /// layout).
    pub(crate) fn open(bytes: &'w [u8], kind: Kind, layout: &Layout) -> Result<Saved<'w>> {
        let short = |needed: usize| {
            let text = "has {} bytes, but packed weights of {} bytes were written";
            refused(Status::BufferTooSmall, text).with(bytes.len()).with(needed)
        };
        if bytes.len() < HEADER {
            return Err(short(HEADER));
        }
        if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            let error = refused(Status::Misaligned, "is not aligned to {} bytes");
            return Err(error.with(ALIGNMENT));
        }
        if !bytes.starts_with(&MAGIC) {
            return Err(refused(Status::InvalidArgument, "does not hold packed weights"));
        }
        let order = word(bytes, at::ORDER);
        if order == ORDER.swap_bytes() {
            let text = "was written by a CPU of the other byte order";
            return Err(refused(Status::Unsupported, text));
        }
        let version = word(bytes, at::VERSION);
        if version != VERSION {
            let text = "is of version {} of the format, but this library reads version {}";
            let error = refused(Status::Unsupported, text);
            return Err(error.with(version as usize).with(VERSION as usize));
        }
        let written = usize::try_from(wide(bytes, at::SIZE)).unwrap_or(usize::MAX);
        let covered = bytes.get(COVERED..written).ok_or(short(written))?;
        if order != ORDER || xxh64(covered) != wide(bytes, at::CHECKSUM) {
            let text = "was changed after it was written: its checksum is another";
            return Err(refused(Status::InvalidArgument, text));
        }
        let (nr, kr) = (word(bytes, at::NR) as usize, word(bytes, at::KR) as usize);
        let tile = layout.tile;
        let form = word(bytes, at::FORM);
        if (form, nr, kr) != (form_id(tile.lhs), tile.nr, tile.lhs.kr()) {
            let text = "was packed for another instruction set (panels of {} columns, groups of {}) than \
                        the kernel {} reads: pack the weights again";
            let error = refused(Status::Unsupported, text);
            return Err(error.with(nr).with(kr).with(tile.row.name));
        }
        let shape = [(at::GROUPS, layout.groups), (at::COLUMNS, layout.columns), (at::K, layout.k)];
        let (kind, dims) = kind.words();
        if word(bytes, at::KIND) != kind {
            let text = "holds the weights of another kind of plan";
            return Err(refused(Status::InvalidArgument, text));
        }
        for (at, wanted) in shape.into_iter().chain(at::DIMS.into_iter().zip(dims)) {
            let found = wide(bytes, at);
            if found != wanted as u64 {
                let text = "holds weights of another shape: {} where the description has {}";
                let found = usize::try_from(found).unwrap_or(usize::MAX);
                return Err(refused(Status::InvalidArgument, text).with(found).with(wanted));
            }
        }
        let sections = sections(layout.codes, layout.channels)?;
        let format = format_of(word(bytes, at::CODE));
        let Some(format) = format.filter(|_| sections.end == written) else {
            return Err(refused(Status::InvalidArgument, "contradicts itself"));
        };
        let channels = layout.channels;
        Ok(Saved {
            format,
            codes: section(bytes, sections.codes, layout.codes)?,
            scales: section(bytes, sections.scales, channels)?,
            zero_points: section(bytes, sections.zero_points, channels)?,
            sums: section(bytes, sections.sums, channels)?,
            magnitudes: section(bytes, sections.magnitudes, channels)?,
        })
    }

    /// The weights without their codes; the caller's integer multipliers, which are of the output, from `given`.
    pub(crate) fn weights(&self, given: Weights<'w>) -> Weights<'w> {
        let (format, scales, zero_points) = (self.format, self.scales, self.zero_points);
        Weights { format, codes: &[], scales, zero_points, block: 0, ..given }
    }
}
