//! Shapes of convolutions, and which products make an output.

use super::Memory;
use fewbit::{Conv, ConvAxis, ConvRun, FilterLayout, ImageLayout, Parallel};
use fewbit_testkit::Rng;

/// A convolution's shape, and the number of images that it is run on.
#[derive(Clone, Debug)]
pub struct Images {
    pub images: usize,
    pub groups: usize,
    /// Channels of a group.
    pub inputs: usize,
    pub outputs: usize,
    pub axes: [ConvAxis; 3],
    /// The output padding, if the convolution is transposed.
    pub transposed: Option<[usize; 3]>,
    pub layout: ImageLayout,
    pub filter_layout: FilterLayout,
}

impl Images {
    /// A random shape, or none if the taps do not fit, or if there would be too many products for its definition.
    pub fn any(rng: &mut Rng) -> Option<Images> {
        let rank = 1 + rng.below(3);
        let mut axes = [ConvAxis::NONE; 3];
        let mut padding = [0; 3];
        let transposed = rng.below(4) == 0;
        for (axis, padding) in axes.iter_mut().zip(&mut padding).skip(3 - rank) {
            *axis = ConvAxis {
                size: 1 + rng.below(if rank == 3 { 5 } else { 17 }),
                kernel: 1 + rng.below(if rank == 3 { 3 } else { 7 }),
                stride: 1 + rng.below(3),
                dilation: 1 + rng.below(3),
                pad_begin: rng.below(4),
                pad_end: rng.below(4),
            };
            // Layers of one tap are a case of their own.
            if rng.below(4) == 0 {
                *axis = ConvAxis { kernel: 1, stride: 1, pad_begin: 0, pad_end: 0, ..*axis };
            }
            *padding = rng.below(axis.stride.max(axis.dilation));
        }
        let fits = |(axis, &padding): (&ConvAxis, &usize)| match transposed {
            true => axis.transposed_output(padding).is_some(),
            false => axis.output().is_some(),
        };
        if !axes.iter().zip(&padding).all(fits) {
            return None;
        }
        // Up to depthwise ones, whose groups share panels; 37 groups cannot be divided evenly.
        let groups = rng.pick(&[1, 1, 1, 2, 3, 5, 12, 37]);
        let most = if groups > 5 { 2 } else { rng.pick(&[3, 5, 5, 40, 70]) };
        let inputs = 1 + rng.below(if most == 40 { 20 } else { most });
        let outputs = 1 + rng.below(most);
        let images = Images {
            images: rng.below(4),
            groups,
            inputs,
            outputs,
            axes,
            transposed: transposed.then_some(padding),
            layout: rng.pick(&[ImageLayout::Nhwc, ImageLayout::Nchw]),
            filter_layout: rng.pick(&[
                FilterLayout::Ohwi,
                FilterLayout::Oihw,
                FilterLayout::Ihwo,
                FilterLayout::Iohw,
            ]),
        };
        let results = images.results();
        (results * images.taps() * inputs < 4_000_000 && results < 200_000).then_some(images)
    }

    pub fn sizes(&self) -> [usize; 3] {
        self.axes.map(|axis| axis.size)
    }

    /// Elements of an input image.
    pub fn image(&self) -> usize {
        self.sizes().iter().product::<usize>() * self.groups * self.inputs
    }

    pub fn channels(&self) -> usize {
        self.groups * self.outputs
    }

    pub fn taps(&self) -> usize {
        self.axes.iter().map(|axis| axis.kernel).product()
    }

    pub fn weights(&self) -> usize {
        self.channels() * self.taps() * self.inputs
    }

    /// Weights of an index of the weights' first dimension.
    pub fn weight_row(&self) -> usize {
        match self.filter_layout {
            FilterLayout::Ohwi | FilterLayout::Oihw => self.taps() * self.inputs,
            FilterLayout::Ihwo | FilterLayout::Iohw => self.taps() * self.outputs,
        }
    }

    /// Output pixels along each axis, counted one by one.
    pub fn out_dims(&self) -> [usize; 3] {
        if let Some(more) = self.transposed {
            return [0, 1, 2].map(|i| {
                let axis = self.axes[i];
                let places = (0..axis.size).flat_map(|pixel| {
                    (0..axis.kernel).map(move |k| pixel * axis.stride + k * axis.dilation)
                });
                places.max().unwrap() + 1 + more[i] - axis.pad_begin - axis.pad_end
            });
        }
        self.axes.map(|axis| {
            let padded = axis.pad_begin + axis.size + axis.pad_end;
            let fits = |first: usize| first + (axis.kernel - 1) * axis.dilation < padded;
            (0..).take_while(|out| fits(out * axis.stride)).count()
        })
    }

    pub fn pixels(&self) -> usize {
        self.out_dims().iter().product()
    }

