//! What a server wants to hear beside the commands of a transfer (FTP-18).

use engine::{Cause, TransferError};
use model::PartnerCommand;

use super::argument;
use super::control::Control;
use crate::carriers::ftp::wire::{Command, Named};
use crate::outward::ClientError;

/// Sends a command. SITE has to be answered by 200 or 202, anything else by less than 400.
///
/// # Errors
/// [`ClientError`]; what is refused is told with the first word of the command, since its others may be a secret.
pub(super) async fn say(control: &mut Control, command: &PartnerCommand) -> Result<(), ClientError> {
    let text = argument(command.text.as_bytes())?;
    let sent = if command.is_site { Command::Named(Named::Site, text) } else { Command::Quote(text) };
    let reply = control.ask(&sent).await?;
    match (command.is_site, reply.code()) {
        (true, 200 | 202) | (false, 200..400) => Ok(()),
        (_, code) => {
            let text = format!("the partner's server answered {} with {reply}", command.shown());
            let error = if (400..500).contains(&code) { TransferError::retry } else { TransferError::park };
            Err(ClientError::Local(error(Cause::Partner, text)))
        }
    }
}
