//! oneDNN through its C interface, of version 2 or 3, loaded at run time: no header and no library is needed to build
//! this. Weights are reordered once into the layout that oneDNN prefers; that and all creation is not timed.

use fewbit::scheme::RealFormat;
use fewbit_benches::formats::{self, halves};
use fewbit_benches::{Case, Kind, Layer, Runner};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

type Handle = *mut c_void;

// Constants of dnnl_types.h, the same in both versions but for the last two.
const CPU: c_int = 1;
const IN_ORDER: c_int = 1;
const TAG_ANY: c_int = 1;
const F16: c_int = 1;
const BF16: c_int = 2;
const F32: c_int = 3;
const S32: c_int = 4;
const S8: c_int = 5;
const U8: c_int = 6;
const FORWARD_INFERENCE: c_int = 96;
const CONVOLUTION_DIRECT: c_int = 1;
const QUERY_IMPLEMENTATION: c_int = 8;
const QUERY_WEIGHTS: c_int = 131;
const SRC: c_int = 1;
const DST: c_int = 17;
const WEIGHTS: c_int = 33;
const SCALES_3: c_int = 4096;
const ZERO_POINTS_3: c_int = 8192;

/// Calls a function of the library by name.
macro_rules! call {
    ($lib:expr, $name:literal, $($argument:expr => $form:ty),* ; $out:ty) => {{
        let function = $lib.symbol($name);
        // SAFETY: a function of oneDNN with the types that its header declares for this version, and arguments that live.
        unsafe {
            let function: unsafe extern "C" fn($($form),*) -> $out = std::mem::transmute(function);
            function($($argument),*)
        }
    }};
}

/// As `call`, for a function that returns a status.
macro_rules! checked {
    ($lib:expr, $name:literal, $($argument:expr => $form:ty),*) => {
        match call!($lib, $name, $($argument => $form),*; c_int) {
            0 => Ok(()),
            status => Err(format!("{}: status {status}", $name)),
        }
    };
}

/// The library, with a CPU engine and a stream.
pub struct OneDnn {
    library: Handle,
    major: c_int,
    engine: Handle,
    stream: Handle,
    /// Its version.
    pub version: String,
}

impl OneDnn {
    /// Loads the library of this name or path.
    pub fn load(names: &[String]) -> Result<OneDnn, String> {
        let open = |name: &String| {
            let name = CString::new(name.as_str()).ok()?;
            // SAFETY: a name that ends with 0. Loading runs the library's own constructors.
            let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
            (!library.is_null()).then_some(library)
        };
        let library = names.iter().find_map(open).ok_or("not found")?;
        let mut dnnl = OneDnn {
            library,
            major: 0,
            engine: null_mut(),
            stream: null_mut(),
            version: String::new(),
        };
        let version = call!(dnnl, "dnnl_version",; *const [c_int; 3]);
        // SAFETY: a constant of the library, which begins with major, minor and patch.
        let [major, minor, patch] = unsafe { version.read() };
        if major != 2 && major != 3 {
            return Err(format!("version {major} is neither 2 nor 3"));
        }
        (dnnl.major, dnnl.version) = (major, format!("{major}.{minor}.{patch}"));
        checked!(dnnl, "dnnl_engine_create", &mut dnnl.engine => *mut Handle, CPU => c_int, 0 => usize)?;
        checked!(dnnl, "dnnl_stream_create",
            &mut dnnl.stream => *mut Handle, dnnl.engine => Handle, IN_ORDER => c_int)?;
        Ok(dnnl)
    }

    fn symbol(&self, name: &str) -> Handle {
        let function = self.find(name);
        assert!(!function.is_null(), "oneDNN {} lacks {name}", self.version);
        function
    }

    /// A function of the library or of one that it is linked with; NULL if there is none.
    fn find(&self, name: &str) -> Handle {
        let text = CString::new(name).unwrap_or_default();
        // SAFETY: a loaded library and a name that ends with 0.
        unsafe { libc::dlsym(self.library, text.as_ptr()) }
    }

