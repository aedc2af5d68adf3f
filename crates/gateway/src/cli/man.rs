//! Manual pages, written from the command tree and from the one list of settings, so that none misses a parameter.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::{Arg, ArgAction, Command};
use jiff::Timestamp;

use super::roff::Page;
use super::tree::{BY_POSITION, LINK_NAMES, command_tree};

/// The settings as the manual lists them: sections, entries with their defaults, and what they are.
const SETTINGS: &str = include_str!("../../../../docs/manual/operation.md");

/// A page.
pub(crate) struct ManualPage {
    pub(crate) name: String,
    pub(crate) section: u8,
    pub(crate) text: String,
}

/// All pages: `gatehouse(1)`, one for each program and family, `gatehouse-serve(8)`, `gatehouse.toml(5)`.
pub(crate) fn pages(now: Timestamp) -> Vec<ManualPage> {
    let date = now.strftime("%Y-%m-%d").to_string();
    let root = command_tree();
    let families: Vec<&Command> = root.get_subcommands().filter(|c| !c.is_hide_set()).collect();
    let mut pages = vec![overview(&families, &root, &date), settings(&date)];
    pages.extend(families.iter().map(|family| program(family, &root, &date)));
    pages
}

/// Writes all pages below a folder as viewers look for them: `man1`, `man5`, `man8`.
///
/// # Errors
/// A sentence that names the file.
pub(crate) fn write(folder: &str, now: Timestamp) -> Result<(), String> {
    let told = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
    // Everything else that we write is closed to others; this is for all of them.
    let open =
        |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|e| told(path, e));
    let make = |path: &Path| match path.exists() {
        true => Ok(()),
        false => std::fs::create_dir_all(path).map_err(|e| told(path, e)).and_then(|()| open(path, 0o755)),
    };
    make(Path::new(folder))?;
    for page in pages(now) {
        let below = Path::new(folder).join(format!("man{}", page.section));
        make(&below)?;
        let path = below.join(format!("{}.{}", page.name, page.section));
        std::fs::write(&path, page.text).map_err(|e| told(&path, e))?;
        open(&path, 0o644)?;
    }
    Ok(())
}

