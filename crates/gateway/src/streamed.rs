//! Commands that stream content: through the running gateway, or here if none runs.

use admin::socket::{CallError, call};
use admin::{Cell, Content, Input, Output, call_streaming};

use crate::cli::{Call, print};
use crate::content::{Open, Streamed};
use crate::data_dir::DataDir;
use crate::{FAILED, Failure, alone};

/// Carries out an operation with the content that the line names.
///
/// # Errors
/// The operation's, or a sentence about the caller's file.
pub(crate) async fn operation(dir: DataDir, asked: &Call, how: &Streamed) -> Result<(), Failure> {
    let name = asked.operation.name;
    let failed = |text: String| (FAILED, format!("{name}: {text}"));
    let (file_name, octets) = match how {
        Streamed::Receive { .. } => info(&dir, asked).await?,
        Streamed::Send(_) => (String::new(), None),
    };
    let mut open = Open::open(how, &file_name, octets).await.map_err(failed)?;
    let streams = (open.reader.take(), open.writer.take());
    // A socket may be left over from a gateway that was killed.
    let runs = tokio::net::UnixStream::connect(dir.socket()).await.is_ok();
    let done = if runs {
        match call_streaming(&dir.socket(), name, &asked.input, streams).await {
            Ok(output) => Ok(output),
            Err(CallError::Refused { exit_code, text }) => Err((exit_code, format!("{name}: {text}"))),
            Err(error) => Err(failed(error.to_string())),
        }
    } else {
        alone(dir, asked, Content::new(streams.0, streams.1)).await
    };
    open.end(done.as_ref().ok()).map_err(failed)?;
    let output = done?;
    match how {
        // Standard output is the file's.
        Streamed::Receive { to, .. } if to.as_deref() == Some("-") => Ok(()),
        _ => print::output(&output, asked.json, &asked.zone).map_err(|e| failed(e.to_string())),
    }
}

/// Name and size of the file that is asked for.
async fn info(dir: &DataDir, asked: &Call) -> Result<(String, Option<u64>), Failure> {
    let about = "file info";
    let operation = admin::find(about).ok_or((FAILED, format!("no operation {about}")))?;
    let mut input = Input::default();
    for param in (operation.params)() {
        if let Some(value) = asked.input.value(param.name()) {
            input.give_value(&param, value).map_err(|e| (FAILED, e.to_string()))?;
        }
    }
    let found = match call(&dir.socket(), about, &input).await {
        Ok(found) => found,
        // Done here, it would be opened twice: the operation itself tells what is wrong.
        Err(CallError::NotRunning) => return Ok((format!("transfer-{}", ident(&input)), None)),
        Err(CallError::Refused { exit_code, text }) => return Err((exit_code, format!("file get: {text}"))),
        Err(error) => return Err((FAILED, format!("file get: {error}"))),
    };
    let Output::Record { fields } = found else { return Ok((String::new(), None)) };
    let of = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, cell)| cell);
    let octets = match of("octets") {
        Some(Cell::Int(octets)) => u64::try_from(*octets).ok(),
        _ => None,
    };
    match of("file_name") {
        Some(Cell::Text(file)) => Ok((file.clone(), octets)),
        _ => Ok((format!("transfer-{}", ident(&input)), octets)),
    }
}

fn ident(input: &Input) -> i64 {
    input.int("local_ident").unwrap_or(0)
}
