//! Loads, stores and what goes across lanes: methods that are not lane by lane.

use super::N;
use super::backend::{Answers, Element, Four, scalar, vectors};
use fewbit_simd::Isa;
use fewbit_testkit::GuardedBuf;

#[test]
fn four_vectors_are_stored_one_behind_the_other() {
    let mut rng = fewbit_testkit::Rng::new(60);
    let mut buf = GuardedBuf::new(4096);
    let (base, len) = (buf.as_mut_ptr(), buf.len());
    for backend in vectors().into_iter().chain([scalar()]) {
        let isa = backend.isa.map_or("scalar", Isa::name);
        let lanes = 4 * backend.lanes;
        for round in 0..2000 {
            let values: [i32; 4 * N] = std::array::from_fn(|_| match rng.below(4) {
                0 => {
                    rng.pick(&[i32::MIN, i32::MAX, -129, -128, 127, 128, 255, 256, 32_768, -32_769])
                }
                1 => rng.next_u32() as i32,
                2 => rng.below(80_000) as i32 - 40_000,
                _ => rng.below(600) as i32 - 300,
            });
            for four in Four::ALL {
                let want: Vec<u8> =
                    values[..lanes].iter().flat_map(|&lane| four.stored(lane)).collect();
                let n = want.len();
                let at = [0, round % 64, len - n][round % 3];
                // SAFETY: `at + n <= len`; the list holds what the CPU has.
                let got = unsafe {
                    base.write_bytes(0xA5, len);
                    (backend.pack)(&values, base.add(at), four);
                    std::slice::from_raw_parts(base, len)
                };
                assert_eq!(got[at..at + n], want, "{isa} {four:?}");
                let mut rest = got[..at].iter().chain(&got[at + n..]);
                assert!(rest.all(|&b| b == 0xA5), "{isa} {four:?} wrote outside");
            }
        }
    }
}

/// The questions, answered without vectors.
fn answers(a: &[i32], x: &[i32]) -> Answers {
    let is_zero = a.iter().all(|&v| v == 0);
    Answers {
        is_zero,
        is_zero_without_nan: is_zero && !x.iter().any(|&v| f32::from_bits(v as u32).is_nan()),
        any_low_zero: x.iter().any(|&v| v as u16 == 0),
    }
}

#[test]
fn questions_about_whole_vectors() {
    const INFINITY: i32 = 0x7F80_0000;
    for backend in vectors().into_iter().chain([scalar()]) {
        let isa = backend.isa.map_or("scalar", Isa::name);
        let lanes = backend.lanes;
        let check = |a: &[i32; N], x: &[i32; 4 * N]| {
            // SAFETY: the list holds what the CPU has.
            let got = unsafe { (backend.ask)(a, x) };
            assert_eq!(got, answers(&a[..lanes], &x[..4 * lanes]), "{isa} {a:?} {x:?}");
        };
        // One lane that differs, in each place; what is beyond the backend's lanes must not matter.
        for plain in [1, 0x3F80_0001, -0x1234_5679] {
            let mut x = [plain; 4 * N];
            x[4 * lanes..].fill(INFINITY);
            for lane in 0..4 * lanes {
                let others =
                    [0, INFINITY, INFINITY | 1, -1, i32::MIN, 0x7FC0_0000, 0x1_0000, 0xFFFF];
                for other in others {
                    x[lane] = other;
                    check(&[0; N], &x);
                    let mut a = [0; N];
                    a[lane / 4] = 1 << (lane % 32);
                    check(&a, &x);
                }
                x[lane] = plain;
            }
        }
    }
}

#[test]
fn ends_across_lanes() {
    let mut rng = fewbit_testkit::Rng::new(61);
    for backend in vectors().into_iter().chain([scalar()]) {
        for _ in 0..10_000 {
            let values: [f32; N] = std::array::from_fn(|_| match rng.any_f32() {
                x if x.is_nan() => rng.pick(&[0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY]),
                x => x,
            });
            let lanes = &values[..backend.lanes];
            let want = (
                lanes.iter().copied().fold(f32::INFINITY, f32::min),
                lanes.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            );
            // SAFETY: the list holds what the CPU has.
            assert_eq!(unsafe { (backend.across)(&values) }, want);
            let values: [i32; N] = std::array::from_fn(|_| match rng.below(4) {
                0 => rng.pick(&[i32::MIN, i32::MAX, -1, 0, 1]),
                _ => rng.next_u32() as i32,
            });
            let lanes = &values[..backend.lanes];
            let sum = lanes.iter().fold(0_i32, |sum, &lane| sum.wrapping_add(lane));
            let want = (*lanes.iter().min().unwrap(), *lanes.iter().max().unwrap(), sum);
            // SAFETY: the list holds what the CPU has.
            assert_eq!(unsafe { (backend.across_int)(&values) }, want);
        }
    }
}

