//! The command line: documented names and forms, prompts, files, exit codes 0, 1 and 2 (objects.md section 14).

mod answers;
mod bundle;
mod complete;
pub(crate) mod dialogue;
mod man;
mod pelencpass;
pub(crate) mod print;
mod roff;
mod times;
mod tree;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;

use admin::{Form, Input, InputError, Operation, Param};
use base::Secret;
use clap::ArgMatches;

use crate::content::Streamed;

pub(crate) use complete::complete;
pub(crate) use man::write as write_manual;
pub(crate) use pelencpass::run as encrypt_passwords;
pub(crate) use times::Zone;
pub(crate) use tree::LINK_NAMES;

/// Largest file that a command reads to send along, in octets.
const FILE_OCTETS_MAX: u64 = 1 << 20;

/// What the command line asks for.
pub(crate) enum Asked {
    /// Help, as text.
    Help(String),
    /// The line is wrong; the text says what is expected.
    Wrong(String),
    /// `gatehouse serve`.
    Serve(ArgMatches),
    /// `gatehouse demo`.
    Demo(ArgMatches),
    /// `gatehouse links DIR`.
    Links(String),
    /// `gatehouse health`.
    Health(ArgMatches),
    /// `gatehouse man DIR`.
    Man(String),
    /// What may stand in the place of the last word.
    Complete(Vec<OsString>),
    /// `pelencpass`, which is done here.
    Passwords(ArgMatches),
    /// `gatehouse backup verify FOLDER`.
    Verify(ArgMatches),
    /// `gatehouse restore FOLDER`.
    Restore(ArgMatches),
    /// An operation with its input.
    Operation(Box<Call>),
}

/// An operation with its input.
pub(crate) struct Call {
    pub(crate) operation: &'static Operation,
    pub(crate) input: Input,
    pub(crate) data: Option<String>,
    pub(crate) json: bool,
    /// For what people see.
    pub(crate) zone: Zone,
    /// Where the result goes, if not to standard output.
    pub(crate) output: Option<Target>,
    /// Content that goes or comes beside it.
    pub(crate) streamed: Option<Streamed>,
}

/// A file for the result.
pub(crate) struct Target {
    pub(crate) path: String,
    pub(crate) append: bool,
}

/// Reads the arguments; the first is the program's name, which may be that of a link.
pub(crate) fn ask(args: impl IntoIterator<Item = OsString>) -> Asked {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_default();
    let mut args = args.peekable();
    if args.next_if(|word| word == complete::COMPLETE).is_some() {
        return Asked::Complete(args.collect());
    }
    let link = Path::new(&program).file_name().filter(|n| LINK_NAMES.iter().any(|l| **n == **l)).map(OsString::from);
    let root = tree::command_tree();
    let normal = tree::normalise(link.into_iter().chain(args), &root);
    if let Some(long) = normal.help {
        return Asked::Help(help(root, &normal.path, long));
    }
    let with_name = std::iter::once(OsString::from("gatehouse")).chain(normal.args);
    match root.clone().try_get_matches_from(with_name) {
        Ok(matches) => sort(&matches),
        Err(e) if e.kind() == clap::error::ErrorKind::DisplayVersion => Asked::Help(e.to_string()),
        Err(e) => {
            let text = match normal.strange {
                Some(name) if is_about_an_option(&e) => InputError::Unknown(name).to_string(),
                _ => told(&e),
            };
            Asked::Wrong(format!("{text}\nsee: gatehouse {} ?", normal.path.join(" ")))
        }
    }
}

