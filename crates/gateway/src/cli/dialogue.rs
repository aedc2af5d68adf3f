//! Adding a partner at a terminal: questions for what is not said yet, the plan, a yes, the test of the connection, the
//! sheet. What is asked, and when, is said by `admin`; here it is put to a person.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};

use admin::partner::{Question, questions};
use admin::{Form, Input, Output, Param};
use serde_json::Value as Json;

use super::times::Zone;
use super::{Call, print, read_file};
use crate::{Failure, perform};

/// Exit code of what was not done.
const FAILED: u8 = 1;
/// Operations that talk at a terminal.
const TALKING: &[&str] = &["partner add", "partner remove"];

/// Whether the command is to talk: a person is there, and wants to be asked.
pub(crate) fn wanted(call: &Call) -> bool {
    TALKING.contains(&call.operation.name)
        && !call.json
        && !call.input.is_set("yes")
        && !call.input.is_set("dry_run")
        && std::io::stdin().is_terminal()
        && std::io::stdout().is_terminal()
}

/// Carries out the command, asking on the way.
///
/// # Errors
/// Exit code and text.
pub(crate) async fn talk(mut call: Call) -> Result<(), Failure> {
    match call.operation.name {
        "partner add" => add(&mut call).await,
        _ => remove(&mut call).await,
    }
}

async fn add(call: &mut Call) -> Result<(), Failure> {
    let name = call.input.text("name").unwrap_or_default().to_owned();
    if about(call, "partner show", &[("name", &name)]).await.is_ok() {
        let text = format!(
            "partner {name} exists already: see `gatehouse partner show {name}`, or take it away with `gatehouse partner \
             remove {name}`"
        );
        return Err((FAILED, text));
    }
    ask_all(&mut call.input, &(call.operation.params)())?;
    preview(call, &format!("Add {name}?")).await?;
    set(call, "no_test", "Y")?;
    let done = perform(call).await?.json();
    say("")?;
    if fact(&done, "called").as_bool() == Some(true) {
        test_outgoing(call, &name).await?;
    } else {
        let test = about(call, "partner test", &[("name", &name)]).await?;
        print::output(&test, false, &call.zone).map_err(failed)?;
    }
    say("")?;
    texts(&done, "sheet_lines").iter().try_for_each(|text| say(text))?;
    say("")?;
    texts(&done, "next").iter().try_for_each(|text| say(&format!("next: {text}")))?;
    say(fact(&done, "done").as_str().unwrap_or_default())
}

async fn remove(call: &mut Call) -> Result<(), Failure> {
    preview(call, "Remove all this?").await?;
    let done = perform(call).await?.json();
    say(fact(&done, "end").as_str().unwrap_or("done"))
}

/// Shows the plan, and goes on if a person says so.
async fn preview(call: &mut Call, question: &str) -> Result<(), Failure> {
    set(call, "dry_run", "Y")?;
    let plan = perform(call).await?;
    say("")?;
    if let Output::Story { lines, .. } = &plan {
        let shown = lines.split_last().map_or(&[][..], |(_, rest)| rest);
        shown.iter().try_for_each(|text| say(text))?;
    }
    if !confirmed(question, true)? {
        return Err((FAILED, "nothing was changed".to_owned()));
    }
    set(call, "dry_run", "N")
}

/// Calls the partner; a host key that is not known yet is put to the person.
async fn test_outgoing(call: &Call, name: &str) -> Result<(), Failure> {
    let test = about(call, "partner test", &[("name", name)]).await?;
    print::output(&test, false, &call.zone).map_err(failed)?;
    let json = test.json();
    let waiting = fact(&json, "tests").as_array().cloned().unwrap_or_default();
    let waiting = waiting.iter().map(|test| fact(test, "host_key")).find(|key| key.is_object());
    let Some(print) = waiting.map(|key| fact(&key, "fingerprint").as_str().unwrap_or_default().to_owned()) else {
        return Ok(());
    };
    say("")?;
    say("Ask the partner for the fingerprint of its host key, by a way that you knew before.")?;
    if !confirmed(&format!("Is it {print}?"), false)? {
        return say("It stays in quarantine: nothing is sent to this partner until you trust its key.");
    }
    let trusted = about(call, "partner trust", &[("name", name), ("fingerprint", &print)]).await?;
    print::output(&trusted, false, &call.zone).map_err(failed)
}

/// Another operation on the same gateway.
async fn about(call: &Call, operation: &str, values: &[(&str, &str)]) -> Result<Output, Failure> {
    let input = crate::instance::input(operation, values).map_err(|text| (FAILED, text))?;
    let operation = admin::find(operation).ok_or_else(|| (FAILED, format!("no operation {operation}")))?;
    perform(&Call {
        operation,
        input,
        data: call.data.clone(),
        json: false,
        zone: Zone::new(true),
        output: None,
        streamed: None,
    })
    .await
}

fn set(call: &mut Call, name: &str, text: &str) -> Result<(), Failure> {
    let params = (call.operation.params)();
    let param = params.iter().find(|p| p.name() == name).ok_or_else(|| (FAILED, format!("no parameter {name}")))?;
    call.input.give(param, text).map_err(|e| (FAILED, e.to_string()))
}

