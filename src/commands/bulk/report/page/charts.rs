//! Charts as inline SVG. Widths are shares of the page and heights are fixed, so that text stays readable on a phone.

use maud::{Markup, html};

/// A line of a bar chart: its name, its length, and the value as it is shown.
pub(super) struct Bar {
    pub name: String,
    pub value: f64,
    pub shown: String,
}

/// More bars than this make no chart.
const MOST_BARS: usize = 24;
const ROW: f64 = 40.0;

/// Horizontal bars, each with its name and value above it.
pub(super) fn bars(label: &str, class: &str, mut bars: Vec<Bar>) -> Markup {
    bars.sort_by(|a, b| b.value.total_cmp(&a.value));
    let others = bars.len().saturating_sub(MOST_BARS);
    bars.truncate(MOST_BARS);
    let longest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let height = ROW * bars.len() as f64;
    html! {
        svg.chart.(class) role="img" aria-label=(label) width="100%" height=(height) {
            @for (index, bar) in bars.iter().enumerate() {
                @let top = ROW * index as f64;
                @let share = if longest > 0.0 { bar.value / longest * 100.0 } else { 0.0 };
                text.name x="0" y=(top + 14.0) { (bar.name) }
                text.value x="100%" y=(top + 14.0) text-anchor="end" { (bar.shown) }
                rect.track x="0" y=(top + 21.0) width="100%" height="9" rx="4.5" {}
                rect.bar x="0" y=(top + 21.0) width=(percent(share)) height="9" rx="4.5" {
                    title { (bar.name) ": " (bar.shown) }
                }
            }
        }
        @if others > 0 { p.small { "And " (others) " more, which the table lists." } }
    }
}

/// A column of a chart over time: its height, and what is said of it.
pub(super) struct Column {
    pub value: f64,
    pub title: String,
}

/// Columns side by side, with lines at the top and in the middle, and the times below.
pub(super) fn columns(label: &str, columns: &[Column], highest: &str, times: [&str; 3]) -> Markup {
    const TOP: f64 = 22.0;
    const HEIGHT: f64 = 150.0;
    let most = columns
        .iter()
        .map(|column| column.value)
        .fold(0.0, f64::max);
    let width = 100.0 / columns.len().max(1) as f64;
    html! {
        svg.chart.time role="img" aria-label=(label) width="100%" height="200" {
            text.axis x="0" y="14" { (highest) }
            @for share in [0.0, 0.5, 1.0] {
                @let y = TOP + HEIGHT * share;
                line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
            }
            @for (index, column) in columns.iter().enumerate() {
                @let share = if most > 0.0 { column.value / most } else { 0.0 };
                @let height = (HEIGHT * share * 10.0).round() / 10.0;
                rect.bar x=(percent(width * index as f64)) y=(TOP + HEIGHT - height) width=(percent(width * 0.84)) height=(height) {
                    title { (column.title) }
                }
            }
            text.axis x="0" y="190" { (times[0]) }
            text.axis x="50%" y="190" text-anchor="middle" { (times[1]) }
            text.axis x="100%" y="190" text-anchor="end" { (times[2]) }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{share:.2}%")
}
