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

/// The formats of weights that are codes, each at its number; those of numbers begin at 16.
const FORMATS: [IntFormat; 7] = [
    IntFormat::S8,
    IntFormat::U8,
    IntFormat::S4,
    IntFormat::U4,
    IntFormat::S2,
    IntFormat::U1,
    IntFormat::B1,
];

/// The number of a layout of numbers.
pub(crate) const REAL_FORM: u32 = 8;

/// The format of the weights in a buffer, as far as it says one; [`Saved::open`] checks the buffer.
pub(crate) fn saved_format(bytes: &[u8]) -> IntFormat {
    format_of(word(bytes, at::CODE)).unwrap_or(IntFormat::S8)
}

fn format_of(id: u32) -> Option<IntFormat> {
    FORMATS.get(usize::try_from(id).ok()?).copied()
}

/// A format's number.
fn format_id(format: IntFormat) -> u32 {
    FORMATS.iter().position(|&of| of == format).unwrap_or(0) as u32
}

/// What packed weights say of themselves.
pub(crate) struct Head {
    pub kind: Kind,
    /// Channels that have scales and all else beside their weights.
    pub channels: usize,
    /// The layout: what the tile wants on the left, columns of a panel, and neighbours along k.
    pub form: u32,
    pub nr: usize,
    pub kr: usize,
    /// The kernel that reads it; not written.
    pub kernel: &'static str,
    pub groups: usize,
    /// Output channels of a group.
    pub columns: usize,
    pub k: usize,
    /// The weights before they were packed.
    pub code: u32,
    /// Bytes of all panels.
    pub bytes: usize,
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
    saved_bytes(&head_of(packed, Kind::Linear))
}

/// Bytes of saved weights.
pub(crate) fn saved_bytes(head: &Head) -> Result<usize> {
    Ok(sections(head.bytes, head.channels)?.end)
}

/// What packed codes say of themselves.
fn head_of(packed: &Packed<'_>, kind: Kind) -> Head {
    Head {
        kind,
        channels: packed.scales.len(),
        form: form_id(packed.form),
        nr: packed.nr,
        kr: packed.form.kr(),
        kernel: packed.tile.name(),
        groups: packed.groups,
        columns: packed.columns,
        k: packed.k,
        code: format_id(packed.format),
        bytes: packed.codes().len(),
    }
}

/// Refuses to write a mapped plan over what it reads.
pub(crate) fn check_apart<T: Plain>(codes: &[T], buffer: *const u8, size: usize) -> Result<()> {
    let read = MemoryRange::new("the plan's weights", codes.as_ptr(), size_of_val(codes));
    forbid_overlap(read, MemoryRange::new("packed", buffer, size))
}

/// Writes packed weights into the first [`saved_size`] bytes of a buffer.
pub(crate) fn save(packed: &Packed<'_>, kind: Kind, buffer: &mut [u8]) -> Result<()> {
    let codes = packed.codes().iter().map(|&code| code as u8);
    write(&head_of(packed, kind), codes, buffer, |sections, put| {
        let channels = packed.scales.as_slice().iter().zip(packed.magnitudes.as_slice());
        for (channel, (scale, magnitude)) in channels.enumerate() {
            let (zero_point, sum) = packed.channel(channel);
            put(sections.scales + 4 * channel, &scale.to_ne_bytes());
            put(sections.zero_points + 4 * channel, &zero_point.to_ne_bytes());
            put(sections.sums + 4 * channel, &sum.to_ne_bytes());
            put(sections.magnitudes + 8 * channel, &magnitude.to_ne_bytes());
        }
    })
}

/// Writes packed numbers into the first [`saved_bytes`] bytes of a buffer.
pub(crate) fn save_real((head, numbers): (Head, &[u8]), buffer: &mut [u8]) -> Result<()> {
    write(&head, numbers.iter().copied(), buffer, |_, _| {})
}

