//! One case with everyone, in turns.

use crate::onednn::OneDnn;
use crate::onnxruntime::OnnxRuntime;
use fewbit::dispatch;
use fewbit_benches::{Base, Case, Effort, Kind, Layer, Ours, Runner, Threads, Watch, in_turns};

/// Who is compared with, in the order of tables.
pub const PEERS: [&str; 2] = ["oneDNN", "onnxruntime"];

/// Everyone who is there, and how they are timed.
pub struct Field {
    pub dnnl: Option<OneDnn>,
    pub runtime: Option<OnnxRuntime>,
    pub narrow: bool,
    pub effort: Effort,
}

/// What a peer needs, in nanoseconds, and the share of its results that are wrong.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub time: f64,
    pub wrong: f64,
}

/// A case's times. What is not there has NaN.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub operations: f64,
    /// fewbit's; of f32 by f32 that of the crate `gemm`.
    pub ours: f64,
    pub peers: [Peer; 2],
    /// Names of the kernels, or why there is none.
    pub kernels: String,
}

impl Comparison {
    /// Billions of operations a second.
    pub fn rate(&self) -> f64 {
        self.operations / self.ours
    }

    /// The peers that are there: name, billions of operations a second, share of wrong results.
    pub fn rates(&self) -> impl Iterator<Item = (&'static str, f64, f64)> {
        let named = PEERS.into_iter().zip(&self.peers);
        named
            .filter(|(_, peer)| !peer.time.is_nan())
            .map(|(name, peer)| (name, self.operations / peer.time, peer.wrong))
    }
}

impl Field {
    /// Times a layer with everyone. By-row parameters are fewbit's only: peers are timed, and their results looked at, with
    /// parameters for the whole input.
    pub fn compare(
        &mut self,
        layer: Layer,
        kind: Kind,
        threads: &Threads,
        watch: &mut Watch,
    ) -> Comparison {
        let supported = dispatch::supported().expect("FEWBIT_ISA");
        let case = Case::new(layer, kind, self.narrow);
        let (mut base, mut ours);
        let (us, mut kernels): (&mut dyn Runner, String) = if kind == Kind::Real {
            base = Base::new(&case, threads);
            (&mut base, "crate gemm".into())
        } else {
            ours = Ours::warm(&case, supported, threads);
            let name = ours.kernel().into();
            (&mut ours, name)
        };
        let mut want = us.result();
        case.check(&want, &kernels);
        let theirs = if kind == Kind::DynamicRow {
            let case = Case::new(layer, Kind::Dynamic, self.narrow);
            want = Ours::warm(&case, supported, &Threads::ONE).result();
            case.check(&want, &kernels);
            case
        } else {
            case
        };

        let count = threads.count();
        let mut peers: [Option<Box<dyn Runner + '_>>; 2] = [None, None];
        if let Some(dnnl) = &self.dnnl {
            match dnnl.set_threads(count).and_then(|()| dnnl.prepare(&theirs)) {
                Ok(operation) => {
                    kernels = format!("{kernels}; {}", operation.name);
                    peers[0] = Some(Box::new(operation));
                }
                Err(why) => kernels = format!("{kernels}; {why}"),
            }
        }
        peers[1] = self
            .runtime
            .as_mut()
            .and_then(|runtime| runtime.prepare(&theirs, count))
            .map(|session| Box::new(session) as _);
        let wrong = peers.each_mut().map(|peer| {
            peer.as_mut().map_or(f64::NAN, |peer| theirs.differing(&want, &peer.result()))
        });

        let mut runners: Vec<Option<&mut dyn Runner>> = vec![Some(us)];
        runners.extend(
            peers.iter_mut().map(|peer| peer.as_mut().map(|peer| &mut **peer as &mut dyn Runner)),
        );
        // Threads of other libraries spin for a while after their work; nobody is timed meanwhile.
        let pause = if count > 1 { 2e7 } else { 0.0 };
        let times = in_turns(&mut runners, Effort { pause, ..self.effort }, watch);
        let peers = [0, 1].map(|i| Peer { time: times[i + 1], wrong: wrong[i] });
        Comparison { operations: layer.operations() as f64, ours: times[0], peers, kernels }
    }
}