fn fact(json: &Json, name: &str) -> Json {
    json.get(name).cloned().unwrap_or(Json::Null)
}

fn texts(json: &Json, name: &str) -> Vec<String> {
    let all = fact(json, name).as_array().cloned().unwrap_or_default();
    all.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Asks for all that is not said yet. What a person answered is not asked again, though it may be nothing.
fn ask_all(input: &mut Input, params: &[Param]) -> Result<(), Failure> {
    let mut asked = BTreeSet::new();
    // Who gave parameters knows what may be given: only what is needed is asked then.
    let all = questions(input).iter().any(|q| q.param == "directions");
    let is_open =
        |q: &Question, asked: &BTreeSet<_>| !asked.contains(q.param) && (all || !q.optional && q.param != "login");
    while let Some(question) = questions(input).into_iter().find(|q| is_open(q, &asked)) {
        loop {
            match answer(input, params, &question) {
                Ok(()) => break,
                Err(Wrong::Answer(text)) => say(&format!("  {text}"))?,
                Err(Wrong::Terminal(failure)) => return Err(failure),
            }
        }
        asked.insert(question.param);
    }
    Ok(())
}

/// What is wrong with an answer.
enum Wrong {
    /// It is asked again.
    Answer(String),
    /// Nobody answers any more.
    Terminal(Failure),
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Self {
        Self::Terminal(failure)
    }
}

fn answer(input: &mut Input, params: &[Param], question: &Question) -> Result<(), Wrong> {
    let param = |name: &str| params.iter().find(|p| p.name() == name).copied();
    let own = param(question.param).ok_or_else(|| Wrong::Answer(format!("no parameter {}", question.param)))?;
    if own.is_secret() {
        let text = secret(&question.text)?;
        return if text.is_empty() { Ok(()) } else { given(input, &own, &text) };
    }
    let shown = question.default.as_ref().map(|d| format!(" [{d}]")).unwrap_or_default();
    let text = line(&format!("{}{shown}: ", question.text))?;
    let text = if text.is_empty() { question.default.clone().unwrap_or_default() } else { text };
    if own.form == Form::File {
        return key(input, &text, &own, &param);
    }
    match (text.is_empty(), question.optional) {
        (true, true) => Ok(()),
        (true, false) => Err(Wrong::Answer("an answer is needed here (Ctrl-C ends without any change)".to_owned())),
        (false, _) => given(input, &own, &text).and_then(|()| checked(input, question.param)),
    }
}

/// A key as a file or a line; a password; or nothing, and the key is captured.
fn key(input: &mut Input, text: &str, file: &Param, param: &dyn Fn(&str) -> Option<Param>) -> Result<(), Wrong> {
    let other = |name: &str| param(name).ok_or_else(|| Wrong::Answer(format!("no parameter {name}")));
    match text {
        "" => given(input, &other("capture")?, "Y"),
        "password" => {
            let secret = secret("Password that they log in with")?;
            if secret.is_empty() {
                return Err(Wrong::Answer("a password is needed, or a key".to_owned()));
            }
            given(input, &other("password")?, &secret)
        }
        line if line.contains(" AAAA") => {
            admin::partner::check_keys(line.as_bytes()).map_err(Wrong::Answer)?;
            given(input, &other("key_line")?, line)
        }
        path => {
            let path = match (path.strip_prefix("~/"), std::env::var("HOME")) {
                (Some(rest), Ok(home)) => format!("{home}/{rest}"),
                _ => path.to_owned(),
            };
            let octets = read_file(&path).map_err(Wrong::Answer)?;
            admin::partner::check_keys(&octets).map_err(|text| Wrong::Answer(format!("{path}: {text}")))?;
            input.give_file(file, octets);
            Ok(())
        }
    }
}

fn given(input: &mut Input, param: &Param, text: &str) -> Result<(), Wrong> {
    input.give(param, text).map_err(|e| Wrong::Answer(e.to_string()))
}

/// What only the operation would refuse is told at once.
fn checked(input: &mut Input, param: &str) -> Result<(), Wrong> {
    admin::partner::check_answer(input, param).map_err(|text| {
        input.forget(param);
        Wrong::Answer(text)
    })
}

fn say(text: &str) -> Result<(), Failure> {
    print::line(text).map_err(failed)
}

fn failed(error: std::io::Error) -> Failure {
    (FAILED, error.to_string())
}

fn confirmed(question: &str, default: bool) -> Result<bool, Failure> {
    let choice = if default { "[Y/n]" } else { "[y/N]" };
    loop {
        match line(&format!("{question} {choice} "))?.to_lowercase().as_str() {
            "" => return Ok(default),
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => say("  answer y or n")?,
        }
    }
}

/// A line of the person, without blanks around it.
fn line(prompt: &str) -> Result<String, Failure> {
    let mut out = std::io::stdout().lock();
    write!(out, "{prompt}").and_then(|()| out.flush()).map_err(failed)?;
    drop(out);
    let mut text = String::new();
    match std::io::stdin().read_line(&mut text).map_err(failed)? {
        0 => Err((FAILED, "\nno more answers: nothing was changed".to_owned())),
        _ => Ok(text.trim().to_owned()),
    }
}

fn secret(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(format!("{prompt}: ")).map_err(failed)
}
