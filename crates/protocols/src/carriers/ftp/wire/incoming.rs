//! Replies as they arrive, line by line (RFC 959 section 4.2).

use super::reply::Reply;
use super::telnet::unescape;

/// Lines of one reply.
pub const REPLY_LINES_MAX: usize = 1000;
/// Octets of one reply.
pub const REPLY_OCTETS_MAX: usize = 64 * 1024;

/// Why what came is no reply. The connection is of no use any more.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IncomingError {
    /// A line that begins no reply.
    #[error("a reply begins with three digits, this line with {0:?}")]
    NoCode(String),
    /// A reply without end.
    #[error("a reply has more than {REPLY_LINES_MAX} lines or {REPLY_OCTETS_MAX} octets")]
    TooLong,
}

/// Puts replies together out of lines.
#[derive(Debug, Default)]
pub struct Incoming {
    open: Option<Open>,
}

/// A reply whose last line has not come.
#[derive(Debug)]
struct Open {
    reply: Reply,
    lines: usize,
    octets: usize,
}

/// What stands before the text of a line: a code, and whether the reply goes on behind it.
struct Head {
    code: u16,
    goes_on: bool,
}

impl Incoming {
    /// Takes a line without its end; gives the reply that it ends.
    ///
    /// # Errors
    /// [`IncomingError`].
    pub fn take(&mut self, line: &[u8]) -> Result<Option<Reply>, IncomingError> {
        let line = unescape(line);
        let head = head(&line);
        let text = line.get(4..).unwrap_or_default();
        match (self.open.take(), head) {
            (None, None) => Err(IncomingError::NoCode(base::octets_text(line.get(..8).unwrap_or(&line)))),
            (None, Some(Head { code, goes_on: false })) => Ok(Some(Reply::new(code, text))),
            (None, Some(Head { code, .. })) => {
                self.open = Some(Open { reply: Reply::new(code, text), lines: 1, octets: line.len() });
                Ok(None)
            }
            // Only its own code, followed by a space, ends it: other lines may begin with digits as they like.
            (Some(open), Some(Head { code, goes_on: false })) if code == open.reply.code() => {
                Ok(Some(open.reply.line(text)))
            }
            (Some(Open { reply, lines, octets }), head) => {
                let (lines, octets) = (lines + 1, octets.saturating_add(line.len()));
                if lines > REPLY_LINES_MAX || octets > REPLY_OCTETS_MAX {
                    return Err(IncomingError::TooLong);
                }
                // Some servers put the code before each line.
                let own = head.is_some_and(|head| head.code == reply.code());
                let text = if own { text } else { line.strip_prefix(b" ").unwrap_or(&line) };
                self.open = Some(Open { reply: reply.line(text), lines, octets });
                Ok(None)
            }
        }
    }
}

fn head(line: &[u8]) -> Option<Head> {
    let [a @ b'1'..=b'6', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line else { return None };
    let code = [a, b, c].into_iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest {
        // Some servers leave the space out where no text follows.
        [] | [b' ', ..] => Some(Head { code, goes_on: false }),
        [b'-', ..] => Some(Head { code, goes_on: true }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base::octets_text;
    use proptest::prelude::*;

    use super::*;

    /// All lines of a reply; none while it is open.
    fn read(lines: &[&str]) -> Result<Option<String>, IncomingError> {
        let mut incoming = Incoming::default();
        let mut last = None;
        for line in lines {
            assert!(last.is_none(), "it ended before {line}");
            last = incoming.take(line.as_bytes())?;
        }
        Ok(last.map(|reply| {
            let lines: Vec<String> = reply.lines().map(|line| octets_text(line.octets())).collect();
            format!("{} {}", reply.code(), lines.join("/"))
        }))
    }

    #[test]
    fn replies_are_read_as_the_vectors_say() {
        let file = include_str!("../vectors/incoming.txt");
        let rows: Vec<&str> = file.lines().filter(|row| row.contains(" => ") && !row.starts_with('#')).collect();
        assert!(rows.len() > 15);
        for row in rows {
            let (given, rest) = row.split_once(" => ").unwrap();
            let (expected, source) = rest.split_once(" ;; ").unwrap();
            let lines: Vec<&str> = given.split("\\n").collect();
            let got = match read(&lines) {
                Ok(Some(reply)) => reply,
                Ok(None) => "more".to_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "{source}: {given}");
        }
    }

    #[test]
    fn a_reply_has_a_bound() {
        let mut incoming = Incoming::default();
        assert_eq!(incoming.take(b"220-long"), Ok(None));
        let lines = (0..).map(|_| incoming.take(b"x")).take_while(|taken| *taken == Ok(None)).count();
        assert_eq!(lines, REPLY_LINES_MAX - 1);
        let mut incoming = Incoming::default();
        assert_eq!(incoming.take(b"220-long"), Ok(None));
        let wide = vec![b'x'; 4000];
        let lines = (0..).map(|_| incoming.take(&wide)).take_while(|taken| *taken == Ok(None)).count();
        assert!(lines < REPLY_OCTETS_MAX / 4000 + 1, "{lines}");
    }

    proptest! {
        #[test]
        fn what_we_send_is_read_again(
            code in 100_u16..600,
            lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 1..6),
        ) {
            // Commands of Telnet would be taken out.
            let clean = |line: &Vec<u8>| line.iter().copied().filter(|o| *o != 255).collect::<Vec<u8>>();
            let mut reply = Reply::new(code, clean(&lines[0]));
            for line in &lines[1..] {
                reply = reply.line(clean(line));
            }
            let sent = reply.encode();
            let mut incoming = Incoming::default();
            let mut got = None;
            for line in sent.strip_suffix(b"\r\n").unwrap().split(|o| *o == b'\n') {
                prop_assert!(got.is_none());
                got = incoming.take(line.strip_suffix(b"\r").unwrap_or(line)).unwrap();
            }
            prop_assert_eq!(got, Some(reply));
        }

        #[test]
        fn any_lines_are_read_without_harm(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 0..20)) {
            let mut incoming = Incoming::default();
            for line in &lines {
                match incoming.take(line) {
                    Ok(Some(reply)) => prop_assert!((100..700).contains(&reply.code())),
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
        }
    }
}
