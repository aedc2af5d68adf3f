//! A file brought to a partner exactly once: under a temporary name that stays the same over all tries, then renamed.

use base::{UtcMicros, octets_text};

use super::{ClientError, Existing, Progress, Remote, Source, Standing, Unclear};

/// What is to be delivered, and how.
#[derive(Clone, Debug)]
pub struct Errand {
    /// Final path at the partner.
    pub target: Vec<u8>,
    /// How it comes there.
    pub naming: Naming,
    /// If the final name is taken.
    pub existing: Existing,
    /// If nothing tells whether an earlier try arrived.
    pub unclear: Unclear,
    /// An earlier try may have left something at the partner.
    pub tried_before: bool,
    /// An earlier try may have finished without our knowing.
    pub maybe_delivered: bool,
    /// Time of change to give to the file.
    pub modified: Option<UtcMicros>,
}

/// Under which name a file is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Naming {
    /// Under this one, always the same for one transfer; a rename gives the final name.
    Temporary(Vec<u8>),
    /// Under the final name at once, for partners that can't rename. No try goes on where another ended.
    Direct,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivered {
    /// It was brought there now.
    Now,
    /// An earlier try had brought it.
    Before,
    /// Nothing tells, and the site's policy is to take it as done.
    Assumed,
}

/// What an earlier try has left at the partner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// So many octets under the temporary name.
    Part {
        /// Octets.
        size: u64,
    },
    /// The file, under its final name.
    Whole,
    /// Neither.
    Nothing,
    /// The final name only, with another size.
    Other {
        /// Octets.
        size: u64,
    },
}

/// Brings `source` to the partner: looks what an earlier try has left, goes on with it or begins, has it put on the
/// partner's disk, checks its size, gives it its final name (DESIGN 1.18).
///
/// # Errors
/// [`ClientError`]. Until the rename nothing has the final name; what has arrived stays for the next try.
pub async fn deliver_once(
    remote: &mut dyn Remote,
    errand: &Errand,
    source: &mut dyn Source,
    progress: &mut dyn Progress,
) -> Result<Delivered, ClientError> {
    let size = source.size();
    let temporary = match &errand.naming {
        Naming::Temporary(name) => name,
        Naming::Direct => return deliver_direct(remote, errand, source, progress).await,
    };
    let mut from = 0;
    if errand.tried_before || errand.maybe_delivered {
        match find_outcome(remote, temporary, &errand.target, size).await? {
            Found::Part { size: there } => from = if there > size { 0 } else { remote.kept(there) },
            Found::Whole if errand.maybe_delivered => return Ok(Delivered::Before),
            _ if errand.maybe_delivered => match errand.unclear {
                Unclear::Ask => return Err(to_verify(temporary, &errand.target)),
                Unclear::Accept => return Ok(Delivered::Assumed),
                Unclear::Resend => {}
            },
            _ => {}
        }
    }
    check_free(remote, errand).await?;
    remote.write(temporary, source, from, progress).await?;
    check_size(remote, temporary, size).await?;
    set_modified(remote, temporary, errand).await?;
    progress.reached(size).await?;
    if errand.existing == Existing::Keep {
        check_free(remote, errand).await?;
    }
    progress.last_step().await?;
    let renamed = match errand.existing {
        Existing::Replace => remote.replace(temporary, &errand.target).await,
        Existing::Keep => remote.rename(temporary, &errand.target).await,
    };
    renamed.map_err(end_unknown)?;
    Ok(Delivered::Now)
}

/// Looks for what an earlier try may have left: first the temporary name, then the final one.
///
/// # Errors
/// [`ClientError`] if the partner does not tell.
pub async fn find_outcome(
    remote: &mut dyn Remote,
    temporary: &[u8],
    target: &[u8],
    size: u64,
) -> Result<Found, ClientError> {
    if let Some(standing) = remote.standing(temporary).await? {
        return Ok(Found::Part { size: standing.size.unwrap_or(0) });
    }
    match remote.standing(target).await?.map(|standing| standing.size.unwrap_or(0)) {
        None => Ok(Found::Nothing),
        Some(there) if there == size => Ok(Found::Whole),
        Some(there) => Ok(Found::Other { size: there }),
    }
}

async fn check_free(remote: &mut dyn Remote, errand: &Errand) -> Result<(), ClientError> {
    match errand.existing {
        Existing::Keep if remote.standing(&errand.target).await?.is_some() => {
            Err(ClientError::Exists { name: octets_text(&errand.target) })
        }
        _ => Ok(()),
    }
}

/// Checks the size of a file that was closed. A server that has files taken away at once, or tells nothing of them, was
/// asked before the end already.
async fn check_size(remote: &mut dyn Remote, path: &[u8], expected: u64) -> Result<(), ClientError> {
    match remote.standing(path).await {
        Ok(Some(Standing { size: Some(found) })) if found != expected => {
            Err(ClientError::SizeDiffers { expected, found })
        }
        Ok(_) => Ok(()),
        Err(error) if error.is_refusal() => Ok(()),
        Err(error) => Err(error),
    }
}

async fn set_modified(remote: &mut dyn Remote, path: &[u8], errand: &Errand) -> Result<(), ClientError> {
    match errand.modified {
        Some(modified) => remote.set_modified(path, modified).await,
        None => Ok(()),
    }
}

async fn deliver_direct(
    remote: &mut dyn Remote,
    errand: &Errand,
    source: &mut dyn Source,
    progress: &mut dyn Progress,
) -> Result<Delivered, ClientError> {
    let size = source.size();
    let is_first = !errand.tried_before && !errand.maybe_delivered;
    let there = match errand.existing {
        Existing::Replace if !errand.maybe_delivered => None,
        _ => remote.standing(&errand.target).await?,
    };
    match (there, errand.existing) {
        (Some(standing), _) if errand.maybe_delivered && standing.size == Some(size) => return Ok(Delivered::Before),
        // It may be our own, cut off, or someone's work: nothing tells.
        (Some(_), Existing::Keep) if is_first || errand.unclear != Unclear::Resend => {
            return Err(ClientError::Exists { name: octets_text(&errand.target) });
        }
        (None, _) if errand.maybe_delivered => match errand.unclear {
            Unclear::Ask => return Err(to_verify(&errand.target, &errand.target)),
            Unclear::Accept => return Ok(Delivered::Assumed),
            Unclear::Resend => {}
        },
        _ => {}
    }
    progress.last_step().await?;
    let is_new = errand.existing == Existing::Keep && is_first;
    remote.write_final(&errand.target, source, is_new, progress).await.map_err(end_unknown)?;
    check_size(remote, &errand.target, size).await?;
    set_modified(remote, &errand.target, errand).await?;
    Ok(Delivered::Now)
}

/// A last step that was not answered may have been carried out.
fn end_unknown(error: ClientError) -> ClientError {
    if error.is_fatal() { ClientError::EndUnknown { text: error.to_string() } } else { error }
}

fn to_verify(temporary: &[u8], target: &[u8]) -> ClientError {
    ClientError::ToVerify { temporary: octets_text(temporary), name: octets_text(target) }
}
