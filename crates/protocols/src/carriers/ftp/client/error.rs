//! What the server's refusals mean.

use crate::carriers::ftp::wire::Reply;
use crate::outward::{Answer, ClientError, Meaning};

/// The server has answered `what` with this reply, which is none of those that were hoped for.
pub(super) fn refused(what: &'static str, reply: &Reply) -> ClientError {
    let code = reply.code();
    if (400..700).contains(&code) {
        let answer = Answer { number: u32::from(code), name: code.to_string(), meaning: meaning(code) };
        ClientError::refused(what, answer, &text(reply))
    } else {
        ClientError::protocol(format!("{what} was answered with {reply}"))
    }
}

/// 4yz may pass, 5yz will not (RFC 959 section 4.2), but for 552: quotas and disks have room again some day, and a person
/// could do nothing but wait.
const fn meaning(code: u16) -> Meaning {
    match code {
        500..=504 => Meaning::Unsupported,
        552 => Meaning::Passing,
        // 532: an account is needed; 533, 534, 536 and 537: what is asked of its security is not given (RFC 2228).
        530..=537 => Meaning::Denied,
        // No such file, no right to it, a wrong name: servers do not tell these apart.
        550 => Meaning::NotFound,
        553 => Meaning::Denied,
        500..=699 => Meaning::Permanent,
        _ => Meaning::Passing,
    }
}

/// What a reply says, on one line.
fn text(reply: &Reply) -> Vec<u8> {
    const LINES_MAX: usize = 5;
    let lines: Vec<&[u8]> = reply.lines().map(|line| line.octets()).filter(|line| !line.is_empty()).collect();
    lines.into_iter().take(LINES_MAX).collect::<Vec<_>>().join(&b' ')
}

#[cfg(test)]
mod tests {
    use engine::{Cause, ErrorKind, TransferError};

    use super::*;

    #[test]
    fn what_replies_mean_for_a_transfer() {
        // protocol-ftp.md section 5
        for (code, kind, cause) in [
            (425, ErrorKind::Retry, Cause::Partner),
            (426, ErrorKind::Retry, Cause::Partner),
            (451, ErrorKind::Retry, Cause::Partner),
            (452, ErrorKind::Retry, Cause::Partner),
            (552, ErrorKind::Retry, Cause::Partner),
            (500, ErrorKind::Park, Cause::Unsupported),
            (530, ErrorKind::Park, Cause::Denied),
            (550, ErrorKind::Park, Cause::NotFound),
            (551, ErrorKind::Park, Cause::Partner),
            (553, ErrorKind::Park, Cause::Denied),
            (300, ErrorKind::Retry, Cause::Partner),
        ] {
            let error = TransferError::from(refused("STOR", &Reply::new(code, "no")));
            assert_eq!((error.kind, error.cause), (kind, cause), "{error}");
        }
        let told = refused("STOR", &Reply::new(550, "a\x1b[31m").line("").line("b")).to_string();
        assert_eq!(told, "the partner's server answered STOR with 550: a\\u{1b}[31m b");
    }
}