/// An option that nobody knows; a stray word is not one.
fn is_about_an_option(error: &clap::Error) -> bool {
    let what = error.get(clap::error::ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    error.kind() == clap::error::ErrorKind::UnknownArgument && what.starts_with('-')
}

fn told(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().take_while(|l| !l.starts_with("Usage:")).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn help(root: clap::Command, path: &[String], long: bool) -> String {
    let mut root = root;
    root.build();
    let mut at = &mut root;
    for word in path {
        at = match at.find_subcommand_mut(word) {
            Some(below) => below,
            None => return String::new(),
        };
    }
    if long { at.render_long_help().to_string() } else { at.render_help().to_string() }
}

fn sort(matches: &ArgMatches) -> Asked {
    match matches.subcommand() {
        Some(("serve", m)) => Asked::Serve(m.clone()),
        Some(("completion", m)) => {
            let script = m.get_one::<String>("shell").and_then(|shell| complete::script(shell));
            script.map_or_else(|| Asked::Wrong("completion: give bash, zsh or fish".to_owned()), Asked::Help)
        }
        Some(("man", m)) => Asked::Man(m.get_one::<String>("folder").cloned().unwrap_or_default()),
        Some(("health", m)) => Asked::Health(m.clone()),
        Some(("demo", m)) => Asked::Demo(m.clone()),
        Some(("restore", m)) => Asked::Restore(m.clone()),
        Some(("backup", m)) if m.subcommand_name() == Some("verify") => {
            Asked::Verify(m.subcommand_matches("verify").cloned().unwrap_or_default())
        }
        Some((pelencpass::NAME, m)) => Asked::Passwords(m.clone()),
        Some(("links", m)) => Asked::Links(m.get_one::<String>("folder").cloned().unwrap_or_default()),
        _ => {
            let mut words = Vec::new();
            let mut at = matches;
            while let Some((word, below)) = at.subcommand() {
                words.push(word);
                at = below;
            }
            let name = words.join(" ");
            match admin::find(&name) {
                Some(operation) => call(operation, at),
                None => Asked::Wrong(InputError::UnknownOperation(name).to_string()),
            }
        }
    }
}

/// Makes a link to this program for each documented name that `folder` does not have yet. Beside the program they name
/// it without a path, so that they stay right when the folder is moved into an image or a package.
///
/// # Errors
/// A sentence that names the link.
pub(crate) fn make_links(folder: &str) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let beside = program.parent().map(Path::to_path_buf) == Path::new(folder).canonicalize().ok();
    let target = program.file_name().filter(|_| beside).map_or_else(|| program.clone(), Into::into);
    for name in LINK_NAMES {
        let link = Path::new(folder).join(name);
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(&target, &link).map_err(|e| format!("{}: {e}", link.display()))?;
        }
    }
    Ok(())
}

fn call(operation: &'static Operation, matches: &ArgMatches) -> Asked {
    let mut input = Input::default();
    for param in (operation.params)() {
        if let Err(text) = take(&mut input, &param, matches) {
            return Asked::Wrong(format!("{}: {text}", operation.name));
        }
    }
    if let Err(text) = answers::take(&mut input, &(operation.params)(), matches) {
        return Asked::Wrong(format!("{}: {text}", operation.name));
    }
    if let Err(error) = input.check(&(operation.params)()) {
        return Asked::Wrong(format!("{}: {error}\nsee: gatehouse {} ?", operation.name, operation.name));
    }
    Asked::Operation(Box::new(Call {
        operation,
        input,
        data: matches.get_one::<String>("data").cloned(),
        json: matches.get_flag("json"),
        zone: Zone::new(matches.get_flag("utc")),
        output: target(&(operation.params)(), matches),
        streamed: streamed(&(operation.params)(), matches),
    }))
}

fn target(params: &[Param], matches: &ArgMatches) -> Option<Target> {
    let path = params.iter().find(|p| p.form == Form::Output).and_then(|p| tree::given(matches, p))?;
    let append = params.iter().any(|p| p.form == Form::Append && matches.get_flag(p.name()));
    Some(Target { path: path.clone(), append })
}

fn streamed(params: &[Param], matches: &ArgMatches) -> Option<Streamed> {
    let of = |form| params.iter().find(|p| p.form == form);
    let replace = || params.iter().any(|p| p.name() == "replace" && matches.get_flag("replace"));
    match (of(Form::Send), of(Form::Receive)) {
        (Some(from), _) => tree::given(matches, from).cloned().map(Streamed::Send),
        (None, Some(to)) => Some(Streamed::Receive { to: tree::given(matches, to).cloned(), replace: replace() }),
        (None, None) => None,
    }
}

fn take(input: &mut Input, param: &Param, matches: &ArgMatches) -> Result<(), String> {
    match param.form {
        Form::Switch if matches.get_flag(param.name()) => input.give(param, "Y").map_err(|e| e.to_string()),
        Form::Switch | Form::Output | Form::Append | Form::Answers | Form::Receive => Ok(()),
        Form::Bundle => match tree::given(matches, param) {
            Some(path) => {
                input.give_bundle(param, bundle::read(path)?);
                Ok(())
            }
            None => Ok(()),
        },
        Form::File => match tree::given(matches, param) {
            Some(path) => {
                input.give_file(param, read_file(path)?);
                Ok(())
            }
            None => Ok(()),
        },
        Form::Asked => {
            let value = asked_secret(param.name(), param.field.help, matches)?;
            input.give(param, value.expose()).map_err(|e| e.to_string())
        }
        Form::Value if param.is_secret() => match secret(param, matches, input)? {
            Some(value) => input.give(param, value.expose()).map_err(|e| e.to_string()),
            None => Ok(()),
        },
        Form::Time => match tree::given(matches, param) {
            Some(text) => {
                let zone = Zone::new(matches.get_flag("utc"));
                let utc = zone.read(text).map_err(|text| format!("-{}: {text}", param.name()))?;
                input.give(param, &utc).map_err(|e| e.to_string())
            }
            None => Ok(()),
        },
        Form::Value | Form::Send => match tree::given(matches, param) {
            Some(text) => input.give(param, text).map_err(|e| e.to_string()),
            None => Ok(()),
        },
    }
}

