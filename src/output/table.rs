//! Rows under a header, in columns as wide as they need to be.

use crate::foreign::harmless;

/// A table as text: a header in capitals, then the rows, columns two spaces apart. A cell is one line that steers no
/// terminal.
pub fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| one_line(cell)).collect())
        .collect();
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = line(
        &header
            .iter()
            .map(|cell| cell.to_uppercase())
            .collect::<Vec<_>>(),
        &widths,
    );
    for row in &rows {
        out.push('\n');
        out.push_str(&line(row, &widths));
    }
    out
}

fn one_line(cell: &str) -> String {
    harmless(cell).replace(['\n', '\t'], " ")
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| {
            // Numbers stand under each other.
            if cell
                .chars()
                .all(|c| c.is_ascii_digit() || ",.-".contains(c))
                && cell.contains(|c: char| c.is_ascii_digit())
            {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        })
        .collect();
    padded.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let table = render(
            &["type", "files"],
            &[
                vec!["Patient".into(), "1".into()],
                vec!["X".into(), "12".into()],
            ],
        );
        assert_eq!(table, "TYPE     FILES\nPatient      1\nX           12");
    }
}