/// Name and section of a family's page: its own name if it is a program of its own.
fn page_of(family: &str) -> (String, u8) {
    match family {
        "serve" => ("gatehouse-serve".to_owned(), 8),
        name if LINK_NAMES.contains(&name) => (name.to_owned(), 1),
        name => (format!("gatehouse-{name}"), 1),
    }
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn overview(families: &[&Command], root: &Command, date: &str) -> ManualPage {
    let mut page = Page::new("gatehouse", 1, date);
    page.section("NAME");
    page.words("gatehouse - gateway for exchanging business files");
    page.section("SYNOPSIS");
    page.command("gatehouse", "COMMAND [SUBCOMMAND] [-parameter value ...]");
    page.section("DESCRIPTION");
    page.words(
        "Gatehouse receives files from partners and sends them on. One program is the gateway itself (gatehouse serve) and \
         every command that configures, watches and cares for it. Commands talk to the gateway that runs on the data \
         folder; if none runs, they do their work there themselves.",
    );
    page.paragraph(
        "Parameters have a long name and mostly a short one; one dash is enough, two are accepted. \
         ? behind a command prints its parameters, ?? explains them.",
    );
    page.section("COMMANDS");
    for family in families {
        let (name, section) = page_of(family.get_name());
        page.term(&[family.get_name().to_owned()], None, &format!("{}; see {name}({section}).", about(family)));
    }
    page.section("OPTIONS");
    arguments(&mut page, root);
    page.section("ENVIRONMENT");
    for (name, meaning) in ENVIRONMENT {
        page.term(&[(*name).to_owned()], None, meaning);
    }
    page.section("FILES");
    for (name, meaning) in FILES {
        page.term(&[(*name).to_owned()], None, meaning);
    }
    exit_status(&mut page);
    let others: Vec<String> =
        families.iter().map(|f| page_of(f.get_name())).map(|(n, s)| format!("{n}({s})")).collect();
    see_also(&mut page, &[&others.join(", "), "gatehouse.toml(5)"]);
    ManualPage { name: "gatehouse".to_owned(), section: 1, text: page.text() }
}

fn program(family: &Command, root: &Command, date: &str) -> ManualPage {
    let (name, section) = page_of(family.get_name());
    let mut page = Page::new(&name, section, date);
    let called =
        if LINK_NAMES.contains(&family.get_name()) { name.clone() } else { format!("gatehouse {}", family.get_name()) };
    page.section("NAME");
    page.words(&format!("{name} - {}", lower(&about(family))));
    page.section("SYNOPSIS");
    let leaves: Vec<&Command> = family.get_subcommands().filter(|c| !c.is_hide_set()).collect();
    match leaves.is_empty() {
        true => page.command(&called, &usage(family)),
        false => page.command(&called, "SUBCOMMAND [-parameter value ...]"),
    }
    page.section("DESCRIPTION");
    page.words(&format!("{}.", about(family)));
    if LINK_NAMES.contains(&family.get_name()) {
        page.paragraph(&format!("{name} is a link to gatehouse(1); gatehouse {name} is the same."));
    }
    if family.get_name() == "serve" {
        serve(&mut page);
    }
    if !leaves.is_empty() {
        page.section("SUBCOMMANDS");
        for leaf in &leaves {
            page.part(leaf.get_name());
            page.words(&format!("{}.", about(leaf)));
            page.command(&format!("{called} {}", leaf.get_name()), &usage(leaf));
            arguments(&mut page, leaf);
        }
    }
    page.section("OPTIONS");
    arguments(&mut page, family);
    arguments(&mut page, root);
    exit_status(&mut page);
    see_also(&mut page, &["gatehouse(1)", "gatehouse.toml(5)"]);
    ManualPage { name, section, text: page.text() }
}

/// What must be given, and that there is more.
fn usage(command: &Command) -> String {
    let mut words = Vec::new();
    for arg in command.get_positionals() {
        let name = value_name(arg).unwrap_or_default();
        words.push(if arg.is_required_set() { name } else { format!("[{name}]") });
    }
    let mut optional = false;
    for arg in command.get_arguments().filter(|arg| arg.get_long().is_some() && !arg.is_hide_set()) {
        let mandatory = arg.get_help().is_some_and(|help| help.to_string().starts_with("[mandatory]"));
        let by_position =
            command.get_positionals().any(|p| p.get_id().as_str() == format!("{}{BY_POSITION}", arg.get_id()));
        match (mandatory && !by_position, arg.get_long()) {
            (true, Some(long)) => words.push(format!("-{long} {}", value_name(arg).unwrap_or_default())),
            _ => optional = true,
        }
    }
    if optional {
        words.push("[-parameter value ...]".to_owned());
    }
    words.join(" ")
}

fn value_name(arg: &Arg) -> Option<String> {
    let named = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    named.filter(|_| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append))
}

/// Every argument of a command with all its names and its whole explanation.
fn arguments(page: &mut Page, command: &Command) {
    let named = |arg: &&Arg| !arg.is_hide_set() && !arg.get_id().as_str().ends_with(BY_POSITION);
    for arg in command.get_arguments().filter(named) {
        let mut names: Vec<String> = arg.get_long().map(|long| format!("-{long}")).into_iter().collect();
        names.extend(arg.get_visible_aliases().unwrap_or_default().iter().map(|alias| format!("-{alias}")));
        names.extend(arg.get_visible_short_aliases().unwrap_or_default().iter().map(|letter| format!("-{letter}")));
        let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
        let value = value_name(arg);
        match names.is_empty() {
            true => page.term(&[value.unwrap_or_default()], None, &help),
            false => page.term(&names, value.as_deref(), &help),
        }
    }
}

