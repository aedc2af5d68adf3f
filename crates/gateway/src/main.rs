//! `gatehouse`: the open gateway through which companies exchange business files.
//!
//! Read `accept.rs` and `deliver.rs` first: they are the way of a file in and out.

mod accept;
mod care;
mod cli;
mod data_dir;
mod deliver;
mod demo;
mod instance;
mod log_file;
mod observe;
mod serve;
mod settings;

use std::process::ExitCode;

use admin::socket::{CallError, call};
use admin::{Output, execute};
use cli::{Asked, Call, print};
use data_dir::DataDir;
use instance::Instance;
use settings::LogFormat;

/// Refused or failed.
const FAILED: u8 = 1;
/// The line is not of the command's form.
const SYNTAX: u8 = 2;

fn main() -> ExitCode {
    // Files are closed to others whatever the caller's mask (BP-5).
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let asked = cli::ask(std::env::args_os());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return told(FAILED, &error.to_string()),
    };
    match runtime.block_on(answer(asked)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, text)) => told(code, &text),
    }
}

fn told(code: u8, text: &str) -> ExitCode {
    // Nothing is left to do if even standard error is closed.
    drop(print::error_line(text));
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
        Asked::Links(folder) => cli::make_links(&folder).map_err(failed),
        Asked::Verify(matches) => care::verify(&matches).await.map_err(failed),
        Asked::Restore(matches) => care::restore(&matches).await.map_err(failed),
        Asked::Operation(call) => operation(*call).await,
    }
}

fn serve_options(matches: &clap::ArgMatches) -> Result<serve::Options, Failure> {
    let metrics = match matches.get_one::<String>("metrics").map(|text| (text, text.parse())) {
        None => None,
        Some((_, Ok(address))) => Some(address),
        Some((text, Err(_))) => return Err((SYNTAX, format!("--metrics is {text:?}: give ADDRESS:PORT"))),
    };
    let log =
        matches.get_one::<String>("log").map(|word| if word == "json" { LogFormat::Json } else { LogFormat::Text });
    Ok(serve::Options { data: matches.get_one::<String>("data").cloned(), metrics, log })
}

/// Asks the running gateway; if none runs, does it here under the data folder's lock.
async fn operation(asked: Call) -> Result<(), Failure> {
    let failed = |text: String| (FAILED, text);
    let path = DataDir::named(asked.data.as_deref()).map_err(|e| failed(e.to_string()))?;
    let dir = DataDir::open(&path, false).map_err(|e| failed(e.to_string()))?;
    let name = asked.operation.name;
    let output = match call(&dir.socket(), name, &asked.input).await {
        Ok(output) => output,
        Err(CallError::NotRunning) => alone(dir, &asked).await?,
        Err(CallError::Refused { exit_code, text }) => return Err((exit_code, format!("{name}: {text}"))),
        Err(error) => return Err(failed(format!("{name}: {error}"))),
    };
    match &asked.output {
        Some(target) => print::into_file(&output, asked.json, target).map_err(failed),
        None => print::output(&output, asked.json).map_err(|e| failed(e.to_string())),
    }
}

async fn alone(dir: DataDir, asked: &Call) -> Result<Output, Failure> {
    let instance = Instance::open(dir, false).await.map_err(|text| (FAILED, text))?;
    let context = instance.context(&format!("uid:{}", rustix::process::getuid().as_raw()), "command");
    let name = asked.operation.name;
    let result = execute(&context, name, &asked.input).await.map_err(|e| (e.exit_code(), format!("{name}: {e}")));
    instance.engine.leave().await;
    instance.engine.db().close().await;
    result
}