    /// How many threads primitives use that are made and run from now on.
    pub fn set_threads(&self, count: usize) -> Result<(), String> {
        let function = self.find("omp_set_num_threads");
        if function.is_null() {
            return if count == 1 { Ok(()) } else { Err("its threads are not OpenMP's".into()) };
        }
        // SAFETY: OpenMP's function, which takes an int and returns nothing.
        unsafe {
            let function: unsafe extern "C" fn(c_int) = std::mem::transmute(function);
            function(count as c_int);
        }
        Ok(())
    }

    /// A description of memory: with strides, or in the layout that the library likes best.
    fn describe(
        &self,
        form: c_int,
        dims: &[i64],
        strides: Option<&[i64]>,
    ) -> Result<Description, String> {
        let padded = |values: &[i64]| {
            let mut all = [0i64; 12];
            all[..values.len()].copy_from_slice(values);
            all
        };
        let (rank, dims) = (dims.len() as c_int, padded(dims));
        let mut made = Description { inline: Box::new([0; 128]), handle: null_mut() };
        let place: *mut c_void = if self.major == 2 {
            made.inline.as_mut_ptr().cast()
        } else {
            (&raw mut made.handle).cast()
        };
        match (strides, self.major) {
            (Some(strides), 2) => {
                checked!(self, "dnnl_memory_desc_init_by_strides", place => Handle, rank => c_int,
                dims.as_ptr() => *const i64, form => c_int, padded(strides).as_ptr() => *const i64)?
            }
            (None, 2) => {
                checked!(self, "dnnl_memory_desc_init_by_tag", place => Handle, rank => c_int,
                dims.as_ptr() => *const i64, form => c_int, TAG_ANY => c_int)?
            }
            (Some(strides), _) => {
                checked!(self, "dnnl_memory_desc_create_with_strides", place => Handle, rank => c_int,
                dims.as_ptr() => *const i64, form => c_int, padded(strides).as_ptr() => *const i64)?
            }
            (None, _) => {
                checked!(self, "dnnl_memory_desc_create_with_tag", place => Handle, rank => c_int,
                dims.as_ptr() => *const i64, form => c_int, TAG_ANY => c_int)?
            }
        }
        Ok(made)
    }

    fn memory(&self, description: *const c_void, data: *mut u8) -> Result<Handle, String> {
        let mut memory = null_mut();
        checked!(self, "dnnl_memory_create", &mut memory => *mut Handle, description => *const c_void,
            self.engine => Handle, data.cast() => Handle)?;
        Ok(memory)
    }

    fn primitive(&self, description: Handle) -> Result<Handle, String> {
        let mut primitive = null_mut();
        checked!(self, "dnnl_primitive_create", &mut primitive => *mut Handle, description => Handle)?;
        Ok(primitive)
    }

    fn execute(&self, primitive: Handle, arguments: &[Argument]) {
        let done =
            checked!(self, "dnnl_primitive_execute", primitive => Handle, self.stream => Handle,
            arguments.len() as c_int => c_int, arguments.as_ptr() => *const Argument)
            .and_then(|()| checked!(self, "dnnl_stream_wait", self.stream => Handle));
        done.expect("a primitive that was created");
    }

