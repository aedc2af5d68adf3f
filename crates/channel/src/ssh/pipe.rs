//! One channel as two bounded streams of octets.

pub use super::input::PipeInput;
pub use super::output::{Closed, PipeOutput};

/// One SFTP channel.
#[derive(Debug)]
pub struct Pipe {
    /// What the peer sends.
    pub input: PipeInput,
    /// What we send.
    pub output: PipeOutput,
}
