//! Charts as SVG.

use std::ops::Range;

use chrono_tz::Tz;
use plotters::{
    coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    prelude::{
        ChartBuilder, Circle, Color, EmptyElement, IntoDrawingArea, IntoFont, LineSeries,
        PathElement, RGBColor, SVGBackend, SeriesLabelPosition, TextStyle,
    },
    style::{RGBAColor, ShapeStyle},
};

use crate::{
    clock::Time,
    error::Error,
    hub::data::{
        calendar::{Calendar, at},
        interval::Interval,
    },
};

/// Colours of the lines, which can be told apart on light and on dark ground.
const COLOURS: [RGBColor; 12] = [
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0xe6, 0x7e, 0x22),
    RGBColor(0x27, 0x9b, 0x48),
    RGBColor(0xd6, 0x3a, 0x3a),
    RGBColor(0x8e, 0x6b, 0xc4),
    RGBColor(0x9c, 0x6a, 0x4e),
    RGBColor(0xd8, 0x64, 0xb0),
    RGBColor(0x7f, 0x8c, 0x8d),
    RGBColor(0xa8, 0xa1, 0x1f),
    RGBColor(0x1a, 0xa6, 0xb7),
    RGBColor(0x55, 0x6b, 0xd6),
    RGBColor(0xc0, 0x90, 0x10),
];
/// Font of all texts.
const FONT: &str = "sans-serif";
/// Width of a label of the axis of time in pixels, with the space to the next one.
const LABEL_PIXELS: u32 = 110;
/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

/// Colours of a chart's ground and texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Theme {
    ground: RGBColor,
    text: RGBColor,
    grid: RGBColor,
}

impl Theme {
    /// Dark texts on white.
    pub const LIGHT: Self = Self {
        ground: RGBColor(255, 255, 255),
        text: RGBColor(0x33, 0x33, 0x33),
        grid: RGBColor(0xdd, 0xdd, 0xdd),
    };
    /// Bright texts on black.
    pub const DARK: Self = Self {
        ground: RGBColor(0x18, 0x1b, 0x1f),
        text: RGBColor(0xcc, 0xcc, 0xdc),
        grid: RGBColor(0x3a, 0x3d, 0x44),
    };
}

/// Line of a chart.
pub struct DrawnLine {
    /// Text of the legend.
    pub name: String,
    /// Points that are connected: microseconds since 1970, and values.
    pub segments: Vec<Vec<(i64, f64)>>,
}

/// Chart to draw.
pub struct Drawing {
    /// Title.
    pub title: String,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Colours.
    pub theme: Theme,
    /// Start and end of the axis of time.
    pub period: (Time, Time),
    /// Time zone of its labels.
    pub zone: Tz,
    /// Lines.
    pub lines: Vec<DrawnLine>,
}

impl Drawing {
    /// Draws the chart.
    pub fn svg(&self) -> Result<String, Error> {
        let mut svg = String::new();
        self.draw(&mut svg)
            .map_err(|error| Error::internal(format!("a chart cannot be drawn: {error}")))?;
        let title = html_escape::encode_text(&plain(&self.title)).into_owned();
        // Readers of screens say the title.
        let head = format!(" role=\"img\"><title>{title}</title>");
        Ok(svg.replacen('>', &head, 1))
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn std::error::Error + '_>> {
        let area = SVGBackend::with_string(svg, self.size).into_drawing_area();
        let fault =
            |error: plotters::drawing::DrawingAreaErrorKind<std::io::Error>| error.to_string();
        let Theme { ground, text, grid } = self.theme;
        area.fill(&ground).map_err(fault)?;
        let axis = TimeAxis::new(self.period, self.zone, self.size.0);
        let values = self.values();
        let decimals = decimals(&values);
        let style = |pixels: u32| TextStyle::from((FONT, pixels).into_font()).color(&text);
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .margin_right(24)
            .caption(plain(&self.title), style(15))
            .x_label_area_size(28)
            .y_label_area_size(64)
            .build_cartesian_2d(axis, values)
            .map_err(fault)?;
        chart
            .configure_mesh()
            .light_line_style(RGBAColor(0, 0, 0, 0.0))
            .bold_line_style(grid)
            .axis_style(grid)
            .label_style(style(12))
            .y_labels((self.size.1 / 50).clamp(2, 10) as usize)
            .y_label_formatter(&|value| number(*value, decimals))
            .draw()
            .map_err(fault)?;
        for (line, colour) in self.lines.iter().zip(COLOURS) {
            let stroke = ShapeStyle::from(colour).stroke_width(2);
            let (alone, joined): (Vec<_>, Vec<_>) =
                line.segments.iter().partition(|segment| segment.len() == 1);
            for segment in joined {
                let series = LineSeries::new(segment.iter().copied(), stroke);
                chart.draw_series(series).map_err(fault)?;
            }
            let dots = alone.into_iter().flatten();
            let dots = dots.map(|point| Circle::new(*point, 2, colour.filled()));
            chart.draw_series(dots).map_err(fault)?;
            let empty: [EmptyElement<(i64, f64), SVGBackend<'_>>; 0] = [];
            chart
                .draw_series(empty)
                .map_err(fault)?
                .label(plain(&line.name))
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], stroke));
        }
        if self.lines.is_empty() {
            let (width, height) = self.size;
            let place = (i32::try_from(width / 2)? - 24, i32::try_from(height / 2)?);
            area.draw_text("no data", &style(14), place)
                .map_err(fault)?;
        } else {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .background_style(ground.mix(0.8))
                .label_font(style(12))
                .draw()
                .map_err(fault)?;
        }
        area.present().map_err(fault)?;
        Ok(())
    }

    /// Returns the range of the axis of values, with some space at its ends.
    fn values(&self) -> Range<f64> {
        let points = self
            .lines
            .iter()
            .flat_map(|line| line.segments.iter().flatten());
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for (_, value) in points {
            low = low.min(*value);
            high = high.max(*value);
        }
        if low > high {
            return 0.0..1.0;
        }
        let space = match high - low {
            0.0 => (high.abs() * 0.05).max(1.0),
            distance => distance * 0.05,
        };
        low - space..high + space
    }
}