    /// A case as a primitive; `Err` says why oneDNN has none.
    pub fn prepare<'a>(&'a self, case: &Case) -> Result<Operation<'a>, String> {
        let out = match case.kind {
            Kind::S32 => S32,
            Kind::U8 => U8,
            Kind::F32 | Kind::Real => F32,
            Kind::Dynamic | Kind::DynamicRow => return Err("no dynamic quantization".into()),
        };
        let (input, filter) = if case.kind == Kind::Real { (F32, F32) } else { (U8, S8) };
        let mut attributes = null_mut();
        checked!(self, "dnnl_primitive_attr_create", &mut attributes => *mut Handle)?;
        let mut made = Operation::new(self, case.layer.outputs(), case.kind);
        if !matches!(case.kind, Kind::S32 | Kind::Real) {
            self.quantization(case, attributes, &mut made)?;
        }
        let mut description = null_mut();
        let int = |n: usize| n as i64;
        let (src, weights, plain, dst) = match case.layer {
            Layer::Linear { m, n, k } => {
                let (m, n, k) = (int(m), int(n), int(k));
                let src = self.describe(input, &[m, k], Some(&[k, 1]))?;
                let weights = self.describe(filter, &[k, n], None)?;
                let plain = self.describe(filter, &[k, n], Some(&[1, k]))?;
                let dst = self.describe(out, &[m, n], Some(&[n, 1]))?;
                description = self.matmul([&src, &weights, &dst], attributes)?;
                (src, weights, plain, dst)
            }
            Layer::Conv { size, inputs, outputs, kernel, stride, groups } => {
                let side = int(case.layer.side());
                let (size, c, o) = (int(size), int(inputs), int(outputs));
                let (kernel, g) = (int(kernel), int(groups));
                let i = c / g;
                let src = self.describe(
                    input,
                    &[1, c, size, size],
                    Some(&[size * size * c, 1, size * c, c]),
                )?;
                let dst = self.describe(
                    out,
                    &[1, o, side, side],
                    Some(&[side * side * o, 1, side * o, o]),
                )?;
                // Weights lie as O, height, width, I.
                let taps = [1, kernel * i, i];
                let each = kernel * kernel * i;
                let (dims, strides) = if g == 1 {
                    (vec![o, i, kernel, kernel], [&[each][..], &taps].concat())
                } else {
                    (vec![g, o / g, i, kernel, kernel], [&[o / g * each, each][..], &taps].concat())
                };
                let weights = self.describe(filter, &dims, None)?;
                let plain = self.describe(filter, &dims, Some(&strides))?;
                let (steps, pads, none) = ([int(stride); 12], [kernel / 2; 12], [0i64; 12]);
                if self.major == 2 {
                    let mut op = Box::new([0u64; 1024]);
                    checked!(self, "dnnl_convolution_forward_desc_init", op.as_mut_ptr() => *mut u64,
                        FORWARD_INFERENCE => c_int, CONVOLUTION_DIRECT => c_int, src.get() => *const c_void,
                        weights.get() => *const c_void, null() => *const c_void, dst.get() => *const c_void,
                        steps.as_ptr() => *const i64, pads.as_ptr() => *const i64, pads.as_ptr() => *const i64)?;
                    self.create_2(&mut description, &op, attributes)?;
                } else {
                    checked!(self, "dnnl_convolution_forward_primitive_desc_create", &mut description => *mut Handle,
                        self.engine => Handle, FORWARD_INFERENCE => c_int, CONVOLUTION_DIRECT => c_int,
                        src.get() => *const c_void, weights.get() => *const c_void, null() => *const c_void,
                        dst.get() => *const c_void, steps.as_ptr() => *const i64, none.as_ptr() => *const i64,
                        pads.as_ptr() => *const i64, pads.as_ptr() => *const i64, attributes => Handle)?;
                }
                (src, weights, plain, dst)
            }
        };
        let _ = weights;
        let bytes =
            |reals: &[f32]| -> Vec<u8> { reals.iter().flat_map(|x| x.to_ne_bytes()).collect() };
        let w = match case.kind {
            Kind::Real => bytes(&case.real_weights()),
            _ => case.weights.iter().map(|&code| code as u8).collect(),
        };
        let x = if case.kind == Kind::Real { bytes(&case.reals) } else { case.codes.clone() };
        self.complete(made, description, [&src, &plain, &dst], &x, &w)
    }

    /// A product of f16 or bf16 with f32 results; `Err` says why oneDNN has none.
    pub fn halves<'a>(
        &'a self,
        layer: &formats::Layer,
        real: RealFormat,
    ) -> Result<Operation<'a>, String> {
        let form = if real == RealFormat::Bf16 { BF16 } else { F16 };
        let [m, n, k] = layer.shape.map(|extent| extent as i64);
        let src = self.describe(form, &[m, k], Some(&[k, 1]))?;
        let weights = self.describe(form, &[k, n], None)?;
        let plain = self.describe(form, &[k, n], Some(&[1, k]))?;
        let dst = self.describe(F32, &[m, n], Some(&[n, 1]))?;
        let mut attributes = null_mut();
        checked!(self, "dnnl_primitive_attr_create", &mut attributes => *mut Handle)?;
        let description = self.matmul([&src, &weights, &dst], attributes)?;
        let bytes = |x: &[f32]| -> Vec<u8> {
            halves(x, real).into_iter().flat_map(u16::to_ne_bytes).collect()
        };
        let made = Operation::new(self, layer.shape[0] * layer.shape[1], Kind::Real);
        self.complete(made, description, [&src, &plain, &dst], &bytes(&layer.x), &bytes(&layer.w))
    }

    /// The description of a product.
    fn matmul(
        &self,
        [src, weights, dst]: [&Description; 3],
        attributes: Handle,
    ) -> Result<Handle, String> {
        let mut description = null_mut();
        if self.major == 2 {
            let mut op = Box::new([0u64; 1024]);
            checked!(self, "dnnl_matmul_desc_init", op.as_mut_ptr() => *mut u64, src.get() => *const c_void,
                weights.get() => *const c_void, null() => *const c_void, dst.get() => *const c_void)?;
            self.create_2(&mut description, &op, attributes)?;
        } else {
            checked!(self, "dnnl_matmul_primitive_desc_create", &mut description => *mut Handle,
                self.engine => Handle, src.get() => *const c_void, weights.get() => *const c_void,
                null() => *const c_void, dst.get() => *const c_void, attributes => Handle)?;
        }
        Ok(description)
    }

    /// Makes the primitive, reorders its weights, and gives it memory.
    fn complete<'a>(
        &'a self,
        mut made: Operation<'a>,
        description: Handle,
        [src, plain, dst]: [&Description; 3],
        x: &[u8],
        w: &[u8],
    ) -> Result<Operation<'a>, String> {
        made.primitive = self.primitive(description)?;
        let mut name: *const c_char = null();
        checked!(self, "dnnl_primitive_desc_query", description => Handle, QUERY_IMPLEMENTATION => c_int, 0 => c_int,
            (&raw mut name).cast() => Handle)?;
        // SAFETY: a text of the library's that lives as long as the description, which is never destroyed.
        made.name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();

        let packed = call!(self, "dnnl_primitive_desc_query_md", description => Handle, QUERY_WEIGHTS => c_int,
            0 => c_int; *const c_void);
        let size = call!(self, "dnnl_memory_desc_get_size", packed => *const c_void; usize);
        let from = made.buffer(w, w.len());
        let to = made.buffer(&[], size);
        let (from, to) = (self.memory(plain.get(), from)?, self.memory(packed, to)?);
        let mut reorder = null_mut();
        checked!(self, "dnnl_reorder_primitive_desc_create", &mut reorder => *mut Handle, plain.get() => *const c_void,
            self.engine => Handle, packed => *const c_void, self.engine => Handle, null_mut() => Handle)?;
        let pack = [Argument { number: SRC, memory: from }, Argument { number: DST, memory: to }];
        self.execute(self.primitive(reorder)?, &pack);

        let x = made.buffer(x, x.len());
        let x = self.memory(src.get(), x)?;
        let bytes = made.y * if made.kind == Kind::U8 { 1 } else { 4 };
        let y = made.buffer(&[], bytes);
        let y = self.memory(dst.get(), y)?;
        for (number, memory) in [(SRC, x), (WEIGHTS, to), (DST, y)] {
            made.arguments.push(Argument { number, memory });
        }
        Ok(made)
    }

    fn create_2(
        &self,
        to: &mut Handle,
        op: &[u64; 1024],
        attributes: Handle,
    ) -> Result<(), String> {
        checked!(self, "dnnl_primitive_desc_create", to => *mut Handle, op.as_ptr() => *const u64,
            attributes => Handle, self.engine => Handle, null() => *const c_void)
    }

    /// Scales and zero points: version 2 has one scale for each output and all as attributes, version 3 takes them as
    /// arguments of the run.
    fn quantization(
        &self,
        case: &Case,
        attributes: Handle,
        made: &mut Operation<'_>,
    ) -> Result<(), String> {
        let channels = case.scales.len();
        let (y_scale, y_zero) = (case.y().scale, case.y().zero_point);
        let zeros = [(SRC, case.x.zero_point), (DST, y_zero)];
        let zeros = &zeros[..if case.kind == Kind::U8 { 2 } else { 1 }];
        if self.major == 2 {
            let scales: Vec<f32> = case.scales.iter().map(|w| case.x.scale * w / y_scale).collect();
            checked!(self, "dnnl_primitive_attr_set_output_scales", attributes => Handle, channels as i64 => i64,
                2 => c_int, scales.as_ptr() => *const f32)?;
            for (argument, zero) in zeros {
                checked!(self, "dnnl_primitive_attr_set_zero_points", attributes => Handle, *argument => c_int,
                    1 => i64, 0 => c_int, zero => *const i32)?;
            }
            return Ok(());
        }
        let by_channel = match case.layer {
            Layer::Linear { .. } => 2,
            Layer::Conv { groups: 1, .. } => 1,
            Layer::Conv { .. } => 3,
        };
        let scales = [
            (SRC, 0, vec![case.x.scale]),
            (WEIGHTS, by_channel, case.scales.clone()),
            (DST, 0, vec![y_scale]),
        ];
        for (argument, mask, values) in &scales[..if case.kind == Kind::U8 { 3 } else { 2 }] {
            checked!(self, "dnnl_primitive_attr_set_scales_mask", attributes => Handle, *argument => c_int,
                *mask => c_int)?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
            made.extra(SCALES_3 | argument, F32, values.len(), &bytes)?;
        }
        for (argument, zero) in zeros {
            checked!(self, "dnnl_primitive_attr_set_zero_points_mask", attributes => Handle, *argument => c_int,
                0 => c_int)?;
            made.extra(ZERO_POINTS_3 | argument, S32, 1, &zero.to_ne_bytes())?;
        }
        Ok(())
    }
}

