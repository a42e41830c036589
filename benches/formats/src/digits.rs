//! A layer of a trained network, with what it is given: the third convolution of `examples/digits`, 48 outputs of 324
//! taps, on held-out images.

use fewbit_benches::formats::Layer;
use std::error::Error;
use std::path::Path;

/// Tensors of a file: bytes by name.
struct Tensors {
    header: serde_json::Value,
    data: Vec<u8>,
}

impl Tensors {
    fn read(path: &Path) -> Result<Tensors, Box<dyn Error>> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let (length, rest) = bytes.split_first_chunk().ok_or("no safetensors file")?;
        let length = usize::try_from(u64::from_le_bytes(*length))?;
        let (header, data) = rest.split_at_checked(length).ok_or("no safetensors file")?;
        Ok(Tensors { header: serde_json::from_slice(header)?, data: data.to_vec() })
    }

    fn bytes(&self, name: &str, dtype: &str) -> Result<&[u8], Box<dyn Error>> {
        let tensor = &self.header[name];
        let offset = |i: usize| tensor["data_offsets"][i].as_u64().map(|at| at as usize);
        match (offset(0), offset(1)) {
            (Some(begin), Some(end)) if tensor["dtype"] == dtype => {
                self.data.get(begin..end).ok_or_else(|| format!("{name}: cut off").into())
            }
            _ => Err(format!("no {dtype} tensor {name}").into()),
        }
    }

    fn f32(&self, name: &str) -> Result<Vec<f32>, Box<dyn Error>> {
        let words = self.bytes(name, "F32")?.as_chunks().0;
        Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
    }
}

/// Pixels of an image along each axis.
const SIDE: usize = 8;

/// The layer, with the taps under each pixel of so many images.
///
/// # Errors
/// If the files are not what they were.
pub fn layer(folder: &Path, images: usize) -> Result<Layer, Box<dyn Error>> {
    let model = Tensors::read(&folder.join("model.safetensors"))?;
    let pixels = Tensors::read(&folder.join("images.safetensors"))?;
    let pixels = pixels.bytes("heldout.images", "U8")?;
    let pixels = pixels.get(..images * SIDE * SIDE).ok_or("fewer images")?;
    let mut x: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) / 16.0).collect();
    for (name, pooled) in [("conv1", false), ("conv2", true)] {
        let w = model.f32(&format!("{name}.weight"))?;
        let bias = model.f32(&format!("{name}.bias"))?;
        let channels = x.len() / (images * SIDE * SIDE);
        x = conv(&unfold(&x, SIDE, channels), &w, &bias);
        if pooled {
            x = max_pool(&x, bias.len());
        }
    }
    let w = model.f32("conv3.weight")?;
    let n = model.f32("conv3.bias")?.len();
    let x = unfold(&x, SIDE / 2, x.len() / (images * SIDE * SIDE / 4));
    let k = w.len() / n;
    Ok(Layer { shape: [x.len() / k, n, k], x, w })
}

/// The 3x3 taps under each pixel of images, row by row; 0 beyond their borders.
fn unfold(x: &[f32], side: usize, channels: usize) -> Vec<f32> {
    let mut rows = Vec::with_capacity(9 * x.len());
    for image in x.chunks_exact(side * side * channels) {
        for (i, j) in (0..side * side).map(|pixel| (pixel / side, pixel % side)) {
            for (a, b) in (0..9).map(|tap| (i + tap / 3, j + tap % 3)) {
                if (1..=side).contains(&a) && (1..=side).contains(&b) {
                    let at = ((a - 1) * side + b - 1) * channels;
                    rows.extend_from_slice(&image[at..at + channels]);
                } else {
                    rows.resize(rows.len() + channels, 0.0);
                }
            }
        }
    }
    rows
}

/// Rows times weights, with bias and ReLU.
fn conv(rows: &[f32], w: &[f32], bias: &[f32]) -> Vec<f32> {
    let k = w.len() / bias.len();
    let output = |row: &[f32], (w, bias): (&[f32], &f32)| -> f32 {
        (row.iter().zip(w).map(|(x, w)| x * w).sum::<f32>() + bias).max(0.0)
    };
    let of_row = |row| w.chunks_exact(k).zip(bias).map(move |of| output(row, of));
    rows.chunks_exact(k).flat_map(of_row).collect()
}

/// The largest of each 2x2 pixels of images.
fn max_pool(x: &[f32], channels: usize) -> Vec<f32> {
    let mut y = Vec::with_capacity(x.len() / 4);
    let row = SIDE * channels;
    for pair in x.chunks_exact(2 * row) {
        for at in (0..row).step_by(2 * channels).flat_map(|at| at..at + channels) {
            let below = at + row;
            let of = [pair[at], pair[at + channels], pair[below], pair[below + channels]];
            y.push(of.into_iter().fold(f32::MIN, f32::max));
        }
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_lie_as_weights_do() {
        // Two pixels by two, two channels.
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let rows = unfold(&x, 2, 2);
        assert_eq!(rows.len(), 4 * 18);
        assert_eq!(
            rows[..18],
            [0., 0., 0., 0., 0., 0., 0., 0., 1., 2., 3., 4., 0., 0., 5., 6., 7., 8.]
        );
        assert_eq!(rows[54..62], [1., 2., 3., 4., 0., 0., 5., 6.]);
    }

    #[test]
    fn pixels_are_pooled_by_fours() {
        let x: Vec<f32> = (0..SIDE * SIDE * 3).map(|i| i as f32).collect();
        let y = max_pool(&x, 3);
        assert_eq!(y.len(), SIDE * SIDE / 4 * 3);
        assert_eq!(y[..4], [27.0, 28.0, 29.0, 33.0]);
    }
}
