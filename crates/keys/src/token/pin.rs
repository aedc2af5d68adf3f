//! Where the PIN of a token is. It is read when it is needed, and not kept.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base::Secret;
use rustix::fs::{Mode, OFlags};

use super::TokenError;
use crate::seal::check_safe;

/// Where the PIN of a token is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PinSource {
    /// The first line of a file that is closed to others.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// It was not said.
    Nowhere,
}

impl PinSource {
    pub(super) fn read(&self, module: &str) -> Result<Secret<String>, TokenError> {
        let refused = |why: String| TokenError::Pin { module: module.to_owned(), why };
        let pin = match self {
            Self::Nowhere => {
                let why = "it is not said where its PIN is: give pin_file or pin_env, or hand it over as credential";
                return Err(refused(format!("{why} gatehouse.pin_{module}")));
            }
            Self::File(path) => {
                first_line(path).map_err(|why| refused(format!("PIN file {} {why}", path.display())))?
            }
            Self::Environment(name) => match std::env::var(name) {
                Ok(pin) => Secret::new(pin),
                Err(_) => return Err(refused(format!("variable {name}, which should hold its PIN, is not set"))),
            },
        };
        match pin.expose().len() {
            0 => Err(refused("its PIN is empty".to_owned())),
            1..=PIN_OCTETS_MAX => Ok(pin),
            len => Err(refused(format!("its PIN has {len} octets: at most {PIN_OCTETS_MAX} are taken"))),
        }
    }
}

fn first_line(path: &Path) -> Result<Secret<String>, String> {
    let failed = |e: std::io::Error| format!("can't be read: {e}");
    // NONBLOCK: a pipe in its place must not hold up anybody. Links are followed: secrets of containers are links.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|e| failed(e.into()))?);
    check_safe(&file.metadata().map_err(failed)?)?;
    let mut text = zeroize::Zeroizing::new(String::with_capacity(PIN_FILE_OCTETS_MAX));
    let limit = u64::try_from(PIN_FILE_OCTETS_MAX).unwrap_or(u64::MAX);
    file.take(limit).read_to_string(&mut text).map_err(failed)?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Longest PIN.
const PIN_OCTETS_MAX: usize = 255;
/// Octets of a PIN's file that are looked at.
const PIN_FILE_OCTETS_MAX: usize = 1024;
