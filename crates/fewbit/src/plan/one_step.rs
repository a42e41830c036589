//! Sums that become results one by one, by factors that the plan has.

use super::Output;
use super::epilogue::Epilogue;
use fewbit_scheme::RealFormat;
use fewbit_scheme::real::max;

/// What a kernel needs that makes codes of its sums itself.
pub(crate) struct OneStep {
    /// The multiplier of the first column's slot; those of others follow.
    pub factors: *const f32,
    pub zero_point: i32,
    pub clamp: (i32, i32),
    pub signed: bool,
    /// See [`ScaleCodesArgs`](fewbit_kernels::scale::ScaleCodesArgs).
    pub saturates: bool,
}

impl Epilogue {
    /// Whether the sums are the results.
    pub(crate) fn is_identity(&self) -> bool {
        self.output == Output::S32 && !self.relu
    }

    /// Whether sums become results one by one, by factors that the plan has: in tiles of any size.
    pub(crate) fn is_one_step(&self) -> bool {
        match (&self.codes, self.output) {
            (Some(codes), _) => {
                let whole = !codes.multipliers.is_empty() || codes.fixed.is_some();
                codes.one_step && whole && codes.table.is_empty()
            }
            (None, Output::Real(RealFormat::F32)) => self.is_whole && self.is_only_scale(),
            (None, output) => output == Output::S32,
        }
    }

    /// Told the largest |sum|, finds out whether codes need no bounds but those of their bytes.
    pub(super) fn set_bound(&mut self, bound: i64) {
        let Some(codes) = &mut self.codes else { return };
        let largest = codes.multipliers.as_slice().iter().fold(0.0, |a, &b| max(a, b));
        let format = codes.made.format();
        // Half of what there is, so that no rounding here matters.
        let within = bound as f32 * largest <= (1 << 29) as f32;
        let whole = !codes.multipliers.is_empty();
        codes.saturates = whole && within && codes.clamp == (format.qmin(), format.qmax());
    }

    /// How sums become codes, if that is one step with factors, and nothing follows.
    pub(crate) fn one_step_codes(&self) -> Option<OneStep> {
        let codes = self.codes.as_ref()?;
        if !self.is_one_step() || codes.fixed.is_some() {
            return None;
        }
        Some(OneStep {
            factors: codes.multipliers.as_slice().as_ptr(),
            zero_point: codes.params.zero_point,
            clamp: codes.clamp,
            signed: !codes.made.is_unsigned(),
            saturates: codes.saturates,
        })
    }
}
