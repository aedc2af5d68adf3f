//! Completion of command lines: short scripts for the shells ask `gatehouse __complete WORDS` what may stand next.
//!
//! What there is comes from the command tree, so that a new operation is completed without a line here; names of objects
//! come from the running gateway.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use admin::{Form, Input, OPERATIONS, Output, Param, find};
use clap::{Arg, Command};
use model::{FieldKind, Kind};

use super::tree::{FROM_FILE, LINK_NAMES, command_tree};
use crate::data_dir::DataDir;

/// The hidden word that the scripts call.
pub(crate) const COMPLETE: &str = "__complete";
/// Longest wait for the names that the running gateway knows: somebody waits at the keyboard.
const NAMES_WAIT_MAX: Duration = Duration::from_secs(1);
/// Most names that are offered.
const NAMES_MAX: usize = 1000;
/// What stands for "a file" and "a folder" in an answer: the shell knows those better.
const FILES: &str = ":files";
const FOLDERS: &str = ":folders";

/// The script of a shell.
pub(crate) fn script(shell: &str) -> Option<String> {
    let text = match shell {
        "bash" => include_str!("completion/gatehouse.bash"),
        "zsh" => include_str!("completion/gatehouse.zsh"),
        "fish" => include_str!("completion/gatehouse.fish"),
        _ => return None,
    };
    let names: Vec<&str> = std::iter::once("gatehouse").chain(LINK_NAMES.iter().copied()).collect();
    Some(text.replace("@NAMES@", &names.join(" ")))
}

/// What may stand in the place of the last word, a line each: the word, a tabulator, and what it is.
pub(crate) async fn complete(words: &[OsString]) -> Vec<String> {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let root = command_tree();
    let line = Line::read(&words, &root);
    let mut offers = line.offers(&root);
    if let Some(kind) = line.wanted_kind() {
        offers.extend(names(kind, &words).await.into_iter().map(|name| (name, kind.descriptor().title.to_owned())));
    }
    let fits = |word: &str| word.starts_with(&line.current) || [FILES, FOLDERS].contains(&word);
    offers.retain(|(word, _)| fits(word));
    offers.into_iter().map(|(word, about)| format!("{word}\t{}", about.lines().next().unwrap_or_default())).collect()
}

/// A command line as far as it is written.
struct Line<'a> {
    at: &'a Command,
    path: Vec<String>,
    /// The argument that waits for its value.
    open: Option<&'a Arg>,
    /// Arguments that stand there already.
    given: BTreeSet<String>,
    /// Values that stand there without a name.
    by_position: usize,
    current: String,
}

impl<'a> Line<'a> {
    fn read(words: &[String], root: &'a Command) -> Self {
        let program = words.first().and_then(|word| Path::new(word).file_name()).and_then(|name| name.to_str());
        let link = program.filter(|name| LINK_NAMES.contains(name)).map(str::to_owned);
        let (current, before) = words.split_last().map(|(last, rest)| (last.clone(), rest)).unwrap_or_default();
        let mut line = Self { at: root, path: Vec::new(), open: None, given: BTreeSet::new(), by_position: 0, current };
        for word in link.iter().chain(before.iter().skip(1)) {
            line.take(word, root);
        }
        line
    }

