//! Replies (RFC 959 section 4.2).

use std::fmt;

use base::Shown;
use bytes::{BufMut, Bytes, BytesMut};

use super::argument::Argument;
use super::telnet::escape;

/// A code and at least one line of text.
#[derive(Clone, Eq, PartialEq)]
pub struct Reply {
    code: u16,
    first: Argument,
    /// Lines behind the first.
    more: Vec<Argument>,
}

impl Reply {
    /// One line. What does not fit on a line is shown as `?`.
    #[must_use]
    pub fn new(code: u16, text: impl AsRef<[u8]>) -> Self {
        Self { code, first: Argument::made_to_fit(text.as_ref()), more: Vec::new() }
    }

    /// The same with one more line.
    #[must_use]
    pub fn line(mut self, text: impl AsRef<[u8]>) -> Self {
        self.more.push(Argument::made_to_fit(text.as_ref()));
        self
    }

    /// Its three digits.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Its lines, without codes.
    pub fn lines(&self) -> impl Iterator<Item = &Argument> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// What is sent. Lines between the first and the last begin with a space, so that none is taken for the last (RFC 959
    /// section 4.2; RFC 3659 section 7.2 asks for the same).
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.first.octets().len() + 8);
        let last = self.more.len();
        for (n, text) in self.lines().enumerate() {
            match n {
                n if n == last => out.put_slice(format!("{:03} ", self.code).as_bytes()),
                0 => out.put_slice(format!("{:03}-", self.code).as_bytes()),
                _ => out.put_u8(b' '),
            }
            escape(text.octets(), &mut out);
            out.put_slice(b"\r\n");
        }
        out.freeze()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entry(&self.code).entries(self.lines()).finish()
    }
}

impl fmt::Display for Reply {
    /// For logs: the code and the first line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, Shown(self.first.octets()))
    }
}