fn serve(page: &mut Page) {
    for text in SERVE {
        page.paragraph(text);
    }
    page.section("SIGNALS");
    for (name, meaning) in SIGNALS {
        page.term(&[(*name).to_owned()], None, meaning);
    }
    page.section("CREDENTIALS");
    for (name, meaning) in CREDENTIALS {
        page.term(&[(*name).to_owned()], None, meaning);
    }
}

fn exit_status(page: &mut Page) {
    page.section("EXIT STATUS");
    for (code, meaning) in EXIT_CODES {
        page.term(&[(*code).to_owned()], None, meaning);
    }
}

fn see_also(page: &mut Page, pages: &[&str]) {
    page.section("SEE ALSO");
    page.words(&pages.join(", "));
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn settings(date: &str) -> ManualPage {
    let mut page = Page::new("gatehouse.toml", 5, date);
    page.section("NAME");
    page.words("gatehouse.toml - settings of the gateway gatehouse");
    page.section("DESCRIPTION");
    page.words(
        "Settings of one installation, in TOML. Each has the default that is shown; an unknown name is an error. The file is \
         gatehouse.toml in the data folder, or the one that GATEHOUSE_SETTINGS names. Partners, keys and rules are not \
         here: they are configured by commands, see gatehouse(1).",
    );
    for entry in entries(SETTINGS) {
        match entry {
            Entry::Section(name, meaning) => {
                page.section(&format!("[{name}]"));
                page.words(&meaning);
            }
            Entry::Value(name, default, meaning) => {
                page.term(&[name], Some(&format!("= {default}")), &meaning);
            }
        }
    }
    see_also(&mut page, &["gatehouse(1)", "gatehouse-serve(8)"]);
    ManualPage { name: "gatehouse.toml".to_owned(), section: 5, text: page.text() }
}

#[derive(Debug, Eq, PartialEq)]
enum Entry {
    Section(String, String),
    Value(String, String, String),
}

/// Reads the indented block below `## Settings`.
fn entries(manual: &str) -> Vec<Entry> {
    let block = manual.split("\n## Settings\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let mut entries: Vec<Entry> = Vec::new();
    for line in block.lines().filter_map(|line| line.strip_prefix("    ")) {
        let (code, comment) = match line.split_once("# ") {
            Some((code, comment)) => (code.trim(), comment.trim()),
            None => (line.trim(), ""),
        };
        let example = code.is_empty() && !line.starts_with(' ');
        if let Some(name) = code.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            entries.push(Entry::Section(name.to_owned(), comment.to_owned()));
        } else if let Some((name, default)) = code.split_once('=') {
            entries.push(Entry::Value(name.trim().to_owned(), default.trim().to_owned(), comment.to_owned()));
        } else if let Some((name, value)) = comment.split_once(" = ").filter(|_| example) {
            entries.push(Entry::Value(name.to_owned(), value.to_owned(), "for example".to_owned()));
        } else if let Some(Entry::Section(_, meaning) | Entry::Value(_, _, meaning)) = entries.last_mut() {
            meaning.push(' ');
            meaning.push_str(comment);
        }
    }
    entries
}

const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "refused or failed; the reason is on standard error"),
    ("2", "the line is wrong: unknown parameter, missing parameter, value out of its limits"),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("GATEHOUSE_DATA", "the data folder, where -data does not say it; /var/lib/gatehouse else, if that is there"),
    ("GATEHOUSE_SETTINGS", "the settings file, instead of gatehouse.toml in the data folder"),
    ("TZ", "the time zone of times that people read and write; those of -json are always UTC"),
    ("CREDENTIALS_DIRECTORY", "folder of the secrets that the service manager hands over; see gatehouse-serve(8)"),
];

const FILES: &[(&str, &str)] = &[
    ("/var/lib/gatehouse", "the data folder of an installed package"),
    ("/etc/gatehouse/gatehouse.toml", "its settings, unless the data folder holds some; see gatehouse.toml(5)"),
];

