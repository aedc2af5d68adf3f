//! `pelencpass`: encrypted passwords and keys in files of the caller. No gateway takes part, and nothing is audited
//! (passwords-and-storage.md sections 2 and 7).

use std::io::IsTerminal;
use std::path::Path;

use admin::{Input, Param};
use base::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{ArgMatches, Command};
use keys::{DerivedKey, open_password, read_password_file, write_password_file};
use model::{Field, FieldKind};

use super::{print, take, tree};

const INPUT: Field =
    Field::new("encrypt_input_string", FieldKind::Secret { max: 1024 }, "text that the key is derived from")
        .shorts(&["encis"]);
const PASSWORD: Field =
    Field::new("password_to_encrypt", FieldKind::Secret { max: 1024 }, "password to be encrypted").shorts(&["encpwd"]);
const SALT_FILE: Field = Field::text("salt_file", 4095, "file for the salt").shorts(&["saltf"]);
const KEY_FILE: Field =
    Field::text("derived_key_file", 4095, "file for the key: it opens the password").shorts(&["dkf"]);
const DATA_FILE: Field = Field::text("encrypted_data_file", 4095, "file for the encrypted password").shorts(&["encf"]);
const GENERATE: Field =
    Field::choice("generate_key", &["generate", "reuse"], "make a key, or take the one that is there")
        .shorts(&["genkey"])
        .default("generate");
const FORMAT: Field =
    Field::choice("output_format", &["binary", "base64"], "form of the files").shorts(&["fmt"]).default("binary");

/// `pelencpass encrypt_pass` and `generate_key`.
pub(crate) fn command() -> Command {
    let encrypt = Command::new(ENCRYPT).about("Encrypt a password into three files: salt, derived key, password");
    let generate = Command::new(GENERATE_KEY).about("Make a key file for exports (-ekf) and passwords");
    Command::new(NAME)
        .about(tree::family(NAME))
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(tree::with_params(encrypt, &encrypt_params()))
        .subcommand(tree::with_params(generate, &generate_params()))
}

pub(crate) const NAME: &str = "pelencpass";
const ENCRYPT: &str = "encrypt_pass";
const GENERATE_KEY: &str = "generate_key";

fn force() -> Param {
    Param::switch("force", "replace a key file that is there")
}

fn encrypt_params() -> Vec<Param> {
    let generates = |input: &Input| input.text("generate_key") != Some("reuse");
    vec![
        Param::of(GENERATE),
        Param::of(INPUT).asked_if(generates),
        Param::of(PASSWORD).required(),
        Param::of(SALT_FILE).required(),
        Param::of(KEY_FILE).required(),
        Param::of(DATA_FILE).required(),
        Param::of(FORMAT),
        force(),
    ]
}

fn generate_params() -> Vec<Param> {
    vec![Param::of(INPUT).required(), Param::of(KEY_FILE).required(), Param::of(SALT_FILE), Param::of(FORMAT), force()]
}

/// Why it was not done: the exit code, and a sentence.
type Failure = (u8, String);

/// Carries one of the two out.
///
/// # Errors
/// Exit code 2 for a line that is not of the command's form, else 1.
pub(crate) fn run(matches: &ArgMatches) -> Result<String, Failure> {
    let (name, below, params) = match matches.subcommand() {
        Some((GENERATE_KEY, below)) => (GENERATE_KEY, below, generate_params()),
        Some((_, below)) => (ENCRYPT, below, encrypt_params()),
        None => return Err((2, "give encrypt_pass or generate_key".to_owned())),
    };
    let named = |text: String| format!("{NAME} {name}: {text}");
    let mut input = Input::default();
    for param in &params {
        take(&mut input, param, below).map_err(|text| (2, named(text)))?;
    }
    input.check(&params).map_err(|e| (2, named(e.to_string())))?;
    let done = if name == ENCRYPT { encrypt(&input) } else { generate(&input) };
    done.map_err(|text| (1, named(text)))
}

fn encrypt(input: &Input) -> Result<String, String> {
    let reuse = input.text("generate_key") == Some("reuse");
    let (salt, key, data) =
        (path(input, "salt_file")?, path(input, "derived_key_file")?, path(input, "encrypted_data_file")?);
    if salt == key || key == data || salt == data {
        return Err("salt, key and password need a file each".to_owned());
    }
    let password = input.secret("password_to_encrypt").ok_or("-password_to_encrypt is absent")?;
    let derived = match reuse {
        true => {
            let (salt, key) = (read_password_file(salt).map_err(told)?, read_password_file(key).map_err(told)?);
            DerivedKey::from_files(salt.expose(), key.expose()).map_err(told)?
        }
        false => {
            may_replace(input, key)?;
            made(input)?
        }
    };
    let encrypted = derived.encrypt(password).map_err(told)?;
    if !reuse {
        write(input, key, derived.key_file())?;
        write(input, salt, derived.salt_file())?;
    }
    write(input, data, &encrypted)?;
    // What stands there now must open.
    let (key, data) = (read_password_file(key).map_err(told)?, read_password_file(data).map_err(told)?);
    let opened = open_password(key.expose(), data.expose()).map_err(told)?;
    match base::same_octets(opened.expose().as_bytes(), password.expose().as_bytes()) {
        true => Ok(format!("{NAME} {ENCRYPT}: password encrypted, and read back")),
        false => Err("the files do not give the password back".to_owned()),
    }
}

fn generate(input: &Input) -> Result<String, String> {
    let key = path(input, "derived_key_file")?;
    may_replace(input, key)?;
    let derived = made(input)?;
    write(input, key, derived.key_file())?;
    if input.text("salt_file").is_some() {
        write(input, path(input, "salt_file")?, derived.salt_file())?;
    }
    Ok(format!("{NAME} {GENERATE_KEY}: key file written"))
}

fn made(input: &Input) -> Result<DerivedKey, String> {
    let text: &Secret<String> = input.secret("encrypt_input_string").ok_or("-encrypt_input_string is absent")?;
    DerivedKey::generate(text).map_err(told)
}

fn path<'a>(input: &'a Input, name: &str) -> Result<&'a Path, String> {
    input.text(name).map(Path::new).ok_or_else(|| format!("-{name} is absent"))
}

fn write(input: &Input, path: &Path, content: &[u8]) -> Result<(), String> {
    let base64 = (input.text("output_format") == Some("base64")).then(|| STANDARD.encode(content).into_bytes());
    write_password_file(path, base64.as_deref().unwrap_or(content), true).map_err(told)
}

/// A key file that is there is replaced after a yes, or with `-force` (STO-2).
fn may_replace(input: &Input, key: &Path) -> Result<(), String> {
    if input.is_set("force") || key.symlink_metadata().is_err() {
        return Ok(());
    }
    let question = format!(
        "{} is there, and what was encrypted with it will not open any more. Replace it? (yes/no)",
        key.display()
    );
    if !std::io::stdin().is_terminal() {
        return Err(format!("{} is there: use -generate_key reuse, or replace it with -force", key.display()));
    }
    print::error_line(&question).map_err(told)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(told)?;
    if answer.trim().eq_ignore_ascii_case("yes") { Ok(()) } else { Err(format!("{} is left as it is", key.display())) }
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
