//! The plot of growth, as SVG.

use std::fmt::Write;

/// One stage of growth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) admins: u64,
    pub(crate) per_second: f64,
    pub(crate) memory_mib: f64,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 300.0;
const COMMANDS: &str = "#2563eb";
const MEMORY: &str = "#c2410c";

/// Commands per second on the left axis and memory on the right, over admins on a logarithmic scale. Both scales start
/// at zero, so that a decline appears in proportion.
pub(crate) fn growth(points: &[Point], clients: usize) -> String {
    let logarithm = |point: &Point| (point.admins.max(1) as f64).log10();
    let (first, last) = (points.first().map_or(0.0, logarithm), points.last().map_or(1.0, logarithm));
    let x = |point: &Point| LEFT + (RIGHT - LEFT) * (logarithm(point) - first) / (last - first).max(f64::EPSILON);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"14\">Cost of growth: renames over HTTP, {clients} clients</text>\n\
         <path d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}V{TOP}\" fill=\"none\" stroke=\"#555\"/>\n"
    );
    for point in points {
        text(&mut svg, x(point), BOTTOM + 18.0, "middle", "#555", &thousands(point.admins));
    }
    text(&mut svg, f64::midpoint(LEFT, RIGHT), BOTTOM + 40.0, "middle", "#555", "admins");
    series(&mut svg, points, &x, |point| point.per_second, COMMANDS, ("commands/s", LEFT - 8.0, "end"));
    series(&mut svg, points, &x, |point| point.memory_mib, MEMORY, ("resident MiB", RIGHT + 8.0, "start"));
    svg + "</svg>\n"
}

fn series(
    svg: &mut String,
    points: &[Point],
    x: &impl Fn(&Point) -> f64,
    value: impl Fn(&Point) -> f64,
    colour: &str,
    (name, axis, anchor): (&str, f64, &str),
) {
    let top = ceiling(points.iter().map(&value).fold(0.0, f64::max));
    let y = |value: f64| BOTTOM - (BOTTOM - TOP) * value / top;
    text(svg, axis, TOP - 10.0, anchor, colour, name);
    for step in 0..=4 {
        let value = top * f64::from(step) / 4.0;
        text(svg, axis, y(value) + 4.0, anchor, colour, &thousands(value.round() as u64));
    }
    let line: Vec<_> = points.iter().map(|point| format!("{:.1},{:.1}", x(point), y(value(point)))).collect();
    let _ =
        writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", line.join(" "));
    for point in points {
        let (x, y) = (x(point), y(value(point)));
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
        text(svg, x, y - 9.0, "middle", colour, &thousands(value(point).round() as u64));
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, colour: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>");
}

/// The next of 1, 2, 4, 6, 8 times a power of ten, so that the marks are round numbers.
fn ceiling(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1.0).log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 20.0]
        .map(|step| step * power)
        .into_iter()
        .find(|top| *top >= value * 1.1)
        .unwrap_or(value)
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::{Point, ceiling, growth};

    #[test]
    fn every_stage_is_in_the_plot() {
        let stage = |admins, per_second| Point { admins, per_second, memory_mib: 50.0 };
        let svg = growth(&[stage(10_000, 9_000.0), stage(1_000_000, 8_500.0)], 64);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        for label in ["10,000", "1,000,000", "9,000", "8,500", "64 clients"] {
            assert!(svg.contains(label), "{label}");
        }
    }

    #[test]
    fn scales_end_above_the_highest_value() {
        assert_eq!([0.0, 9.5, 95.0, 180.0].map(ceiling), [1.0, 20.0, 200.0, 200.0]);
    }
}
