//! Where the values of output channels are in arrays padded to whole panels.

/// The columns of `groups` products, in panels.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    pub groups: usize,
    /// Output channels of a group.
    pub columns: usize,
    /// Panels of a group.
    pub panels: usize,
    /// Columns of a panel.
    pub nr: usize,
}

impl Columns {
    /// Values in a padded array. It exists for the weights: no overflow.
    pub(crate) fn padded(&self) -> usize {
        self.groups * self.panels * self.nr
    }

    /// Index of a panel's first column.
    pub(crate) fn slot(&self, group: usize, panel: usize) -> usize {
        (group * self.panels + panel) * self.nr
    }
}
