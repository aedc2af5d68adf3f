//! When a gate was last used, and by whom: noted in the database, at most once a minute for each gate.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base::UtcMicros;
use serde::{Deserialize, Serialize};

use super::Admitted;
use crate::Engine;
use crate::sync::lock;

/// What stands before the gate's name in the key of the note.
const NOTE: &str = "last_login|";
/// Logins of a gate within this time after one that was noted are not: a busy partner costs nothing.
const NOTE_EACH: Duration = Duration::from_secs(60);

/// When logins of gates were noted last.
pub(crate) type Noted = HashMap<String, UtcMicros>;

/// The last login by a gate that was noted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LastLogin {
    /// When.
    pub at: UtcMicros,
    /// The login.
    pub login: String,
    /// From where.
    pub peer: String,
    /// The key or certificate that was shown; none for a password.
    pub key: Option<String>,
}

impl Engine {
    /// The last login by `gate`; exact to a minute.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn last_login(&self, gate: &str) -> Result<Option<LastLogin>, db::DbError> {
        let text = self.db.meta().get(&format!("{NOTE}{gate}")).await?;
        // What another version wrote otherwise is no reason to fail.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Notes a login. Nobody waits for it: a login does not depend on the note.
    pub(super) fn note_login(self: &Arc<Self>, who: &Admitted) {
        let now = self.clock.now();
        {
            let mut noted = lock(&self.logins);
            match noted.get(&who.gate) {
                Some(before) if now >= *before && now.since(*before) < NOTE_EACH => return,
                _ => drop(noted.insert(who.gate.clone(), now)),
            }
        }
        let note = LastLogin {
            at: now,
            login: who.login.clone(),
            peer: who.peer.ip().to_canonical().to_string(),
            key: who.key.clone().or_else(|| who.certificate.clone()),
        };
        let (engine, key) = (Arc::clone(self), format!("{NOTE}{}", who.gate));
        tokio::spawn(async move {
            let Ok(text) = serde_json::to_string(&note) else { return };
            if let Err(error) = engine.db.meta().set(&key, &text).await {
                tracing::warn!(%error, "a login could not be noted");
            }
        });
    }
}
