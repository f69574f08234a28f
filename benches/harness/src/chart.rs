//! The picture of the README, from `benches/results`.

use std::{fmt::Write as _, fs};

use serde_json::Value;

use super::results;
use libcors_tools::run::{self, Context as _, Result};

const PICTURE: &str = "docs/performance.svg";

/// A group of bars with one scale.
struct Panel {
    title: String,
    unit: &'static str,
    rows: Vec<Row>,
}

/// A line of a panel: a label, and what contenders take.
struct Row {
    label: &'static str,
    bars: Vec<(&'static str, f64, Side)>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Side {
    Ours,
    Theirs,
}

/// Draws it anew, if there is anything to draw.
pub(super) fn draw() -> Result {
    let mut panels = Vec::new();
    if let Some(engine) = results::read("engine")? {
        panels.extend(tower(&engine));
    }
    if let Some(nginx) = results::read("nginx")? {
        panels.extend(servers(&nginx));
    }
    if panels.is_empty() {
        return Ok(());
    }
    let path = run::root().join(PICTURE);
    fs::write(&path, svg(&panels)).context(PICTURE)?;
    run::say(format_args!("wrote {PICTURE}"));
    Ok(())
}

/// Middleware of tower: ours and tower-http's, which write the same headers into
/// the same map. Instructions, as they do not depend on what else runs.
fn tower(engine: &Value) -> Option<Panel> {
    const WORKLOADS: [(&str, &str); 5] = [
        ("w1", "allowed, 1 origin"),
        ("w2", "allowed, 100 origins"),
        ("w3", "allowed, 10,000 origins"),
        ("w5", "preflight"),
        ("w9", "no Origin"),
    ];
    let cell = |contender: &str, workload: &str| {
        let rows = engine["instructions"].as_array()?;
        let is_it = |row: &&Value| {
            row["contender"] == contender && row["workload"] == workload
        };
        rows.iter().find(is_it)?["instructions"].as_f64()
    };
    let rows = WORKLOADS
        .into_iter()
        .map(|(workload, label)| {
            Some(Row {
                label,
                bars: vec![
                    ("libcors", cell("tower-libcors", workload)?, Side::Ours),
                    ("tower-http", cell("tower-http", workload)?, Side::Theirs),
                ],
            })
        })
        .collect::<Option<Vec<_>>>()?;
    Some(Panel {
        title: "In a Rust service: a layer of tower".into(),
        unit: "instructions that it adds to a request, logarithmic",
        rows,
    })
}

/// nginx with the module, and written by hand.
fn servers(nginx: &Value) -> Option<Panel> {
    const ROWS: [(&str, &str, &str, &str); 5] = [
        (
            "allowed, 1 origin",
            "with Origin",
            "module, 1 origin",
            "by hand, 1 origin",
        ),
        (
            "allowed, 1,000 origins",
            "with Origin",
            "module, 1000 origins",
            "by hand, 1000 origins",
        ),
        (
            "allowed, an expression",
            "with Origin",
            "module, expression",
            "by hand, expression",
        ),
        (
            "no Origin, 1 origin",
            "without",
            "module, 1 origin",
            "by hand, 1 origin",
        ),
        (
            "no Origin, 1,000 origins",
            "without",
            "module, 1000 origins",
            "by hand, 1000 origins",
        ),
    ];
    let more = |contender: &str, ask: &str| {
        let rows = nginx["instructions"].as_array()?;
        let row = rows.iter().find(|row| row["contender"] == contender)?;
        row[ask]["more"].as_f64()
    };
    let rows = ROWS
        .into_iter()
        .map(|(label, ask, module, by_hand)| {
            Some(Row {
                label,
                bars: vec![
                    ("libcors", more(module, ask)?, Side::Ours),
                    ("by hand", more(by_hand, ask)?, Side::Theirs),
                ],
            })
        })
        .collect::<Option<Vec<_>>>()?;
    let version = nginx["nginx"].as_str().unwrap_or_default();
    Some(Panel {
        title: format!("In nginx {version}: the module"),
        unit: "instructions that it adds to a request, logarithmic",
        rows,
    })
}

const WIDTH: f64 = 720.0;
const LABELS: f64 = 190.0;
const BAR: f64 = 12.0;
const ROW: f64 = 2.0 * BAR + 14.0;
const HEAD: f64 = 52.0;
/// Room behind the longest bar for its number.
const NUMBERS: f64 = 150.0;

fn svg(panels: &[Panel]) -> String {
    let height: f64 = panels.iter().map(height_of).sum::<f64>() + 12.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} \
         {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <title>What libcors adds to a request</title>\n\
         <style>text {{ fill: #1f2328 }} .unit {{ fill: #59636e }} \
         .ours {{ fill: #1a7f64 }} .theirs {{ fill: #afb8c1 }} \
         .page {{ fill: #ffffff }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} \
         .unit {{ fill: #9198a1 }} .ours {{ fill: #3fb991 }} \
         .theirs {{ fill: #656c76 }} .page {{ fill: #0d1117 }} }}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n"
    );
    let mut y = 0.0;
    for panel in panels {
        draw_panel(&mut out, panel, y);
        y += height_of(panel);
    }
    out.push_str("</svg>\n");
    out
}

fn height_of(panel: &Panel) -> f64 {
    HEAD + panel.rows.len() as f64 * ROW
}

fn draw_panel(out: &mut String, panel: &Panel, y: f64) {
    let values = panel.rows.iter().flat_map(|row| &row.bars).map(|bar| bar.1);
    let largest = values.clone().fold(1.0, f64::max);
    // A logarithmic scale that starts at a power of ten below the smallest.
    let smallest = values.fold(largest, f64::min).max(1.0);
    let start = 10f64.powf((smallest / 2.0).log10().floor());
    let length = |value: f64| {
        let share =
            (value.max(start) / start).log10() / (largest / start).log10();
        (share * (WIDTH - LABELS - NUMBERS)).max(1.0)
    };
    let _ = writeln!(
        out,
        "<text x=\"16\" y=\"{}\" font-size=\"15\" font-weight=\"600\">{}\
         </text>\n<text class=\"unit\" x=\"16\" y=\"{}\">{}</text>",
        y + 24.0,
        panel.title,
        y + 42.0,
        panel.unit
    );
    for (index, row) in panel.rows.iter().enumerate() {
        let top = y + HEAD + index as f64 * ROW;
        let _ = writeln!(
            out,
            "<text x=\"16\" y=\"{}\">{}</text>",
            top + BAR + 5.0,
            row.label
        );
        for (place, (name, value, side)) in row.bars.iter().enumerate() {
            let top = top + place as f64 * (BAR + 1.0);
            let class = match side {
                Side::Ours => "ours",
                Side::Theirs => "theirs",
            };
            let length = length(*value);
            let _ = writeln!(
                out,
                "<rect class=\"{class}\" x=\"{LABELS}\" y=\"{top}\" \
                 width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{} {name}</text>",
                LABELS + length + 6.0,
                top + BAR - 2.0,
                thousands(*value)
            );
        }
    }
}

/// `12345` as `12,345`.
fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place != 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    match value < 0.0 {
        true => format!("-{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(0.4), "0");
        assert_eq!(thousands(999.0), "999");
        assert_eq!(thousands(1000.0), "1,000");
        assert_eq!(thousands(-1_234_567.0), "-1,234,567");
    }

    #[test]
    fn longer_bars_are_for_larger_numbers() {
        let bars = vec![("a", 10.0, Side::Ours), ("b", 1000.0, Side::Theirs)];
        let rows = vec![Row { label: "x", bars }];
        let text = svg(&[Panel { title: "t".into(), unit: "u", rows }]);
        let widths: Vec<f64> = text
            .split("width=\"")
            .skip(3)
            .filter_map(|rest| rest.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(widths.len(), 2);
        assert!(widths[0] < widths[1] / 1.5, "{widths:?}");
    }
}