/// Axis of time, with marks where hours, days or months of the calendar begin.
struct TimeAxis {
    from: i64,
    to: i64,
    marks: Vec<i64>,
    zone: Tz,
    format: &'static str,
}

impl TimeAxis {
    fn new((from, to): (Time, Time), zone: Tz, width: u32) -> Self {
        let seconds = (to - from).num_seconds();
        let marks_max = (width / LABEL_PIXELS).max(3) as usize;
        let interval = Interval::for_buckets(None, seconds, marks_max + 1);
        let calendar = Calendar::new(interval, zone);
        let mut mark = calendar.start(from);
        let mut marks = Vec::new();
        while mark <= to {
            if mark >= from {
                marks.push(mark.timestamp_micros());
            }
            mark = calendar.next(mark);
        }
        let format = match seconds {
            ..=86_400 => "%H:%M",
            86_401..=1_209_600 => "%m-%d %H:%M",
            _ => "%Y-%m-%d",
        };
        Self {
            from: from.timestamp_micros(),
            to: to.timestamp_micros(),
            marks,
            zone,
            format,
        }
    }
}

impl Ranged for TimeAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = i64;

    fn map(&self, value: &i64, (start, end): (i32, i32)) -> i32 {
        let part = (value - self.from) as f64 / (self.to - self.from).max(1) as f64;
        start + (f64::from(end - start) * part).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<i64> {
        self.marks.clone()
    }

    fn range(&self) -> Range<i64> {
        self.from..self.to
    }
}

impl ValueFormatter<i64> for TimeAxis {
    fn format_ext(&self, value: &i64) -> String {
        let local = at(value.div_euclid(SECOND)).with_timezone(&self.zone);
        local.format(self.format).to_string()
    }
}

/// Returns the number of decimals that tells the marks of an axis apart; `None` if they need an exponent.
fn decimals(values: &Range<f64>) -> Option<usize> {
    let step = (values.end - values.start) / 10.0;
    let greatest = values.start.abs().max(values.end.abs());
    let is_plain = greatest < 1e7 && step >= 1e-6;
    is_plain.then(|| (-step.log10().floor()).clamp(0.0, 6.0) as usize)
}

fn number(value: f64, decimals: Option<usize>) -> String {
    match decimals {
        Some(decimals) => format!("{value:.decimals$}"),
        None => format!("{value:.3e}"),
    }
}

/// Returns a text without the characters that XML cannot contain.
fn plain(text: &str) -> String {
    let is_bad = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars()
        .map(|c| if is_bad(c) { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(lines: Vec<DrawnLine>) -> Drawing {
        Drawing {
            title: "Tank <1> & \"more\"\u{1}\u{ffff}".to_owned(),
            size: (600, 300),
            theme: Theme::LIGHT,
            period: (at(1_767_225_600), at(1_767_312_000)),
            zone: Tz::Europe__Berlin,
            lines,
        }
    }

    #[test]
    fn names_stay_texts_and_the_picture_is_xml() {
        let name = "</text><script>alert(1)</script>".to_owned();
        let start = 1_767_225_600 * SECOND;
        let line = DrawnLine {
            name: name.clone(),
            segments: vec![
                vec![(start, 1.0), (start + 3600 * SECOND, 7.0)],
                vec![(start + 7200 * SECOND, 3.0)],
            ],
        };
        let svg = drawing(vec![line]).svg().unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let named = |name: &str| {
            document
                .descendants()
                .filter(move |node| node.has_tag_name(("http://www.w3.org/2000/svg", name)))
                .count()
        };
        assert_eq!(named("script"), 0, "{svg}");
        let strokes = document
            .descendants()
            .filter_map(|node| node.attribute("stroke-width"));
        let strokes = strokes.filter(|width| *width == "2").count();
        assert_eq!(strokes, 2, "one line, and that of the legend: {svg}");
        assert!(named("circle") >= 1, "{svg}");
        let texts: Vec<String> = document
            .descendants()
            .filter_map(|node| node.text())
            .map(|text| text.trim().to_owned())
            .collect();
        assert!(texts.contains(&name), "{texts:?}");
        assert!(
            texts.contains(&"Tank <1> & \"more\"\u{fffd}\u{fffd}".to_owned()),
            "{texts:?}"
        );
        // Midnight in Berlin is an hour before the period.
        assert!(texts.contains(&"12:00".to_owned()), "{texts:?}");
    }

    #[test]
    fn a_chart_without_lines_says_so() {
        assert!(drawing(Vec::new()).svg().unwrap().contains("no data"));
    }

    #[test]
    fn labels_of_values_have_the_decimals_that_tell_them_apart() {
        let label = |value, range| number(value, decimals(&range));
        assert_eq!(label(20.0, 0.0..100.0), "20");
        assert_eq!(label(0.2, 0.0..1.0), "0.2");
        assert_eq!(label(0.002, 0.0..0.01), "0.002");
        assert_eq!(label(2e9, 0.0..1e10), "2.000e9");
    }
}
