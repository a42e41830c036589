//! What multiplies in a linear plan: codes or real numbers.

use crate::memory::ALIGNMENT;
use crate::plan::{
    Engine, Kind, RealEngine, check_apart, save, save_real, saved_bytes, saved_size,
};
use crate::{Error, Result, Status};

/// A plan's engine.
#[allow(clippy::large_enum_variant, reason = "one a plan; a box would be an allocation of its own")]
pub(super) enum LinearEngine<'w> {
    /// Of int8 codes.
    Codes(Engine<'w>),
    /// Of real numbers.
    Real(RealEngine<'w>),
}

impl LinearEngine<'_> {
    /// The tile kernel's name.
    pub(super) fn kernel_name(&self) -> &'static str {
        match self {
            LinearEngine::Codes(engine) => engine.packed.tile.name(),
            LinearEngine::Real(engine) => engine.kernel_name(),
        }
    }

    /// The largest |int32 sum|; of real numbers 0.
    pub(super) fn bound(&self) -> i64 {
        match self {
            LinearEngine::Codes(engine) => engine.packed.bound,
            LinearEngine::Real(_) => 0,
        }
    }

    /// Bytes of packed weights.
    pub(super) fn weight_bytes(&self) -> usize {
        match self {
            LinearEngine::Codes(engine) => engine.packed.weight_bytes(),
            LinearEngine::Real(engine) => engine.weight_bytes(),
        }
    }

    /// Most rows of a block, and columns of a panel, at least 1.
    pub(super) fn shape(&self) -> (usize, usize) {
        match self {
            LinearEngine::Codes(engine) => (engine.packed.mr, engine.packed.nr.max(1)),
            LinearEngine::Real(engine) => (engine.mr(), engine.columns().nr.max(1)),
        }
    }

    /// Bytes from one block of rows in the workspace to the next.
    pub(super) fn block_distance(&self) -> usize {
        match self {
            LinearEngine::Codes(engine) => engine.block_distance(),
            LinearEngine::Real(engine) => engine.block_distance(),
        }
    }

    /// The most blocks that a task keeps, of `row_blocks`.
    pub(super) fn most_blocks(&self, row_blocks: usize) -> usize {
        match self {
            LinearEngine::Codes(engine) => engine.most_blocks(row_blocks),
            LinearEngine::Real(engine) => engine.most_blocks(row_blocks),
        }
    }

    /// Bytes that a task of so many blocks needs beside them, a multiple of a cache line.
    pub(super) fn scratch(&self, blocks: usize) -> usize {
        match self {
            LinearEngine::Codes(_) => 0,
            LinearEngine::Real(engine) => engine.scratch(blocks).next_multiple_of(ALIGNMENT),
        }
    }

    /// Whether rows can be multiplied where they are.
    pub(super) fn is_direct(&self) -> bool {
        match self {
            LinearEngine::Codes(engine) => engine.is_direct(),
            LinearEngine::Real(engine) => engine.is_direct(),
        }
    }

    /// Bytes of saved weights.
    pub(super) fn saved_size(&self) -> Result<usize> {
        match self {
            LinearEngine::Codes(engine) => {
                self.check_saves()?;
                saved_size(&engine.packed)
            }
            LinearEngine::Real(engine) => saved_bytes(&engine.saved().0),
        }
    }

    /// Writes packed weights.
    pub(super) fn save(&self, packed: &mut [u8]) -> Result<()> {
        match self {
            LinearEngine::Codes(engine) => {
                self.check_saves()?;
                save(&engine.packed, Kind::Linear, packed)
            }
            LinearEngine::Real(engine) => save_real(engine.saved(), packed),
        }
    }

    /// Refuses to write over what a mapped plan reads.
    pub(super) fn check_apart(&self, packed: *const u8, size: usize) -> Result<()> {
        match self {
            LinearEngine::Codes(engine) => check_apart(engine.packed.codes(), packed, size),
            LinearEngine::Real(engine) => check_apart(engine.saved().1, packed, size),
        }
    }

    fn check_saves(&self) -> Result<()> {
        match self {
            LinearEngine::Codes(engine) if engine.has_blocks() => {
                let text = "has weights with a scale a block, which are not written";
                Err(Error::new(Status::Unsupported, "linear", text))
            }
            _ => Ok(()),
        }
    }
}