/// Writes a header, panels, and the values that `values` puts at their places.
fn write(
    head: &Head,
    panels: impl Iterator<Item = u8>,
    buffer: &mut [u8],
    values: impl FnOnce(&Sections, &mut dyn FnMut(usize, &[u8])),
) -> Result<()> {
    let sections = sections(head.bytes, head.channels)?;
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
    let (kind, dims) = head.kind.words();
    put(0, &MAGIC);
    for (at, word) in [
        (at::VERSION, VERSION),
        (at::ORDER, ORDER),
        (at::KIND, kind),
        (at::FORM, head.form),
        (at::NR, head.nr as u32),
        (at::KR, head.kr as u32),
        (at::CODE, head.code),
    ] {
        put(at, &word.to_ne_bytes());
    }
    let shape = [
        (at::SIZE, sections.end),
        (at::GROUPS, head.groups),
        (at::COLUMNS, head.columns),
        (at::K, head.k),
    ];
    for (at, word) in shape.into_iter().chain(at::DIMS.into_iter().zip(dims)) {
        put(at, &(word as u64).to_ne_bytes());
    }
    values(&sections, &mut put);
    let codes = bytes.get_mut(sections.codes..).unwrap_or_default();
    codes.iter_mut().zip(panels).for_each(|(to, code)| *to = code);
    let checksum = xxh64(bytes.get(COVERED..).unwrap_or_default());
    let place = bytes.get_mut(at::CHECKSUM..).unwrap_or_default();
    place.iter_mut().zip(checksum.to_ne_bytes()).for_each(|(to, byte)| *to = byte);
    Ok(())
}

/// Whole packed weights, of any plan.
#[derive(Clone, Copy)]
pub(crate) struct Opened<'w>(&'w [u8]);

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

impl<'w> Opened<'w> {
    /// Checks a buffer that should hold packed weights of some kind.
    ///
    /// # Errors
    /// [`Status::Misaligned`], [`Status::BufferTooSmall`] (truncated), [`Status::InvalidArgument`] (no packed
    /// weights, or changed ones), [`Status::Unsupported`] (another version or byte order).
    pub(crate) fn open(bytes: &'w [u8]) -> Result<Opened<'w>> {
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
        Ok(Opened(bytes))
    }

    /// What the weights were before they were packed.
    pub(crate) fn code(&self) -> u32 {
        word(self.0, at::CODE)
    }

    /// Checks that they are what a plan reads, and gives the sections' places.
    fn check(&self, wanted: &Head) -> Result<Sections> {
        let bytes = self.0;
        let (nr, kr) = (word(bytes, at::NR) as usize, word(bytes, at::KR) as usize);
        let form = word(bytes, at::FORM);
        let (kind, dims) = wanted.kind.words();
        let other_kind =
            refused(Status::InvalidArgument, "holds the weights of another kind of plan");
        if (form == REAL_FORM) != (wanted.form == REAL_FORM) {
            return Err(other_kind);
        }
        if (form, nr, kr) != (wanted.form, wanted.nr, wanted.kr) {
            let text = "was packed for another instruction set (panels of {} columns, groups of {}) than \
                        the kernel {} reads: pack the weights again";
            let error = refused(Status::Unsupported, text);
            return Err(error.with(nr).with(kr).with(wanted.kernel));
        }
        if word(bytes, at::KIND) != kind {
            return Err(other_kind);
        }
        let shape = [(at::GROUPS, wanted.groups), (at::COLUMNS, wanted.columns), (at::K, wanted.k)];
        for (at, wanted) in shape.into_iter().chain(at::DIMS.into_iter().zip(dims)) {
            let found = wide(bytes, at);
            if found != wanted as u64 {
                let text = "holds weights of another shape: {} where the description has {}";
                let found = usize::try_from(found).unwrap_or(usize::MAX);
                return Err(refused(Status::InvalidArgument, text).with(found).with(wanted));
            }
        }
        let sections = sections(wanted.bytes, wanted.channels)?;
        if sections.end as u64 != wide(bytes, at::SIZE) || self.code() != wanted.code {
            return Err(refused(Status::InvalidArgument, "contradicts itself"));
        }
        Ok(sections)
    }

    /// The panels of weights that are what a plan reads.
    pub(crate) fn panels(&self, wanted: &Head) -> Result<&'w [u8]> {
        let sections = self.check(wanted)?;
        section(self.0, sections.codes, wanted.bytes)
    }
}

impl<'w> Saved<'w> {
    /// Checks a buffer that should hold weights of a kind in a layout.
    ///
    /// # Errors
    /// As [`Opened::open`], and [`Status::InvalidArgument`] (another shape or kind), [`Status::Unsupported`] (another
    /// layout).
    pub(crate) fn open(bytes: &'w [u8], kind: Kind, layout: &Layout) -> Result<Saved<'w>> {
        let opened = Opened::open(bytes)?;
        let format = saved_format(bytes);
        let tile = layout.tile;
        let channels = layout.channels;
        let sections = opened.check(&Head {
            kind,
            channels,
            form: form_id(tile.lhs),
            nr: tile.nr,
            kr: tile.lhs.kr(),
            kernel: tile.row.name,
            groups: layout.groups,
            columns: layout.columns,
            k: layout.k,
            code: format_id(format),
            bytes: layout.codes,
        })?;
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
