//! `gatehouse`: the open gateway through which companies exchange business files.
//!
//! Read `accept.rs` and `deliver.rs` first: they are the way of a file in and out.

mod accept;
mod call;
mod care;
mod cli;
mod content;
mod data_dir;
mod deliver;
mod demo;
mod health;
mod instance;
mod log_file;
mod observe;
mod serve;
mod settings;
mod streamed;
mod system;
mod tell;

use std::net::SocketAddr;
use std::process::ExitCode;

use admin::socket::{CallError, call};
use admin::{Content, Output, execute};
use cli::{Asked, Call, print};
use data_dir::DataDir;
use instance::Instance;
use settings::LogFormat;

/// Refused or failed.
const FAILED: u8 = 1;
/// The line is not of the command's form.
const SYNTAX: u8 = 2;
/// Time between two looks of `status -watch`.
const WATCH_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

fn main() -> ExitCode {
    // Files are closed to others whatever the caller's mask (BP-5).
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    if let Err(error) = system::forbid_dumps() {
        return told(FAILED, &format!("the system does not let us forbid images of our memory: {error}"));
    }
    let asked = cli::ask(std::env::args_os());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return told(FAILED, &error.to_string()),
    };
    let streams = matches!(&asked, Asked::Operation(call) if call.streamed.is_some());
    let answered = runtime.block_on(answer(asked));
    if streams {
        // Somebody may still wait for standard input.
        runtime.shutdown_background();
    }
    match answered {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, text)) => told(code, &text),
    }
}

fn told(code: u8, text: &str) -> ExitCode {
    if !text.is_empty() {
        // Nothing is left to do if even standard error is closed.
        drop(print::error_line(text));
    }
    ExitCode::from(code)
}

type Failure = (u8, String);

async fn answer(asked: Asked) -> Result<(), Failure> {
    let failed = |text: String| (FAILED, text);
    match asked {
        Asked::Help(text) => print::line(text.trim_end()).map_err(|e| failed(e.to_string())),
        Asked::Wrong(text) => Err((SYNTAX, text)),
        Asked::Serve(matches) => serve::serve(serve_options(&matches)?).await.map_err(failed),
        Asked::Demo(matches) => demo::demo(matches.get_flag("keep")).await.map_err(failed),
        Asked::Man(folder) => cli::write_manual(&folder, made_at()).map_err(failed),
        Asked::Complete(words) => {
            let lines = cli::complete(&words).await;
            lines.iter().try_for_each(|line| print::line(line)).map_err(|e| failed(e.to_string()))
        }
        Asked::Passwords(matches) => {
            let text = cli::encrypt_passwords(&matches)?;
            print::line(&text).map_err(|e| failed(e.to_string()))
        }
        Asked::Links(folder) => cli::make_links(&folder).map_err(failed),
        Asked::Verify(matches) => care::verify(&matches).await.map_err(failed),
        Asked::Health(matches) => {
            let address = metrics_address(&matches)?;
            health::health(&matches, address).await.map_err(failed)
        }
        Asked::Restore(matches) => care::restore(&matches).await.map_err(failed),
        Asked::Operation(call) => operation(*call).await,
    }
}

/// The date of what is written: that of the sources where a build says it (reproducible-builds.org), else now.
fn made_at() -> jiff::Timestamp {
    let said = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    said.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).unwrap_or_else(jiff::Timestamp::now)
}

fn serve_options(matches: &clap::ArgMatches) -> Result<serve::Options, Failure> {
    let metrics = metrics_address(matches)?;
    let log =
        matches.get_one::<String>("log").map(|word| if word == "json" { LogFormat::Json } else { LogFormat::Text });
    Ok(serve::Options { data: matches.get_one::<String>("data").cloned(), metrics, log })
}

fn metrics_address(matches: &clap::ArgMatches) -> Result<Option<SocketAddr>, Failure> {
    match matches.get_one::<String>("metrics").map(|text| (text, text.parse())) {
        None => Ok(None),
        Some((_, Ok(address))) => Ok(Some(address)),
        Some((text, Err(_))) => Err((SYNTAX, format!("--metrics is {text:?}: give ADDRESS:PORT"))),
    }
}

async fn operation(asked: Call) -> Result<(), Failure> {
    if cli::dialogue::wanted(&asked) {
        return cli::dialogue::talk(asked).await;
    }
    if let Some(how) = &asked.streamed {
        return streamed::operation(data_folder(&asked)?, &asked, how).await;
    }
    let failed = |text: String| (FAILED, text);
    let watches = asked.operation.name == "status" && asked.input.is_set("watch");
    loop {
        let output = perform(&asked).await?;
        if watches {
            print::new_screen().map_err(|e| failed(e.to_string()))?;
        }
        match &asked.output {
            Some(target) => print::into_file(&output, asked.json, target).map_err(failed)?,
            None => print::output(&output, asked.json, &asked.zone).map_err(|e| failed(e.to_string()))?,
        }
        if !watches {
            // What is printed says why: no more words are needed.
            return if output.needs_person() { Err((FAILED, String::new())) } else { Ok(()) };
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// Asks the running gateway; if none runs, does it here under the data folder's lock.
async fn perform(asked: &Call) -> Result<Output, Failure> {
    let failed = |text: String| (FAILED, text);
    let dir = data_folder(asked)?;
    let name = asked.operation.name;
    match call(&dir.socket(), name, &asked.input).await {
        Ok(output) => Ok(output),
        Err(CallError::NotRunning) if name == "status" => alone(dir, asked, Content::default())
            .await
            .map_err(|(code, text)| (code, format!("gateway    NOT RUNNING, and its database cannot be read: {text}"))),
        Err(CallError::NotRunning) => alone(dir, asked, Content::default()).await,
        Err(CallError::Refused { exit_code, text }) => Err((exit_code, format!("{name}: {text}"))),
        Err(error) => Err(failed(format!("{name}: {error}"))),
    }
}

fn data_folder(asked: &Call) -> Result<DataDir, Failure> {
    let path = DataDir::named(asked.data.as_deref()).map_err(|e| (FAILED, e.to_string()))?;
    DataDir::open(&path, false).map_err(|e| (FAILED, e.to_string()))
}

async fn alone(dir: DataDir, asked: &Call, content: Content) -> Result<Output, Failure> {
    let instance = Instance::open(dir, false).await.map_err(|text| (FAILED, text))?;
    let context = instance.context(&format!("uid:{}", rustix::process::getuid().as_raw()), "command");
    let context = admin::Context { content, ..context };
    let name = asked.operation.name;
    let result = execute(&context, name, &asked.input).await.map_err(|e| (e.exit_code(), format!("{name}: {e}")));
    instance.engine.write_ledger().await;
    instance.engine.leave().await;
    instance.engine.db().close().await;
    result
}
