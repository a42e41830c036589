//! What multiplies in a plan: codes or real numbers.

use super::columns::Columns;
use super::engine::Engine;
use super::real::RealEngine;
use super::saved::{Kind, check_apart, save, save_real, saved_bytes, saved_size};
use crate::memory::ALIGNMENT;
use crate::{Error, Result, Status};

/// A plan's engine.
#[allow(clippy::large_enum_variant, reason = "one a plan; a box would be an allocation of its own")]
pub(crate) enum EitherEngine<'w> {
    /// Of int8 codes.
    Codes(Engine<'w>),
    /// Of real numbers.
    Real(RealEngine<'w>),
}

impl EitherEngine<'_> {
    /// The tile kernel's name.
    pub(crate) fn kernel_name(&self) -> &'static str {
        match self {
            EitherEngine::Codes(engine) => engine.packed.tile.name(),
            EitherEngine::Real(engine) => engine.kernel_name(),
        }
    }

    /// The largest |int32 sum|; of real numbers 0.
    pub(crate) fn bound(&self) -> i64 {
        match self {
            EitherEngine::Codes(engine) => engine.packed.bound,
            EitherEngine::Real(_) => 0,
        }
    }

    /// Bytes of packed weights.
    pub(crate) fn weight_bytes(&self) -> usize {
        match self {
            EitherEngine::Codes(engine) => engine.packed.weight_bytes(),
            EitherEngine::Real(engine) => engine.weight_bytes(),
        }
    }

    /// Most rows of a block, and columns of a panel, at least 1.
    pub(crate) fn shape(&self) -> (usize, usize) {
        match self {
            EitherEngine::Codes(engine) => (engine.packed.mr, engine.packed.nr.max(1)),
            EitherEngine::Real(engine) => (engine.mr(), engine.columns().nr.max(1)),
        }
    }

    /// Where output channels are in panels.
    pub(crate) fn columns(&self) -> Columns {
        match self {
            EitherEngine::Codes(engine) => engine.packed.map(),
            EitherEngine::Real(engine) => engine.columns(),
        }
    }

    /// Bytes from one block of rows in the workspace to the next.
    pub(crate) fn block_distance(&self) -> usize {
        match self {
            EitherEngine::Codes(engine) => engine.block_distance(),
            EitherEngine::Real(engine) => engine.block_distance(),
        }
    }

    /// The most blocks that a task keeps, of `row_blocks`.
    pub(crate) fn most_blocks(&self, row_blocks: usize) -> usize {
        match self {
            EitherEngine::Codes(engine) => engine.most_blocks(row_blocks),
            EitherEngine::Real(engine) => engine.most_blocks(row_blocks),
        }
    }

    /// Bytes that a task of so many blocks needs beside them, a multiple of a cache line.
    pub(crate) fn scratch(&self, blocks: usize) -> usize {
        match self {
            EitherEngine::Codes(_) => 0,
            EitherEngine::Real(engine) => engine.scratch(blocks).next_multiple_of(ALIGNMENT),
        }
    }

    /// Whether rows can be multiplied where they are.
    pub(crate) fn is_direct(&self) -> bool {
        match self {
            EitherEngine::Codes(engine) => engine.is_direct(),
            EitherEngine::Real(engine) => engine.is_direct(),
        }
    }

    /// Bytes of saved weights.
    pub(crate) fn saved_size(&self) -> Result<usize> {
        match self {
            EitherEngine::Codes(engine) => {
                self.check_saves()?;
                saved_size(&engine.packed)
            }
            EitherEngine::Real(engine) => saved_bytes(&engine.saved(Kind::Linear).0),
        }
    }

    /// Writes packed weights of a kind of plan.
    pub(crate) fn save(&self, kind: Kind, packed: &mut [u8]) -> Result<()> {
        match self {
            EitherEngine::Codes(engine) => {
                self.check_saves()?;
                save(&engine.packed, kind, packed)
            }
            EitherEngine::Real(engine) => save_real(engine.saved(kind), packed),
        }
    }

    /// Refuses to write over what a mapped plan reads.
    pub(crate) fn check_apart(&self, packed: *const u8, size: usize) -> Result<()> {
        match self {
            EitherEngine::Codes(engine) => check_apart(engine.packed.codes(), packed, size),
            EitherEngine::Real(engine) => check_apart(engine.saved(Kind::Linear).1, packed, size),
        }
    }

    fn check_saves(&self) -> Result<()> {
        match self {
            EitherEngine::Codes(engine) if engine.has_blocks() => {
                let text = "has weights with a scale a block, which are not written";
                Err(Error::new(Status::Unsupported, "linear", text))
            }
            _ => Ok(()),
        }
    }
}
