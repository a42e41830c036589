//! Whatever the range, the parameters chosen are parameters that the other functions accept.

use fewbit_scheme::{IntFormat, ParamSpec, Scheme, SymmetricRange, params_from_range};

#[test]
fn every_range_gives_valid_parameters() {
    let ends = [0.0, 1e-45, 1e-38, 1.0, 255.0, 1e38, f32::MAX, f32::INFINITY];
    let ends: Vec<f32> = ends.iter().flat_map(|&x| [-x, x]).collect();
    for format in [
        IntFormat::S8,
        IntFormat::U8,
        IntFormat::S16,
        IntFormat::S4,
        IntFormat::U4,
        IntFormat::S2,
        IntFormat::U1,
        IntFormat::B1,
    ] {
        for scheme in [Scheme::Affine, Scheme::Symmetric] {
            for range in [SymmetricRange::Narrow, SymmetricRange::Full] {
                for power_of_two in [false, true] {
                    let spec = ParamSpec { format, scheme, range, power_of_two };
                    for &min in &ends {
                        for &max in ends.iter().filter(|&&max| min <= max) {
                            let params = params_from_range(min, max, &spec).unwrap();
                            let checked = params.check(format);
                            assert!(
                                checked.is_ok(),
                                "{spec:?} {min} {max}: {params:?} {checked:?}"
                            );
                        }
                    }
                    let empty = params_from_range(f32::INFINITY, f32::NEG_INFINITY, &spec).unwrap();
                    assert_eq!(empty.scale, 1.0);
                    assert!(empty.check(format).is_ok());
                }
            }
        }
    }
}
