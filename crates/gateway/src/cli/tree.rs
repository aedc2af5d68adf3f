//! The command tree, built from the operations, and the form of arguments that the documentation uses.

use std::ffi::OsString;

use admin::{Form, OPERATIONS, Operation, Param};
use clap::{Arg, ArgAction, Command};
use model::FieldKind;

/// Programs that exist under their own name too, as links to `gatehouse`.
pub(crate) const LINK_NAMES: &[&str] = &[
    "secadm",
    "secdsp",
    "secbase",
    "peladm",
    "peldsp",
    "pelbase",
    "peltrans",
    "pelctl",
    "pelmon",
    "pelpur",
    "peluconf",
    "pelencpass",
    "vfdadm",
    "vfddsp",
    "vfdbase",
];

/// Ending of the argument that reads a secret from a file.
pub(crate) const FROM_FILE: &str = "_from_file";
/// Ending of the argument that reads a secret from the environment.
pub(crate) const FROM_ENV: &str = "_from_env";
/// Ending of the positional twin of a named argument.
pub(super) const BY_POSITION: &str = "@position";

/// The whole tree: `gatehouse serve`, `gatehouse secadm create_sshprof`, …
pub(crate) fn command_tree() -> Command {
    let mut root = Command::new("gatehouse")
        .about("The open gateway through which companies exchange business files")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .arg(
            Arg::new("data")
                .long("data")
                .global(true)
                .value_name("DIR")
                .help("data folder; GATEHOUSE_DATA where not given"),
        )
        .arg(Arg::new("json").long("json").global(true).action(ArgAction::SetTrue).help("print JSON, for programs"))
        .arg(
            Arg::new("utc")
                .long("utc")
                .global(true)
                .action(ArgAction::SetTrue)
                .help("times in UTC; in the zone of TZ or the system where not given"),
        )
        .subcommand(serve_command())
        .subcommand(demo_command())
        .subcommand(links_command())
        .subcommand(health_command())
        .subcommand(completion_command())
        .subcommand(man_command())
        .subcommand(super::pelencpass::command())
        .subcommand(restore_command())
        .subcommand(backup_command());
    for operation in OPERATIONS.iter().copied().flatten() {
        let words: Vec<&'static str> = operation.name.split(' ').collect();
        root = with_operation(root, &words, operation);
    }
    bare_help(root)
}

fn serve_command() -> Command {
    Command::new("serve")
        .about("Run the gateway until SIGTERM")
        .arg(Arg::new("metrics").long("metrics").value_name("ADDRESS:PORT").help("where /metrics and /health answer"))
        .arg(Arg::new("log").long("log").value_name("FORMAT").value_parser(["text", "json"]).help("form of log lines"))
}

fn health_command() -> Command {
    Command::new("health")
        .about("Ask a running gateway whether it takes work: exit code 0 if it does, 1 if not")
        .arg(
            Arg::new("live")
                .long("live")
                .action(ArgAction::SetTrue)
                .help("whether its process runs, even if it is frozen"),
        )
        .arg(
            Arg::new("metrics")
                .long("metrics")
                .value_name("ADDRESS:PORT")
                .help("where it answers; [metrics] address else"),
        )
}

fn completion_command() -> Command {
    let shell = Arg::new("shell").value_name("SHELL").required(true).value_parser(["bash", "zsh", "fish"]);
    Command::new("completion").about("Print the script that completes command lines in a shell").arg(shell)
}

fn man_command() -> Command {
    Command::new("man")
        .about("Write the manual pages below a folder, as man1, man5 and man8")
        .arg(Arg::new("folder").value_name("DIR").required(true))
}

fn demo_command() -> Command {
    Command::new("demo").about("See the main job: a file from partner A arrives, is stored, and goes to partner B").arg(
        Arg::new("keep").long("keep").action(ArgAction::SetTrue).help("leave it running and print commands to try"),
    )
}

fn links_command() -> Command {
    Command::new("links")
        .about("Make the documented program names (secadm, peladm, …) as links to gatehouse in a folder")
        .arg(Arg::new("folder").value_name("DIR").required(true))
}

/// What works without a gateway; the operations of the family join it.
fn backup_command() -> Command {
    let folder = Arg::new("folder").value_name("FOLDER").required(true).help("the backup");
    let verify = Command::new("verify").about("Check every file of a backup where it lies").arg(folder);
    Command::new("backup")
        .about(family("backup"))
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(verify)
}

fn restore_command() -> Command {
    let secret_file = format!("passphrase{FROM_FILE}");
    Command::new("restore")
        .about("Restore a backup into an empty data folder; the gateway then starts frozen")
        .arg(Arg::new("folder").value_name("FOLDER").required(true).help("the backup"))
        .arg(Arg::new("key_file").long("key_file").value_name("FILE").help("copy of the master key"))
        .arg(
            Arg::new("escrow")
                .long("escrow")
                .value_name("FILE")
                .help("escrow of the master key; asks for its passphrase"),
        )
        .arg(
            Arg::new(secret_file.clone())
                .long(secret_file)
                .value_name("FILE")
                .help("file whose first line is the passphrase"),
        )
}

