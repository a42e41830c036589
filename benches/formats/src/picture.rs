//! The table as a picture: for each format a bar of how many times as fast as f32 it is, at both layers, and one of its
//! ratio of signal to noise.

use crate::measure::Line;
use crate::text::{name, short};
use fewbit_benches::machine;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

/// Where names end and bars begin.
const NAMES: i32 = 190;
const PANEL: i32 = 250;
/// The longest bar; behind it is room for its number.
const LONGEST: f64 = 170.0;
const HEADER: i32 = 58;
const LINE: i32 = 22;
const BAR: i32 = 13;
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 3] =
    [RGBColor(0x2f, 0x7e, 0xb8), RGBColor(0x3c, 0x9d, 0x5b), RGBColor(0xe0, 0x8f, 0x2c)];

/// A panel: its heading, and of each line how long its bar is and what stands beside it.
struct Panel {
    title: String,
    bars: Vec<(f64, String)>,
}

fn panels(lines: &[Line], shapes: [[usize; 3]; 2]) -> [Panel; 3] {
    let speed = |at: usize| Panel {
        title: format!("{}: times as fast as f32", name(shapes[at])),
        bars: lines
            .iter()
            .map(|line| {
                let speed = line.speeds[at];
                (speed.ratio, format!("{:.2} ({} GOPS)", speed.ratio, short(speed.rate)))
            })
            .collect(),
    };
    let errors = lines.iter().map(|line| (line.errors[0], format!("{:.0} dB", line.errors[0])));
    let title = "signal to noise, normal operands".into();
    [speed(0), speed(1), Panel { title, bars: errors.collect() }]
}

/// Writes the picture.
///
/// # Errors
/// If it cannot be written.
pub fn write(lines: &[Line], shapes: [[usize; 3]; 2], path: &Path) -> Result<(), Box<dyn Error>> {
    let panels = panels(lines, shapes);
    let width = NAMES + PANEL * panels.len() as i32;
    let height = HEADER + LINE * lines.len() as i32 + 10;
    let root = SVGBackend::new(path, (width as u32, height as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(machine(), (10, 8), (FONT, 13)))?;
    for (at, line) in lines.iter().enumerate() {
        let top = HEADER + LINE * at as i32;
        root.draw(&Text::new(line.format.name, (10, top), (FONT, 13)))?;
    }
    for (at, (panel, colour)) in panels.iter().zip(COLOURS).enumerate() {
        let left = NAMES + PANEL * at as i32;
        root.draw(&Text::new(panel.title.as_str(), (left, HEADER - 24), (FONT, 13)))?;
        let longest = panel.bars.iter().fold(f64::MIN_POSITIVE, |most, bar| most.max(bar.0));
        for (i, (value, text)) in panel.bars.iter().enumerate() {
            let top = HEADER + LINE * i as i32;
            let right = left + (value.max(0.0) / longest * LONGEST * 0.62) as i32;
            let bar = [(left, top), (right, top + BAR)];
            root.draw(&Rectangle::new(bar, colour.filled()))?;
            root.draw(&Text::new(text.as_str(), (right + 5, top), (FONT, 12)))?;
        }
    }
    root.present()?;
    Ok(())
}