    /// Elements of all output images.
    pub fn results(&self) -> usize {
        self.images * self.pixels() * self.channels()
    }

    /// The outputs of all images: number of the image, channel, place, and index.
    pub fn each_output(&self) -> impl Iterator<Item = (usize, usize, [usize; 3], usize)> + '_ {
        let (dims, channels, pixels) = (self.out_dims(), self.channels(), self.pixels());
        (0..self.images * channels * pixels).map(move |i| {
            let (n, channel, pixel) = (i / pixels / channels, i / pixels % channels, i % pixels);
            let place = [pixel / dims[2] / dims[1], pixel / dims[2] % dims[1], pixel % dims[2]];
            let index = match self.layout {
                ImageLayout::Nhwc => (n * pixels + pixel) * channels + channel,
                ImageLayout::Nchw => (n * channels + channel) * pixels + pixel,
            };
            (n, channel, place, index)
        })
    }

    /// The products of an output in their order: the index of the image's element, unless it is padding, and that of the weight.
    /// A transposed convolution's output has those taps at which an input pixel could lie, the last one first.
    pub fn products(&self, channel: usize, out: [usize; 3]) -> Vec<(Option<usize>, usize)> {
        let [_, height, width] = self.axes;
        let (sizes, taps) = (self.sizes(), self.taps());
        let all = self.groups * self.inputs;
        let mut products = Vec::new();
        let order = |i: usize| if self.transposed.is_some() { taps - 1 - i } else { i };
        'taps: for tap in (0..taps).map(order) {
            let at = [
                tap / width.kernel / height.kernel,
                tap / width.kernel % height.kernel,
                tap % width.kernel,
            ];
            let mut pixel = Some(0);
            for i in 0..3 {
                let axis = self.axes[i];
                // Behind the padding.
                let (place, step) = match self.transposed {
                    Some(_) => (
                        (out[i] + axis.pad_begin) as isize - (at[i] * axis.dilation) as isize,
                        axis.stride as isize,
                    ),
                    None => {
                        let padded = out[i] * axis.stride + at[i] * axis.dilation;
                        (padded as isize - axis.pad_begin as isize, 1)
                    }
                };
                if place.rem_euclid(step) != 0 {
                    continue 'taps;
                }
                let inside = (0..axis.size as isize).contains(&(place / step));
                pixel = pixel.filter(|_| inside && place >= 0);
                pixel = pixel.map(|pixel| pixel * sizes[i] + (place / step) as usize);
            }
            for i in 0..self.inputs {
                let input = channel / self.outputs * self.inputs + i;
                let element = pixel.map(|pixel| match self.layout {
                    ImageLayout::Nhwc => pixel * all + input,
                    ImageLayout::Nchw => input * sizes.iter().product::<usize>() + pixel,
                });
                let column = channel % self.outputs;
                let weight = match self.filter_layout {
                    FilterLayout::Ohwi => (channel * taps + tap) * self.inputs + i,
                    FilterLayout::Oihw => (channel * self.inputs + i) * taps + tap,
                    FilterLayout::Ihwo => (input * taps + tap) * self.outputs + column,
                    FilterLayout::Iohw => (input * self.outputs + column) * taps + tap,
                };
                products.push((element, weight));
            }
        }
        products
    }
}

/// Guarded memory for the runs of a test.
pub struct Arenas {
    x: Memory,
    residual: Memory,
    y: Memory,
    workspace: Memory,
    fill: Vec<u8>,
}

impl Arenas {
    pub fn new() -> Arenas {
        let [x, residual, y, workspace] = [(); 4].map(|()| Memory::new(1 << 23));
        Arenas { x, residual, y, workspace, fill: vec![0x77; 1 << 21] }
    }

    /// The bytes of a plan's results, so many; input, output and workspace lie against guard pages.
    pub fn run(
        &mut self,
        plan: &Conv,
        images: usize,
        bytes: usize,
        (x, residual): (&[u8], &[u8]),
        parallel: &dyn Parallel,
    ) -> Vec<u8> {
        let needed = plan.workspace(images, parallel.max_workers()).unwrap();
        let workspace = self.workspace.garbage(needed.size);
        let x = self.x.copy(x);
        // A residual in the place of the results, if it can be.
        let in_place = residual.len() == bytes && images.is_multiple_of(2);
        let y = self.y.copy(if in_place { residual } else { &self.fill[..bytes] });
        let residual = if in_place { y } else { self.residual.copy(residual) };
        // SAFETY: input, output and workspace have the sizes of this plan and this many images.
        unsafe {
            let run = ConvRun { images, x, residual, workspace, workspace_size: needed.size, y };
            plan.run_raw(&run, parallel).unwrap();
            std::slice::from_raw_parts(y, bytes).to_vec()
        }
    }
}
