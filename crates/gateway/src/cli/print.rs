//! Results on the terminal: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::Zone;
use admin::{Cell, Line, Output, Tone};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use comfy_table::{ContentArrangement, Table, presets};

/// Prints `output` to standard output, warnings to standard error.
///
/// # Errors
/// The terminal's; a closed pipe is none.
pub(crate) fn output(output: &Output, as_json: bool, zone: &Zone) -> io::Result<()> {
    if as_json {
        return line(&serde_json::to_string_pretty(&output.json()).map_err(io::Error::other)?);
    }
    match output {
        Output::Done { text, warnings, .. } => {
            line(text)?;
            warnings.iter().try_for_each(|w| error_line(&format!("warning: {w}")))
        }
        Output::Table { columns, rows } => line(&table(columns, rows, zone)),
        Output::Record { fields } => {
            fields.iter().try_for_each(|(name, cell)| line(&format!("{name}='{}'", zone.cell(cell))))
        }
        Output::File { base64 } => line(base64),
        Output::Story { lines, .. } => lines.iter().try_for_each(|text| line(&zone.line(text))),
        Output::Report { lines, .. } => {
            let coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.iter().try_for_each(|one| line(&toned(one, &zone.line(&one.text), coloured)))
        }
    }
}

/// A line as a terminal shows it.
fn toned(line: &Line, text: &str, coloured: bool) -> String {
    let code = match line.tone {
        _ if !coloured => return text.to_owned(),
        Tone::Plain => return text.to_owned(),
        Tone::Head => "1",
        Tone::Good => "32",
        Tone::Warn => "33",
        Tone::Bad => "1;31",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Begins a new screen, where there is one.
///
/// # Errors
/// The terminal's.
pub(crate) fn new_screen() -> io::Result<()> {
    let mut out = io::stdout().lock();
    if out.is_terminal() { write!(out, "\x1b[H\x1b[2J").and_then(|()| out.flush()) } else { Ok(()) }
}

/// Writes `output` into a file of the caller, with times in UTC, closed to others if it is new.
///
/// # Errors
/// A sentence that names the file.
pub(crate) fn into_file(output: &Output, as_json: bool, target: &super::Target) -> Result<(), String> {
    if let (Output::File { base64 }, false) = (output, as_json) {
        let octets = STANDARD.decode(base64).map_err(|e| format!("{}: {e}", target.path))?;
        return octets_into_file(&octets, target);
    }
    let text = match output {
        _ if as_json => serde_json::to_string_pretty(&output.json()).map_err(|e| e.to_string())?,
        Output::File { base64 } => base64.clone(),
        Output::Story { lines, .. } => lines.join("\n"),
        Output::Report { lines, .. } => lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>().join("\n"),
        Output::Done { text, .. } => text.clone(),
        Output::Table { columns, rows } => table(columns, rows, &Zone::new(true)),
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

fn table(columns: &[String], rows: &[Vec<Cell>], zone: &Zone) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(columns);
    for row in rows {
        table.add_row(row.iter().map(|cell| zone.cell(cell)));
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
