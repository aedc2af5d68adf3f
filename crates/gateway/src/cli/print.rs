//! Results on the terminal: tables for people, JSON for programs.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use admin::{Cell, Output};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use comfy_table::{ContentArrangement, Table, presets};

/// Prints `output` to standard output, warnings to standard error.
///
/// # Errors
/// The terminal's; a closed pipe is none.
pub(crate) fn output(output: &Output, as_json: bool) -> io::Result<()> {
    if as_json {
        return line(&serde_json::to_string_pretty(&output.json()).map_err(io::Error::other)?);
    }
    match output {
        Output::Done { text, warnings, .. } => {
            line(text)?;
            warnings.iter().try_for_each(|w| error_line(&format!("warning: {w}")))
        }
        Output::Table { columns, rows } => line(&table(columns, rows)),
        Output::Record { fields } => fields.iter().try_for_each(|(name, cell)| line(&format!("{name}='{cell}'"))),
        Output::File { base64 } => line(base64),
        Output::Story { lines, .. } => lines.iter().try_for_each(|text| line(text)),
    }
}

/// Writes `output` into a file of the caller, closed to others if it is new.
///
/// # Errors
/// A sentence that names the file.
pub(crate) fn into_file(output: &Output, as_json: bool, target: &super::Target) -> Result<(), String> {
    if let (Output::File { base64 }, false) = (output, as_json) {
        let octets = STANDARD.decode(base64).map_err(|e| format!("{}: {e}", target.path))?;
        return octets_into_file(&octets, target);
    }
    let text = match output {
        Output::File { base64 } if !as_json => base64.clone(),
        _ if as_json => serde_json::to_string_pretty(&output.json()).map_err(|e| e.to_string())?,
        Output::Story { lines, .. } => lines.join("\n"),
        Output::Done { text, .. } => text.clone(),
        Output::Table { columns, rows } => table(columns, rows),
        Output::Record { fields } => {
            fields.iter().map(|(n, cell)| format!("{n}='{cell}'")).collect::<Vec<_>>().join("\n")
        }
    };
    octets_into_file(format!("{text}\n").as_bytes(), target)
}

fn octets_into_file(octets: &[u8], target: &super::Target) -> Result<(), String> {
    let failed = |e: io::Error| format!("{}: {e}", target.path);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).append(target.append).truncate(!target.append).mode(0o600);
    let mut file = options.open(&target.path).map_err(failed)?;
    file.write_all(octets).and_then(|()| file.sync_all()).map_err(failed)
}

fn table(columns: &[String], rows: &[Vec<Cell>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(columns);
    for row in rows {
        table.add_row(row.iter().map(Cell::to_string));
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// One line on standard output.
///
/// # Errors
/// The terminal's; a closed pipe is none.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// One line on standard error.
///
/// # Errors
/// The terminal's.
pub(crate) fn error_line(text: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "{text}")
}