const SERVE: &[&str] = &[
    "Under systemd (Type=notify) it says when it is ready, reads its settings anew, or stops, and how many listeners and \
     sessions it has (STATUS). With WatchdogSec it is heard of only while its own tasks make progress.",
    "A socket of a socket unit belongs to the listener object that has its FileDescriptorName, whatever its case; that \
     listener then does not bind its address itself. Callers of a socket that belongs to no enabled listener are turned \
     away at once. Other listeners bind their ports.",
    "If standard output is the journal, each line carries its priority, and no time of its own.",
];

const SIGNALS: &[(&str, &str)] = &[
    ("SIGTERM, SIGINT", "stop: no new connections, sessions may go on for [shutdown] drain_s seconds"),
    (
        "SIGHUP",
        "read gatehouse.toml anew ([log] level takes effect at once), and try again to open listeners that failed",
    ),
];

const CREDENTIALS: &[(&str, &str)] = &[
    ("gatehouse.master", "the master key, a file as master.key is; it then need not be in the data folder"),
    ("gatehouse.pin_NAME", "the PIN of the tokens of PKCS#11 module NAME"),
    ("gatehouse.database_password", "password of PostgreSQL; the address in [database] url names the user only"),
    ("gatehouse.passphrase", "passphrase of an escrow, for gatehouse backup escrow and gatehouse restore"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<ManualPage> {
        pages(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn every_parameter_of_every_operation_is_in_the_page_of_its_program() {
        let pages = all();
        for operation in admin::OPERATIONS.iter().copied().flatten() {
            let family = operation.name.split(' ').next().unwrap();
            let (name, section) = page_of(family);
            let page = pages.iter().find(|p| (p.name.as_str(), p.section) == (name.as_str(), section)).unwrap();
            for param in (operation.params)() {
                let written = format!("\\fB\\-{}\\fR", param.name());
                assert!(page.text.contains(&written), "{} -{}", operation.name, param.name());
            }
        }
        assert!(pages.iter().any(|p| p.name == "gatehouse-serve" && p.section == 8 && p.text.contains("SIGHUP")));
        assert!(pages.iter().all(|p| p.text.contains(".SH \"NAME\"") && p.text.contains("1970\u{2d}01")));
    }

    #[test]
    fn every_setting_is_in_the_manual_and_its_page() {
        let settings = toml::Table::try_from(crate::settings::Settings::default()).unwrap();
        let listed = entries(SETTINGS);
        let of = |section: &str| {
            let from = listed.iter().skip_while(|e| !matches!(e, Entry::Section(name, _) if name == section)).skip(1);
            let own = from.take_while(|e| matches!(e, Entry::Value(..)));
            own.map(|e| if let Entry::Value(name, ..) = e { name.clone() } else { String::new() }).collect::<Vec<_>>()
        };
        for (section, values) in &settings {
            for (name, value) in values.as_table().unwrap() {
                let there = if value.is_table() {
                    listed.iter().any(|e| matches!(e, Entry::Section(s, _) if s == &format!("{section}.{name}")))
                } else {
                    of(section).contains(name)
                };
                assert!(there, "[{section}] {name} is not in docs/manual/operation.md");
            }
        }
        let page = all().into_iter().find(|p| p.name == "gatehouse.toml").unwrap();
        assert!(page.text.contains("\\fBdrain_s\\fR \\fI= 30\\fR"), "{}", page.text);
    }

    #[test]
    fn entries_are_read_with_their_comments() {
        let manual = "x\n## Settings\n\n    [a]      # what it is\n    b = 1    # one\n             # and more\n\n    # c = 2\n\n## Next\n    d = 3\n";
        let value = |n: &str, v: &str, m: &str| Entry::Value(n.to_owned(), v.to_owned(), m.to_owned());
        let wanted = [
            Entry::Section("a".to_owned(), "what it is".to_owned()),
            value("b", "1", "one and more"),
            value("c", "2", "for example"),
        ];
        assert_eq!(entries(manual), wanted);
    }
}