#[test]
fn bytes_added_to_lanes() {
    let mut buffer = GuardedBuf::new(4 * N);
    for (acc, flip) in [(0, 0), (0, 0x80), (-7, 0xFF), (i32::MAX, 0)] {
        for round in 0..64_usize {
            let bytes: Vec<u8> = match round {
                0 => vec![255; 4 * N],
                1 => vec![0; 4 * N],
                _ => (0..4 * N).map(|i| ((i * 37 + round * 101) % 256) as u8).collect(),
            };
            for backend in vectors().into_iter().chain([scalar()]) {
                let bytes = &bytes[..4 * backend.lanes];
                let sum = bytes.iter().map(|&b| i32::from(b ^ flip)).sum::<i32>();
                let want = acc.wrapping_mul(backend.lanes as i32).wrapping_add(sum);
                // SAFETY: the list holds what the CPU has; the bytes end where the buffer does.
                let got = unsafe { (backend.add_bytes)(buffer.at_end(bytes), acc, flip) };
                assert_eq!(got, want);
            }
        }
    }
}
/// What a load of `bytes` should give in each lane.
fn loaded(element: Element, bytes: &[u8]) -> [i32; N] {
    let mut lanes = [0; N];
    for (lane, code) in lanes.iter_mut().zip(bytes.chunks_exact(element.size())) {
        *lane = match *code {
            [b] if element == Element::I8 => i32::from(b as i8),
            [b] if element == Element::HighU8 => i32::from(b) << 8,
            [b] => i32::from(b),
            [a, b] => i32::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
            _ => unreachable!(),
        };
    }
    lanes
}

#[test]
fn loads_and_stores_touch_their_elements_only() {
    let mut buf = GuardedBuf::new(4096);
    let (base, len) = (buf.as_mut_ptr(), buf.len());
    let values: [i32; N] = std::array::from_fn(|i| (i as i32 - 7).wrapping_mul(0x1357_9BDF));
    let mut backends = vectors();
    backends.push(scalar());
    for backend in &backends {
        let isa = backend.isa.map_or("scalar", Isa::name);
        for element in Element::ALL {
            for n in 1..=backend.lanes {
                let bytes = n * element.size();
                // Against the lower guard, at odd addresses, and against the upper guard.
                for at in (0..9).chain([len - bytes]) {
                    let context = format!("{isa} {element:?} n {n} at {at}");
                    let mut lanes = [-1; N];
                    // SAFETY: `at + bytes <= len`; `backends` lists what the CPU has.
                    let around = unsafe {
                        for i in 0..len {
                            base.add(i).write((i * 37 + 11) as u8);
                        }
                        (backend.load)(element, base.add(at), n, &mut lanes);
                        let source = std::slice::from_raw_parts(base.add(at), bytes);
                        let want = loaded(element, source);
                        assert_eq!(lanes[..n], want[..n], "load {context}");
                        assert!(lanes[n..backend.lanes].iter().all(|&v| v == 0), "load {context}");
                        base.write_bytes(0xA5, len);
                        (backend.store)(element, base.add(at), n, &values);
                        std::slice::from_raw_parts(base, len)
                    };
                    let want: Vec<u8> = values[..n]
                        .iter()
                        .flat_map(|v| v.to_le_bytes()[..element.size()].to_vec())
                        .collect();
                    assert_eq!(around[at..at + bytes], want, "store {context}");
                    let rest = around[..at].iter().chain(&around[at + bytes..]);
                    assert!(rest.copied().all(|b| b == 0xA5), "store {context} wrote outside");
                }
            }
        }
    }
}
