//! The operations behind every command: each with its input, right, effect and audit entry.
//!
//! A command line, the administration socket and later interfaces all call [`execute`] with the name of an operation and
//! an [`Input`]; none of them holds a rule of its own. `operations/` has one file for each family.

mod changes;
pub mod config;
mod content;
mod execute;
mod held;
mod input;
mod operation;
mod operations;
mod output;
pub mod partner;
mod sealing;
pub mod socket;
mod stream;

pub use content::{Content, Reader, Writer};
pub use execute::{About, Context, execute};
pub use input::{Input, InputError};
pub use operation::{Effect, Form, OpError, Operation, Param, Resource, Right};
pub use operations::{OPERATIONS, create_object, find};
pub use output::{Cell, Line, Output, Tone};
pub use stream::call_streaming;