/// Version 2 fills a structure of the caller's, version 3 makes a handle.
struct Description {
    inline: Box<[u64; 128]>,
    handle: Handle,
}

impl Description {
    fn get(&self) -> *const c_void {
        if self.handle.is_null() { self.inline.as_ptr().cast() } else { self.handle }
    }
}

#[repr(C)]
struct Argument {
    number: c_int,
    memory: Handle,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A primitive with its operands. What oneDNN allocated for it is left to the end of the process.
pub struct Operation<'a> {
    dnnl: &'a OneDnn,
    primitive: Handle,
    /// The implementation's name.
    pub name: String,
    arguments: Vec<Argument>,
    buffers: Vec<Vec<Line>>,
    y: usize,
    kind: Kind,
}

impl<'a> Operation<'a> {
    /// Of `y` results, without anything yet.
    fn new(dnnl: &'a OneDnn, y: usize, kind: Kind) -> Operation<'a> {
        Operation {
            dnnl,
            primitive: null_mut(),
            name: String::new(),
            arguments: Vec::new(),
            buffers: Vec::new(),
            y,
            kind,
        }
    }

    /// Aligned memory that begins with `bytes`, and lives as long as this.
    fn buffer(&mut self, bytes: &[u8], size: usize) -> *mut u8 {
        let mut lines = vec![Line([0; 64]); size.div_ceil(64) + 1];
        let begin: *mut u8 = lines.as_mut_ptr().cast();
        // SAFETY: at least `size` bytes, and no more are given. A vector's memory stays where it is when it is moved.
        unsafe { begin.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len().min(size)) };
        self.buffers.push(lines);
        begin
    }