/// A secret: from a file, from the environment, from the line (with a warning), or asked for where its name stands without a value or it is
/// mandatory and a terminal is there (STO-3).
fn secret(param: &Param, matches: &ArgMatches, input: &Input) -> Result<Option<Secret<String>>, String> {
    let file = format!("{}{}", param.name(), tree::FROM_FILE);
    if let Some(path) = matches.get_one::<String>(&file) {
        return first_line(path).map(Some);
    }
    if let Some(name) = matches.get_one::<String>(&format!("{}{}", param.name(), tree::FROM_ENV)) {
        let text = std::env::var(name).map_err(|_| format!("environment variable {name} is not set, or no text"))?;
        return Ok(Some(Secret::new(text)));
    }
    if let Some(text) = matches.get_one::<String>(param.name()) {
        let hint = format!(
            "warning: -{0} on the command line is seen by others; use -{file}, -{0}{1}, or give it no value",
            param.name(),
            tree::FROM_ENV
        );
        // An empty one takes it away: nothing to be seen.
        if !text.is_empty() {
            print::error_line(&hint).map_err(|e| e.to_string())?;
        }
        return Ok(Some(Secret::new(text.clone())));
    }
    let needed = param.field.required || param.asked_if.is_some_and(|needed| needed(input));
    if !matches.contains_id(param.name()) && !needed {
        return Ok(None);
    }
    if !std::io::stdin().is_terminal() {
        return Err(format!("no terminal to ask for -{0}: give -{file} or -{0}{1}", param.name(), tree::FROM_ENV));
    }
    let text = rpassword::prompt_password(format!("{}: ", param.field.help)).map_err(|e| e.to_string())?;
    Ok(Some(Secret::new(text)))
}

/// A secret that never stands on the line: the first line of a file, of the credential `gatehouse.NAME` of the service
/// manager, or asked for.
pub(crate) fn asked_secret(name: &str, help: &str, matches: &ArgMatches) -> Result<Secret<String>, String> {
    let file = format!("{name}{}", tree::FROM_FILE);
    if let Some(path) = matches.get_one::<String>(&file) {
        return first_line(path);
    }
    if let Some(path) = crate::system::credential(name) {
        return first_line(&path.display().to_string());
    }
    if !std::io::stdin().is_terminal() {
        return Err(format!("no terminal to ask for -{name}: give -{file}"));
    }
    rpassword::prompt_password(format!("{help}: ")).map(Secret::new).map_err(|e| e.to_string())
}

pub(crate) fn first_line(path: &str) -> Result<Secret<String>, String> {
    let octets = Secret::new(read_file(path)?);
    let text = std::str::from_utf8(octets.expose()).map_err(|_| format!("{path}: not text"))?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
}

pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|e| format!("{path}: {e}"))?;
    let mut octets = Vec::new();
    file.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets).map_err(|e| format!("{path}: {e}"))?;
    match u64::try_from(octets.len()) {
        Ok(len) if len <= FILE_OCTETS_MAX => Ok(octets),
        _ => Err(format!("{path}: file is larger than {FILE_OCTETS_MAX} octets")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(line: &str) -> String {
        match ask(line.split(' ').map(OsString::from)) {
            Asked::Wrong(text) => text,
            _ => panic!("{line}: taken"),
        }
    }

    #[test]
    fn what_is_wrong_is_named_a_stray_word_too() {
        let stray = wrong("gatehouse secadm create_sshprof -shpn A astray --data D");
        assert!(stray.contains("astray") && !stray.contains("--data"), "{stray}");
        let unknown = wrong("gatehouse secadm create_sshprof -shpn A -nosuch B");
        assert!(unknown.contains("nosuch") && !unknown.contains("error:"), "{unknown}");
    }
}