fn with_operation(parent: Command, words: &[&'static str], operation: &'static Operation) -> Command {
    let Some((first, rest)) = words.split_first() else { return parent };
    let leaf = rest.is_empty();
    let build = |command: Command| match leaf {
        true => with_params(command.about(operation.title), &(operation.params)()),
        false => with_operation(command, rest, operation),
    };
    if parent.find_subcommand(first).is_some() {
        return parent.mut_subcommand(first, build);
    }
    let fresh = Command::new(*first).disable_help_subcommand(true);
    parent.subcommand(build(if leaf { fresh } else { fresh.subcommand_required(true).about(family(first)) }))
}

/// One line for a family of operations.
pub(super) fn family(word: &str) -> &'static str {
    match word {
        "secadm" => "Create, change and delete certificates, keys, security and network profiles",
        "secdsp" => "Show certificates, keys, security and network profiles",
        "peladm" => "Create, change and delete sites, gates, applications, models and rules",
        "peldsp" => "Show sites, gates, applications, models, rules and transfers",
        "pelctl" => "Control transfers and sites",
        "vfdadm" => "Create, change and delete virtual folders",
        "file" => "List, take out and bring stored files",
        "handoff" => "Drop folders, and programs that are told what happens",
        "vfddsp" => "Show virtual folders",
        "secbase" => "Export certificates; export and import profiles as text, a line for each field",
        "pelencpass" => "Encrypt passwords into files, make keys for exports",
        "pelbase" => "Export and import sites, gates, applications, models and rules as text, a line for each field",
        "vfdbase" => "Export and import virtual folders as text, a line for each field",
        "partner" => "Partners as one thing: add, show, test, export, remove",
        "probe" => "Look at a server of a partner before it is one",
        "node" => "Gateways that share one database",
        "listener" => "Addresses and ports that the gateway listens on",
        "quarantine" => "Keys that unknown partners showed, waiting for a person",
        "route" => "Where received files go",
        "explain" => "Say how the gateway would decide, and why",
        "certs" => "Certificates: what expires and when",
        "audit" => "The record of every change",
        "support" => "Help for those who help",
        "webhook" => "Web servers that are told of events",
        "alarm" => "What needs a person",
        "master" => "The key that seals everything stored",
        "store" => "What is stored of files",
        "backup" => "Make and check backups, keep the master key safe",
        _ => "",
    }
}

pub(super) fn with_params(mut command: Command, params: &[Param]) -> Command {
    for param in params {
        command = command.arg(argument(param));
        if param.is_secret() {
            let help = format!("file whose first line is the value of -{}", param.name());
            let name = format!("{}{FROM_FILE}", param.name());
            command = command.arg(Arg::new(name.clone()).long(name).value_name("FILE").help(help));
            let help = format!("environment variable that holds the value of -{}", param.name());
            let name = format!("{}{FROM_ENV}", param.name());
            command = command.arg(Arg::new(name.clone()).long(name).value_name("VARIABLE").help(help));
        }
        if param.positional {
            let name = format!("{}{BY_POSITION}", param.name());
            command = command.arg(Arg::new(name).value_name(param.name().to_uppercase()).help(param.field.help));
        }
    }
    command
}

fn argument(param: &Param) -> Arg {
    let field = &param.field;
    let mut arg = Arg::new(field.name).long(field.name).help(help_line(param)).allow_hyphen_values(true);
    for name in field.names().skip(1) {
        let mut letters = name.chars();
        arg = match (letters.next(), letters.next()) {
            (Some(letter), None) => arg.visible_short_alias(letter),
            _ => arg.visible_alias(name),
        };
    }
    if !field.detail.is_empty() {
        arg = arg.long_help(format!("{}\n{}", help_line(param), field.detail));
    }
    match (param.form, field.kind) {
        (Form::Switch | Form::Append | Form::Asked, _) => arg.action(ArgAction::SetTrue).allow_hyphen_values(false),
        (Form::File | Form::Output | Form::Answers, _) => arg.value_name("FILE"),
        (Form::Time, _) => arg.value_name("TIME"),
        (Form::Send | Form::Receive, _) => arg.value_name("FILE|-"),
        (Form::Bundle, _) => arg.value_name("FILE|DIR|-"),
        _ if param.is_secret() => arg.num_args(0..=1).allow_hyphen_values(false).value_name("SECRET"),
        (_, FieldKind::List { .. } | FieldKind::RefList(..)) => arg.value_name("LIST"),
        (_, FieldKind::Int { .. }) => arg.value_name("NUMBER"),
        (_, FieldKind::Flag) => arg.value_name("Y|N"),
        (_, FieldKind::Choice(words)) => arg.value_name(words.join("|")),
        _ => arg.value_name("TEXT"),
    }
}

fn help_line(param: &Param) -> String {
    let field = &param.field;
    let mandatory = if field.required { "[mandatory] " } else { "" };
    let expected = if param.form == Form::Value { format!(" ({})", field.expected()) } else { String::new() };
    let default = field.default.filter(|d| !d.is_empty()).map(|d| format!(" [default: {d}]")).unwrap_or_default();
    format!("{mandatory}{}{expected}{default}", field.help)
}