    fn extra(
        &mut self,
        number: c_int,
        form: c_int,
        count: usize,
        bytes: &[u8],
    ) -> Result<(), String> {
        let description = self.dnnl.describe(form, &[count as i64], Some(&[1]))?;
        let data = self.buffer(bytes, bytes.len());
        let memory = self.dnnl.memory(description.get(), data)?;
        self.arguments.push(Argument { number, memory });
        Ok(())
    }
}

impl Runner for Operation<'_> {
    fn time(&mut self, calls: usize) -> f64 {
        fewbit_benches::clock(calls, || self.dnnl.execute(self.primitive, &self.arguments))
    }

    fn result(&mut self) -> Vec<f64> {
        self.dnnl.execute(self.primitive, &self.arguments);
        let y: *const u8 = self.buffers.last().map_or(null(), |lines| lines.as_ptr().cast());
        // SAFETY: the last buffer holds `y` results of this kind.
        unsafe {
            match self.kind {
                Kind::U8 => (0..self.y).map(|i| f64::from(y.add(i).read())).collect(),
                Kind::S32 => {
                    (0..self.y).map(|i| f64::from(y.cast::<i32>().add(i).read())).collect()
                }
                _ => (0..self.y).map(|i| f64::from(y.cast::<f32>().add(i).read())).collect(),
            }
        }
    }
}
