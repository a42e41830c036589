//! The report as a picture: a panel an op, a group of bars a size, a bar a kernel, each as its share of
//! the limit, which is the line at 1. Above the line stands what the limit is.

use crate::results::{Entry, Results, kernel_order};
use fewbit_benches::SIZES;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

const COLUMNS: usize = 4;
const PANEL: (u32, u32) = (320, 190);
const HEADER: u32 = 36;
/// The largest share shown: there is room for the limit above the line.
const TOP: f64 = 1.25;
/// Below 0 stand the sizes.
const BOTTOM: f64 = -0.15;
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 5] = [
    RGBColor(0x9a, 0x9a, 0x9a),
    RGBColor(0xe0, 0x8f, 0x2c),
    RGBColor(0x2f, 0x7e, 0xb8),
    RGBColor(0x3c, 0x9d, 0x5b),
    RGBColor(0x8c, 0x5f, 0xa8),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Writes the picture of the arrays; whether there was anything to show.
pub fn write(results: &Results, path: &Path) -> Result<bool, Box<dyn Error>> {
    let arrays: Vec<&Entry> =
        results.entries.iter().filter(|e| e.is_array() && results.limit(e).is_some()).collect();
    if arrays.is_empty() {
        return Ok(false);
    }
    let mut kernels: Vec<&str> = arrays.iter().map(|e| e.kernel.as_str()).collect();
    kernels.sort_by_key(|kernel| (kernel_order(kernel), *kernel));
    kernels.dedup();
    let panels: Vec<&[&Entry]> =
        arrays.chunk_by(|a, b| (&a.op, &a.types) == (&b.op, &b.types)).collect();
    let (columns, rows) = (COLUMNS.min(panels.len()), panels.len().div_ceil(COLUMNS));
    let size = (PANEL.0 * columns.max(2) as u32, HEADER + PANEL.1 * rows as u32);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (header, body) = root.split_vertically(HEADER);
    legend(&header, &kernels)?;
    for (area, panel) in body.split_evenly((rows, columns)).iter().zip(panels) {
        draw(area, panel, &kernels, results)?;
    }
    root.present()?;
    Ok(true)
}

fn colour(kernel: usize) -> RGBColor {
    COLOURS[kernel % COLOURS.len()]
}

fn legend(area: &Area<'_>, kernels: &[&str]) -> Result<(), Box<dyn Error>> {
    area.draw(&Text::new("Share of the limit (red line, GB/s above it)", (12, 12), (FONT, 14)))?;
    for (i, kernel) in kernels.iter().enumerate() {
        let x = 330 + 80 * i as i32;
        area.draw(&Rectangle::new([(x, 12), (x + 12, 24)], colour(i).filled()))?;
        area.draw(&Text::new(*kernel, (x + 17, 12), (FONT, 14)))?;
    }
    Ok(())
}

fn draw(
    area: &Area<'_>,
    panel: &[&Entry],
    kernels: &[&str],
    results: &Results,
) -> Result<(), Box<dyn Error>> {
    let title = panel.first().map(|e| format!("{} {}", e.op, e.types)).unwrap_or_default();
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .caption(title, (FONT, 15))
        .y_label_area_size(28)
        .build_cartesian_2d(0.0..SIZES.len() as f64, BOTTOM..TOP)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(TRANSPARENT)
        .y_labels(6)
        .y_label_formatter(&|y| if *y < 0.0 { String::new() } else { format!("{y:.1}") })
        .label_style((FONT, 11))
        .draw()?;
    for (at, (size, _)) in SIZES.iter().enumerate() {
        let group: Vec<&&Entry> = panel.iter().filter(|e| e.shape == *size).collect();
        let Some(limit) = group.first().and_then(|e| results.limit(e)) else { continue };
        let (left, width) = (at as f64 + 0.1, 0.8 / kernels.len() as f64);
        for (i, kernel) in kernels.iter().enumerate() {
            let Some(e) = group.iter().find(|e| e.kernel == *kernel) else { continue };
            let share = (e.rate() / limit.rate()).min(TOP);
            let from = left + width * i as f64;
            let bar = [(from, 0.0), (from + width * 0.92, share)];
            chart.draw_series([Rectangle::new(bar, colour(i).filled())])?;
        }
        let line = [(left - 0.05, 1.0), (left + 0.85, 1.0)];
        chart.draw_series([PathElement::new(line, RED.stroke_width(2))])?;
        let text = format!("{:.0}", limit.rate());
        chart.draw_series([
            Text::new(text, (left + 0.25, TOP - 0.04), (FONT, 11)),
            Text::new(size.to_string(), (left + 0.2, -0.03), (FONT, 11)),
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::results;

    #[test]
    fn a_picture_has_a_bar_for_each_kernel() {
        let path = std::env::temp_dir().join(format!("fewbit-report-{}.svg", std::process::id()));
        assert!(write(&results(), &path).unwrap());
        let svg = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for text in ["quantize f32s8", "scalar", "avx512", "4Ki", "256"] {
            assert!(svg.contains(text), "{text}");
        }
        let none = Results { entries: Vec::new(), minutes: 0 };
        assert!(!write(&none, &path).unwrap());
    }
}
