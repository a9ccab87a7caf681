//! Small SVG plots: lines over two axes, a legend, nothing else.
//!
//! Used by the program `plots`. Written by hand because what is needed is two hundred lines, and a plotting crate
//! would be the largest dependency of the workspace.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 56.0;
/// Told apart by colour-blind readers too (the set of Okabe and Ito).
const COLORS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

/// One axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    /// Values marked on it, in rising order, and their text. The first and last are its ends.
    pub ticks: Vec<(f64, String)>,
    /// Logarithmic; all ticks are above 0.
    pub logarithmic: bool,
}

/// A named line.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Points in the order in which they are joined; those beyond the axes are drawn at their ends.
    pub points: Vec<(f64, f64)>,
}

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Its heading.
    pub title: String,
    /// Horizontal.
    pub x: Axis,
    /// Vertical.
    pub y: Axis,
    /// What is drawn.
    pub series: Vec<Series>,
}

impl Axis {
    /// An axis by powers of ten that covers `low..=high`, both above 0.
    #[must_use]
    pub fn decades(label: &str, low: f64, high: f64) -> Self {
        let (low, high) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let ticks = (low..=high.max(low + 1)).map(|power| {
            let value = 10f64.powi(power);
            (value, format!("{value}"))
        });
        Self { label: label.into(), ticks: ticks.collect(), logarithmic: true }
    }

    /// An axis from 0 with about five round steps that covers `high`.
    #[must_use]
    pub fn from_zero(label: &str, high: f64) -> Self {
        let rough = high.max(1e-9) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let count = (high / step).ceil().max(1.0) as u32;
        let ticks = (0..=count).map(|tick| {
            let value = f64::from(tick) * step;
            (value, format!("{}", (value * 1e9).round() / 1e9))
        });
        Self { label: label.into(), ticks: ticks.collect(), logarithmic: false }
    }

    /// Where a value lies: 0 at the first tick, 1 at the last.
    fn place(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.logarithmic { value.max(1e-300).log10() } else { value };
        let (low, high) = (scale(self.ticks[0].0), scale(self.ticks[self.ticks.len() - 1].0));
        ((scale(value) - low) / (high - low)).clamp(0.0, 1.0)
    }
}

impl Plot {
    /// The plot as an SVG document.
    #[must_use]
    pub fn svg(&self) -> String {
        let x = |value: f64| LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        let mut text = |at: (f64, f64), anchor: &str, extra: &str, text: &str| {
            writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\"{extra}>{}</text>",
                at.0,
                at.1,
                escaped(text)
            )
            .expect("a String takes every write");
        };
        let middle = (TOP + HEIGHT - BOTTOM) / 2.0;
        text((LEFT, 22.0), "start", " font-size=\"14\" font-weight=\"bold\"", &self.title);
        text(((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 14.0), "middle", "", &self.x.label);
        text((18.0, middle), "middle", &format!(" transform=\"rotate(-90 18 {middle:.1})\""), &self.y.label);
        for (value, label) in &self.x.ticks {
            text((x(*value), HEIGHT - BOTTOM + 18.0), "middle", "", label);
        }
        for (value, label) in &self.y.ticks {
            text((LEFT - 6.0, y(*value) + 4.0), "end", "", label);
        }
        for (index, series) in self.series.iter().enumerate() {
            text((WIDTH - RIGHT + 36.0, TOP + 10.0 + 18.0 * index as f64), "start", "", &series.name);
        }
        let mut curves = String::new();
        let mut line = |from: (f64, f64), to: (f64, f64), style: &str| {
            writeln!(out, "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" {style}/>", from.0, from.1, to.0, to.1)
                .expect("a String takes every write");
        };
        let grid = "stroke=\"#dddddd\" fill=\"none\"";
        for (value, _) in &self.x.ticks {
            line((x(*value), TOP), (x(*value), HEIGHT - BOTTOM), grid);
        }
        for (value, _) in &self.y.ticks {
            line((LEFT, y(*value)), (WIDTH - RIGHT, y(*value)), grid);
        }
        for (index, series) in self.series.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let style = format!("stroke=\"{color}\" stroke-width=\"2\" fill=\"none\"");
            let legend = TOP + 6.0 + 18.0 * index as f64;
            line((WIDTH - RIGHT + 12.0, legend), (WIDTH - RIGHT + 30.0, legend), &style);
            let points: Vec<String> =
                series.points.iter().map(|point| format!("{:.1} {:.1}", x(point.0), y(point.1))).collect();
            if !points.is_empty() {
                curves.push_str(&format!(
                    "<path d=\"M{}\" {style} stroke-linejoin=\"round\"/>\n",
                    points.join("L")
                ));
            }
        }
        out.push_str(&curves);
        out.push_str("</svg>\n");
        out
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_cover_what_is_asked_for_in_round_steps() {
        let ticks = |axis: &Axis| axis.ticks.iter().map(|tick| tick.1.clone()).collect::<Vec<_>>();
        assert_eq!(ticks(&Axis::decades("", 0.3, 42.0)), ["0.1", "1", "10", "100"]);
        assert_eq!(ticks(&Axis::from_zero("", 7.7)), ["0", "2", "4", "6", "8"]);
        let axis = Axis::decades("", 0.1, 10.0);
        assert_eq!(
            (axis.place(0.1), axis.place(1.0), axis.place(10.0), axis.place(1e9)),
            (0.0, 0.5, 1.0, 1.0)
        );
        assert_eq!(axis.place(0.0), 0.0);
    }

    #[test]
    fn every_series_is_drawn_and_named() {
        let series = |name: &str, points: &[(f64, f64)]| Series { name: name.into(), points: points.into() };
        let svg = Plot {
            title: "a < b".into(),
            x: Axis::from_zero("x", 10.0),
            y: Axis::from_zero("y", 10.0),
            series: vec![series("one", &[(0.0, 0.0), (10.0, 10.0)]), series("two", &[(0.0, 5.0)])],
        }
        .svg();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        for part in ["a &lt; b", ">one<", ">two<", "M80.0 344.0L520.0 40.0", "M80.0 192.0\""] {
            assert!(svg.contains(part), "{part:?} is missing in {svg}");
        }
    }
}
