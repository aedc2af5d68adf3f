//! Asking: whether a login or an upload may go on. Exit code 0 lets it pass, 1 refuses; what else happens counts as the
//! hook's failure policy says (TRF-24, CON-12).

use std::sync::{Arc, LazyLock};

use model::{Hook, RouteFacts};
use tokio::sync::Semaphore;

use super::program::{Exit, Run};
use super::safe::program_is_safe;
use crate::admit::Admitted;
use crate::engine::Engine;
use crate::error::{Cause, TransferError};

/// Questions that are asked at the same time; more wait.
const ASKED_AT_ONCE_MAX: usize = 32;

static ROOM: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(ASKED_AT_ONCE_MAX));

impl Engine {
    /// Asks every hook for `event` whether it may go on.
    ///
    /// # Errors
    /// [`Cause::Denied`] if one refuses; its text is for the log.
    pub(crate) async fn ask_hooks(&self, event: &str, facts: &RouteFacts, who: &Admitted) -> Result<(), TransferError> {
        let snapshot = self.snapshot();
        let asked: Vec<Arc<Hook>> =
            snapshot.hooks().filter(|hook| hook.is_for(event, &facts.site, &facts.file_name)).cloned().collect();
        for hook in asked {
            let (exit, output) = match program_is_safe(&hook.program, &snapshot, &self.options.data) {
                Ok(()) => {
                    let _turn = ROOM.acquire().await;
                    let more = vec![("x_peer", who.peer.to_string()), ("x_local", who.local.to_string())];
                    Run { hook: &hook, event, facts, more }.run().await
                }
                Err(why) => (Exit::NotStarted(why), String::new()),
            };
            let words = exit.words();
            let refused = match exit {
                Exit::Code(0) => continue,
                Exit::Code(1) => true,
                _ => !hook.open,
            };
            let said = base::brief(output.lines().next().unwrap_or_default(), 200);
            tracing::warn!(hook = hook.name, event, site = facts.site, exit = words, output = said, refused, "hook");
            if refused {
                let text = format!("hook {} refused it ({words}): {said}", hook.name);
                return Err(TransferError::refuse(Cause::Denied, text));
            }
        }
        Ok(())
    }
}

/// What is known when a partner logs in or begins an upload.
pub(crate) fn facts(who: &Admitted, dir_name: &str, file_name: &str) -> RouteFacts {
    RouteFacts {
        protocol: who.protocol.to_owned(),
        site: who.site.clone(),
        gate: who.gate.clone(),
        login: who.login.clone(),
        dir_name: dir_name.to_owned(),
        file_name: file_name.to_owned(),
        state: "CREATED".to_owned(),
        ..RouteFacts::default()
    }
}