    fn take(&mut self, word: &str, root: &'a Command) {
        if self.open.take().is_some() {
            return;
        }
        if let Some(below) = self.at.find_subcommand(word) {
            self.at = below;
            self.path.push(word.to_owned());
        } else if let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) {
            let name = name.strip_prefix('-').unwrap_or(name);
            let (bare, whole) = name.split_once('=').map_or((name, false), |(bare, _)| (bare, true));
            let found = [self.at, root].into_iter().flat_map(Command::get_arguments).find(|arg| is_called(arg, bare));
            if let Some(arg) = found {
                self.given.insert(arg.get_id().to_string());
                self.open = Some(arg).filter(|arg| !whole && takes_value(arg));
            }
        } else {
            self.by_position = self.by_position.saturating_add(1);
        }
    }

    /// The parameter of the operation whose value is being written.
    fn param(&self) -> Option<Param> {
        let params = (find(&self.path.join(" "))?.params)();
        match self.open {
            Some(arg) => params.into_iter().find(|p| arg.get_id() == p.name()),
            None if self.current.starts_with('-') => None,
            None => params.into_iter().filter(|p| p.positional).nth(self.by_position),
        }
    }

    /// The kind of object whose name is being written, if one that exists is wanted.
    fn wanted_kind(&self) -> Option<Kind> {
        let param = self.param()?;
        if let FieldKind::Ref(kind) | FieldKind::RefList(kind, _) = param.field.kind {
            return Some(kind);
        }
        let makes = self.path.iter().any(|word| word.starts_with("create") || word == "add");
        let named = |kind: &Kind| {
            let field = kind.descriptor().name_field;
            (field.name, field.help) == (param.field.name, param.field.help)
        };
        Kind::ALL.into_iter().find(named).filter(|_| !makes)
    }

    /// Words and what they are, without names of objects.
    fn offers(&self, root: &Command) -> Vec<(String, String)> {
        let plain = |word: &str| (word.to_owned(), String::new());
        if let Some(arg) = self.open {
            return self
                .param()
                .map_or_else(|| loose_values(arg), |param| values(&param))
                .iter()
                .map(|w| plain(w))
                .collect();
        }
        if self.current.starts_with('-') {
            return self.names_of_arguments(root);
        }
        let below = self.at.get_subcommands().filter(|c| !c.is_hide_set());
        let mut offers: Vec<_> = below
            .map(|c| (c.get_name().to_owned(), c.get_about().map(ToString::to_string).unwrap_or_default()))
            .collect();
        match self.param() {
            Some(param) => offers.extend(values(&param).iter().map(|word| plain(word))),
            None => {
                let own = self.at.get_positionals().nth(self.by_position);
                offers.extend(own.map(loose_values).unwrap_or_default().iter().map(|word| plain(word)));
            }
        }
        offers
    }

    /// Arguments that may still be given, by their long names; where none of those was begun, by the others.
    fn names_of_arguments(&self, root: &Command) -> Vec<(String, String)> {
        let dashes = if self.current.starts_with("--") { "--" } else { "-" };
        let typed = self.current.trim_start_matches('-');
        let global = root.get_arguments().filter(|arg| arg.is_global_set());
        let free = |arg: &&Arg| !arg.is_hide_set() && !self.given.contains(arg.get_id().as_str());
        let (mut offers, mut others) = (Vec::new(), Vec::new());
        for arg in self.at.get_arguments().chain(global).filter(free) {
            let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let offer = |name: &str| (format!("{dashes}{name}"), about.clone());
            offers.extend(arg.get_long().filter(|name| name.starts_with(typed)).map(offer));
            let aliases = arg.get_visible_aliases().unwrap_or_default();
            others.extend(aliases.into_iter().filter(|name| name.starts_with(typed)).map(offer));
        }
        // At the top the global ones are its own, too.
        let mut offers = if offers.is_empty() { others } else { offers };
        offers.sort();
        offers.dedup();
        offers
    }
}

fn is_called(arg: &Arg, name: &str) -> bool {
    let letter = |alias: &char| name.chars().eq([*alias]);
    arg.get_long() == Some(name)
        || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
        || arg.get_all_short_aliases().is_some_and(|all| all.iter().any(letter))
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn values(param: &Param) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match (param.form, param.field.kind) {
        (Form::File | Form::Output | Form::Bundle, _) => vec![FILES.to_owned()],
        (_, FieldKind::Choice(choices) | FieldKind::List { choices: Some(choices), .. }) => words(choices),
        (_, FieldKind::Flag) => words(&["Y", "N"]),
        // Paths that the gateway itself reads or writes.
        (_, FieldKind::Text { .. }) if ["folder", "file", "base", "file_component"].contains(&param.name()) => {
            vec![FILES.to_owned()]
        }
        _ => Vec::new(),
    }
}

/// Values of an argument that belongs to no operation, or is made beside one.
fn loose_values(arg: &Arg) -> Vec<String> {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        return possible.iter().map(|value| value.get_name().to_owned()).collect();
    }
    let shown = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
    match shown {
        Some("DIR") => vec![FOLDERS.to_owned()],
        Some("FILE" | "FOLDER") => vec![FILES.to_owned()],
        _ if arg.get_id().as_str().ends_with(FROM_FILE) => vec![FILES.to_owned()],
        _ => Vec::new(),
    }
}

