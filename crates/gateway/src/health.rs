//! `gatehouse health`: how a running gateway is, by its exit code; for containers and scripts.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ArgMatches;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cli::print;
use crate::data_dir::DataDir;
use crate::settings::Settings;

/// Longest wait for the answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Most octets of an answer that are looked at.
const ANSWER_OCTETS_MAX: u64 = 4096;

/// Asks the loopback port whether the gateway takes work, or with `--live` whether its process runs.
///
/// # Errors
/// A sentence: it does not, or does not answer.
pub(crate) async fn health(matches: &ArgMatches, address: Option<SocketAddr>) -> Result<(), String> {
    let address = match address {
        Some(address) => address,
        None => configured(matches)?,
    };
    if address.port() == 0 {
        return Err("[metrics] address has port 0, so the port is not known: give --metrics ADDRESS:PORT".to_owned());
    }
    let question = if matches.get_flag("live") { "live" } else { "ready" };
    let asked = tokio::time::timeout(ANSWER_MAX, ask(address, question)).await;
    let answer = asked
        .map_err(|_| format!("the gateway at {address} does not answer in {} s", ANSWER_MAX.as_secs()))?
        .map_err(|e| format!("the gateway at {address} does not answer: {e}"))?;
    let (status, text) = parts(&answer).ok_or_else(|| format!("what answers at {address} is no gateway"))?;
    match status {
        200 => print::line(text).map_err(|e| e.to_string()),
        _ => Err(format!("the gateway at {address} says: {}", base::Shown::from(text))),
    }
}

fn configured(matches: &ArgMatches) -> Result<SocketAddr, String> {
    let path = DataDir::named(matches.get_one::<String>("data").map(String::as_str)).map_err(|e| e.to_string())?;
    let dir = DataDir::open(&path, false).map_err(|e| e.to_string())?;
    Ok(Settings::of(&dir)?.metrics.address)
}

async fn ask(address: SocketAddr, question: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /health/{question} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_OCTETS_MAX).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Status and body (RFC 9112 section 4).
fn parts(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // RFC 9112 section 4
    fn answers_are_taken_apart() {
        assert_eq!(parts("HTTP/1.0 200 OK\r\na: b\r\n\r\nready\n"), Some((200, "ready")));
        assert_eq!(parts("HTTP/1.1 503 x y\r\n\r\n"), Some((503, "")));
        for strange in ["", "SSH-2.0-x\r\n", "HTTP/1.1\r\n\r\n", "HTTP/2 200\r\n\r\n"] {
            assert_eq!(parts(strange), None, "{strange:?}");
        }
    }
}
