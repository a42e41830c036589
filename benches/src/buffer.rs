//! Memory for benches: aligned to a page, so that no run is slower for where its buffers fell.

const PAGE: usize = 4096;

/// Bytes that begin on a page.
pub struct Buffer {
    memory: Vec<u8>,
    skip: usize,
    len: usize,
}

impl Buffer {
    /// Zeros, all written once, so that their pages exist before anything is timed.
    pub fn new(len: usize) -> Buffer {
        // Not `vec![0; n]`: that leaves the pages to the first write.
        let memory = vec![1u8; len + PAGE];
        let skip = memory.as_ptr().align_offset(PAGE);
        let mut buffer = Buffer { memory, skip, len };
        buffer.bytes_mut().fill(0);
        buffer
    }

    /// The pattern, again and again.
    pub fn repeated(pattern: &[u8], len: usize) -> Buffer {
        let mut buffer = Buffer::new(len);
        for piece in buffer.bytes_mut().chunks_mut(pattern.len()) {
            piece.copy_from_slice(&pattern[..piece.len()]);
        }
        buffer
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.skip..self.skip + self.len]
    }

    /// The bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.skip..self.skip + self.len]
    }

    /// As f32.
    pub fn floats(&self) -> &[f32] {
        // SAFETY: any bits are f32s; aligned to a page, so nothing is cut off in front.
        unsafe { self.bytes().align_to().1 }
    }

    /// As f32.
    pub fn floats_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { self.bytes_mut().align_to_mut().1 }
    }
}