/// Help comes by `?`, `??`, `-h` and `--help`, which [`normalise`] sorts out: clap's own flags would take `-h`.
fn bare_help(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    names.into_iter().fold(command.disable_help_flag(true), |c, name| c.mut_subcommand(name, bare_help))
}

/// What the arguments ask for, in clap's form.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Normal {
    /// Arguments behind the program's name.
    pub(crate) args: Vec<OsString>,
    /// Help is asked for: short with `?` and `-h`, long with `??` and `--help`.
    pub(crate) help: Option<bool>,
    /// The subcommands found on the way.
    pub(crate) path: Vec<String>,
    /// The first name with one dash that no argument has; it may be a value.
    pub(crate) strange: Option<String>,
}

/// Turns `-name` into `--name` where the command at hand has such an argument, and takes the help signs out. Everything
/// behind `--` stays as it is.
pub(crate) fn normalise(args: impl IntoIterator<Item = OsString>, root: &Command) -> Normal {
    let mut normal = Normal { args: Vec::new(), help: None, path: Vec::new(), strange: None };
    let mut at = root;
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Some(text) = arg.to_str() else {
            normal.args.push(arg);
            continue;
        };
        match text {
            "?" | "-h" => normal.help = normal.help.or(Some(false)),
            "??" | "--help" => normal.help = Some(true),
            "--" => {
                normal.args.push(arg);
                normal.args.extend(args.by_ref());
            }
            _ => {
                if let Some(below) = at.find_subcommand(text) {
                    normal.path.push(text.to_owned());
                    at = below;
                }
                let long = long_form(text, &[at, root]);
                if let (None, Some(name)) = (&long, text.strip_prefix('-').filter(|n| n.chars().count() > 1)) {
                    normal.strange.get_or_insert_with(|| name.to_owned());
                }
                normal.args.push(long.map_or(arg, OsString::from));
            }
        }
    }
    normal
}

fn long_form(text: &str, commands: &[&Command]) -> Option<String> {
    let name = text.strip_prefix('-').filter(|n| n.chars().count() > 1 && !n.starts_with('-'))?;
    let bare = name.split('=').next().unwrap_or(name);
    let known = commands
        .iter()
        .flat_map(|c| c.get_arguments())
        .any(|a| a.get_long() == Some(bare) || a.get_all_aliases().is_some_and(|all| all.contains(&bare)));
    known.then(|| format!("--{name}"))
}

/// The values given for `param`: by name, else by position.
pub(crate) fn given<'a>(matches: &'a clap::ArgMatches, param: &Param) -> Option<&'a String> {
    let by_name = matches.try_get_one::<String>(param.name()).ok().flatten();
    let twin = format!("{}{BY_POSITION}", param.name());
    by_name.or_else(|| if param.positional { matches.try_get_one::<String>(&twin).ok().flatten() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Field;

    fn sample() -> Command {
        let params = [
            Param::of(Field::text("sshprof_name", 31, "").shorts(&["shpn"])),
            Param::of(Field::choice("state", &["ENABLED"], "").shorts(&["s"])),
        ];
        let create = with_params(Command::new("create_sshprof"), &params);
        bare_help(Command::new("gatehouse").subcommand(Command::new("secadm").subcommand(create)))
    }

    fn normal(args: &[&str]) -> Normal {
        normalise(args.iter().map(OsString::from), &sample())
    }

    #[test]
    fn single_dash_names_become_long_ones() {
        let n =
            normal(&["secadm", "create_sshprof", "-sshprof_name", "A", "-shpn=B", "-s", "E", "-nosuch", "--", "-shpn"]);
        assert_eq!(
            n.args,
            ["secadm", "create_sshprof", "--sshprof_name", "A", "--shpn=B", "-s", "E", "-nosuch", "--", "-shpn"]
        );
        assert_eq!(n.path, ["secadm", "create_sshprof"]);
    }

    #[test]
    fn question_marks_ask_for_help() {
        assert_eq!(normal(&["secadm", "?"]).help, Some(false));
        assert_eq!(normal(&["secadm", "create_sshprof", "??"]).help, Some(true));
        assert_eq!(normal(&["secadm", "--", "?"]).help, None);
    }

    #[test]
    fn the_whole_tree_is_sound() {
        command_tree().debug_assert();
    }

    #[test]
    fn every_documented_name_of_every_operation_is_taken() {
        let tree = command_tree();
        for operation in OPERATIONS.iter().copied().flatten() {
            let words: Vec<&str> = operation.name.split(' ').collect();
            for param in (operation.params)() {
                for name in param.field.names().filter(|n| n.chars().count() > 1) {
                    let args = words.iter().map(|w| (*w).to_owned()).chain([format!("-{name}")]).map(OsString::from);
                    let n = normalise(args, &tree);
                    assert_eq!(n.args.last(), Some(&OsString::from(format!("--{name}"))), "{} -{name}", operation.name);
                }
            }
        }
    }
}
