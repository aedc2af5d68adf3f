//! The files of a partner as every protocol of files sees them: the doors to the virtual folder, and lists of it as text.

mod folder;
mod ls;
#[cfg(test)]
mod memory;
#[cfg(all(fuzzing, not(test)))]
mod memory;
mod partner;

pub use folder::{Download, Durable, Folder, Upload};
#[cfg(test)]
pub(crate) use ls::entry;
pub use ls::{ls_line, mode_bits};
#[cfg(any(test, fuzzing))]
pub(crate) use memory::MemoryFolder;
pub use partner::PartnerFiles;
