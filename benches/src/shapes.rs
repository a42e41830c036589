//! The files in `shapes/`: layers to compare by, and networks as their layers with how often they have each.

/// What a layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the files")]
pub enum Layer {
    /// `m` rows of `k` features to `n` features.
    Linear { m: usize, n: usize, k: usize },
    /// A square image, NHWC, with padding `kernel / 2` on each side.
    Conv { size: usize, inputs: usize, outputs: usize, kernel: usize, stride: usize, groups: usize },
}

impl Layer {
    /// The output image's side; 1 of a linear layer.
    pub fn side(self) -> usize {
        match self {
            Layer::Linear { .. } => 1,
            Layer::Conv { size, kernel, stride, .. } => {
                (size + kernel / 2 * 2 - kernel) / stride + 1
            }
        }
    }

    /// Products of an output, those with padding among them.
    pub fn depth(self) -> usize {
        match self {
            Layer::Linear { k, .. } => k,
            Layer::Conv { inputs, kernel, groups, .. } => kernel * kernel * inputs / groups,
        }
    }

    /// Output features or channels.
    pub fn channels(self) -> usize {
        match self {
            Layer::Linear { n, .. } => n,
            Layer::Conv { outputs, .. } => outputs,
        }
    }

    /// Elements of the input.
    pub fn inputs(self) -> usize {
        match self {
            Layer::Linear { m, k, .. } => m * k,
            Layer::Conv { size, inputs, .. } => size * size * inputs,
        }
    }

    /// Elements of the output.
    pub fn outputs(self) -> usize {
        match self {
            Layer::Linear { m, n, .. } => m * n,
            Layer::Conv { outputs, .. } => self.side().pow(2) * outputs,
        }
    }

    /// Operations, a multiplication and an addition for each product.
    pub fn operations(self) -> usize {
        2 * self.outputs() * self.depth()
    }

    /// Bytes of weights of a byte each.
    pub fn weights(self) -> usize {
        self.channels() * self.depth()
    }
}

/// A line of a file.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The layer's name.
    pub name: &'static str,
    /// What it computes.
    pub layer: Layer,
    /// How often its network has it; 0 of one that is there to compare with only.
    pub count: usize,
}

impl Shape {
    /// Whether it is of no network, but one to compare by.
    pub fn is_alone(&self) -> bool {
        !NETWORKS.iter().any(|(_, begin, _)| self.name.starts_with(begin))
    }
}

/// A network's name, and what the names of its layers begin and end with.
const NETWORKS: [(&str, &str, &str); 8] = [
    ("resnet50", "resnet50_", ""),
    ("mobilenetv2", "mobilenetv2_", ""),
    ("yolo", "yolo_", ""),
    ("bert_base", "bert_base_", ""),
    ("minilm", "minilm_", ""),
    ("llm_7b_m1", "llm_7b_", "_m1"),
    ("llm_7b_m8", "llm_7b_", "_m8"),
    ("llm_7b_m128", "llm_7b_", "_m128"),
];

/// A network: each of its layers once.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its name.
    pub name: &'static str,
    /// Its layers.
    pub layers: Vec<Shape>,
}

impl Network {
    /// Layers in all.
    pub fn count(&self) -> usize {
        self.layers.iter().map(|shape| shape.count).sum()
    }

    /// Operations in all.
    pub fn operations(&self) -> usize {
        self.layers.iter().map(|shape| shape.count * shape.layer.operations()).sum()
    }

    /// Weights in all.
    pub fn weights(&self) -> usize {
        self.layers.iter().map(|shape| shape.count * shape.layer.weights()).sum()
    }

    /// Whether it has convolutions.
    pub fn is_conv(&self) -> bool {
        self.layers.iter().any(|shape| matches!(shape.layer, Layer::Conv { .. }))
    }
}

/// The networks, each whole.
pub fn networks() -> Vec<Network> {
    let all: Vec<Shape> = conv_shapes().into_iter().chain(linear_shapes()).collect();
    let network = |&(name, begin, end): &(&'static str, &str, &str)| Network {
        name,
        layers: all
            .iter()
            .filter(|shape| {
                shape.name.starts_with(begin) && shape.name.ends_with(end) && shape.count > 0
            })
            .cloned()
            .collect(),
    };
    NETWORKS.iter().map(network).collect()
}

/// `linear.txt`.
pub fn linear_shapes() -> Vec<Shape> {
    lines(include_str!("../shapes/linear.txt"), |[m, n, k, count]| {
        (Layer::Linear { m, n, k }, count)
    })
}

/// `conv.txt`.
pub fn conv_shapes() -> Vec<Shape> {
    lines(
        include_str!("../shapes/conv.txt"),
        |[size, inputs, outputs, kernel, stride, groups, count]| {
            (Layer::Conv { size, inputs, outputs, kernel, stride, groups }, count)
        },
    )
}

/// Lines of a name and N numbers; `#` begins a comment.
///
/// # Panics
/// If a line is anything else.
fn lines<const N: usize>(
    text: &'static str,
    layer: impl Fn([usize; N]) -> (Layer, usize),
) -> Vec<Shape> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap_or("");
            let numbers: Vec<usize> = words.map(|word| word.parse().expect(line)).collect();
            let (layer, count) = layer(numbers.try_into().expect(line));
            Shape { name, layer, count }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layers and multiply-adds, as the networks' authors count them: ResNet-50 4.09, MobileNetV2 0.30, YOLOv8n 4.37
    /// thousand million; the decoder's 6.6 thousand million weights, once a token; BERT-base's 85 million (without
    /// embeddings), 128 tokens; MiniLM's 10.6 million likewise.
    #[test]
    fn networks_are_complete() {
        let found: Vec<_> = networks()
            .iter()
            .map(|network| (network.name, network.count(), network.operations() / 2))
            .collect();
        let decoder = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008) + 32000 * 4096;
        let bert = 12 * (4 * 768 * 768 + 2 * 768 * 3072);
        let minilm = 6 * (4 * 384 * 384 + 2 * 384 * 1536);
        assert_eq!(
            found,
            [
                ("resnet50", 54, 4_087_136_256 + 1000 * 2048),
                ("mobilenetv2", 53, 299_494_272 + 1000 * 1280),
                ("yolo", 63, 4_371_456_000),
                ("bert_base", 73, 128 * bert + 768 * 768),
                ("minilm", 36, 128 * minilm),
                ("llm_7b_m1", 225, decoder),
                ("llm_7b_m8", 225, 8 * decoder),
                ("llm_7b_m128", 225, 128 * decoder),
            ]
        );
    }

    #[test]
    fn layers_to_compare_by_are_of_no_network() {
        let alone = |shapes: Vec<Shape>| shapes.iter().filter(|shape| shape.is_alone()).count();
        assert_eq!((alone(linear_shapes()), alone(conv_shapes())), (11, 10));
    }
}