/// Names of the objects of a kind, if a gateway runs and answers soon.
async fn names(kind: Kind, words: &[String]) -> Vec<String> {
    let data = words.iter().skip_while(|word| !matches!(word.as_str(), "-data" | "--data")).nth(1);
    let ask = async {
        let path = DataDir::named(data.map(String::as_str)).ok()?;
        let dir = DataDir::open(&path, false).ok()?;
        let operation = OPERATIONS.iter().copied().flatten().find(|o| o.name == "names")?;
        let mut input = Input::default();
        input.give((operation.params)().first()?, kind.as_str()).ok()?;
        admin::socket::call(&dir.socket(), operation.name, &input).await.ok()
    };
    let Ok(Some(Output::Table { rows, .. })) = tokio::time::timeout(NAMES_WAIT_MAX, ask).await else {
        return Vec::new();
    };
    rows.iter().filter_map(|row| row.first()).map(ToString::to_string).take(NAMES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let root = command_tree();
        let line = Line::read(&words, &root);
        let offers = line.offers(&root).into_iter().map(|(word, _)| word);
        offers.filter(|word| word.starts_with(&line.current) || word.starts_with(':')).collect()
    }

    fn kind(words: &[&str]) -> Option<Kind> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Line::read(&words, &command_tree()).wanted_kind()
    }

    #[test]
    fn commands_parameters_and_values_are_offered() {
        assert_eq!(offered(&["gatehouse", "seca"]), ["secadm"]);
        assert!(offered(&["gatehouse", "secadm", "create_"]).contains(&"create_sshprof".to_owned()));
        assert_eq!(offered(&["/usr/bin/secadm", "create_ssh"]), ["create_sshprof"]);
        assert_eq!(offered(&["secadm", "create_sshprof", "-sshp"]), ["-sshprof_name"]);
        assert_eq!(offered(&["secadm", "create_sshprof", "--sshp"]), ["--sshprof_name"]);
        assert_eq!(offered(&["secadm", "create_sshprof", "-shpn"]), ["-shpn"]);
        assert!(!offered(&["secadm", "create_sshprof", "-shpn", "X", "-s"]).contains(&"-sshprof_name".to_owned()));
        assert_eq!(offered(&["secadm", "create_sshprof", "-type", "S"]), ["SERVER"]);
        assert_eq!(offered(&["gatehouse", "listener", "add", "L", "-ipv6_only", ""]), ["Y", "N"]);
        assert_eq!(offered(&["secadm", "import_key", "-file_name", ""]), [FILES]);
        assert_eq!(offered(&["gatehouse", "serve", "-log", ""]), ["text", "json"]);
        assert_eq!(offered(&["gatehouse", "serve", "-data", ""]), [FOLDERS]);
        assert_eq!(offered(&["gatehouse", "completion", "z"]), ["zsh"]);
        assert!(offered(&["gatehouse", "no_such", "x", ""]).len() > 10, "what is not understood is passed over");
        assert!(offered(&[]).len() > 10 && offered(&["gatehouse", "__"]).is_empty());
    }

    #[test]
    fn names_of_objects_are_asked_for_where_one_is_wanted() {
        assert_eq!(kind(&["secdsp", "display_sshprof", ""]), Some(Kind::SshProfile));
        assert_eq!(kind(&["secadm", "update_sshprof", "-shpn", ""]), Some(Kind::SshProfile));
        assert_eq!(kind(&["secadm", "create_sshprof", "-shpn", ""]), None, "a new name");
        assert_eq!(kind(&["peladm", "create_cgate", "-cgategroup", ""]), Some(Kind::CgateGroup));
        assert_eq!(kind(&["gatehouse", "listener", "disable", ""]), Some(Kind::Listener));
        assert_eq!(kind(&["gatehouse", "listener", "add", ""]), None);
        assert_eq!(kind(&["secdsp", "display_sshprof", "-"]), None);
    }

    #[test]
    fn every_shell_has_a_script_for_every_name() {
        for shell in ["bash", "zsh", "fish"] {
            let script = script(shell).unwrap();
            assert!(script.contains("gatehouse secadm secdsp") && !script.contains("@NAMES@"), "{shell}");
        }
        assert!(script("tcsh").is_none());
    }
}
