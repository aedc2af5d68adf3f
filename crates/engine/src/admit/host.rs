//! Whether the host key of a partner's server is good; an unknown one is captured and the call ends (SFTP-6, SSH-18).

use std::sync::Arc;

use keys::PublicKey;
use model::{RemoteSite, SshProfile};

use super::capture::{Material, Shown, capture};
use super::trust::{KeyDemand, KeyVerdict, NOT_THE_NAMED_KEY, judge};
use crate::Engine;

/// Whether the key that the server of `site` showed is good. An unknown one is captured if the profile says so.
pub async fn host_key_is_good(engine: &Arc<Engine>, site: &RemoteSite, profile: &SshProfile, key: &PublicKey) -> bool {
    let verdict = judge_host_key(engine, site, profile, key, profile.key_import).await;
    matches!(verdict, KeyVerdict::Good(_))
}

/// Judges the key that the server of `site` showed, and keeps an unknown one for a person to look at if `import` is set.
/// The site's values win over the profile's (SSH-15).
pub async fn judge_host_key(
    engine: &Arc<Engine>,
    site: &RemoteSite,
    profile: &SshProfile,
    key: &PublicKey,
    import: bool,
) -> KeyVerdict {
    let demand = KeyDemand {
        aliases: site.public_keys.clone(),
        bound: site.bound_keys.clone(),
        trust_hosted: profile.trust_hosted,
        group: site.public_key_group.clone(),
        capture: import,
        sizes: engine.options().key_sizes,
    };
    let fingerprint = key.fingerprint();
    let verdict = judge(key, &demand, &engine.snapshot());
    match &verdict {
        KeyVerdict::Good(_) => {}
        KeyVerdict::Refused { event, text } => {
            tracing::warn!(site = %site.name, event, text, "host key refused");
            if *event == NOT_THE_NAMED_KEY {
                engine.alarm_once(&site.name, &fingerprint, text.clone());
            }
        }
        KeyVerdict::Unknown { alarm } => {
            let place = format!("site:{}", site.name);
            let partner = site.name.to_string();
            let shown = Shown {
                what: Material::Key(key),
                source: place.clone(),
                place: &place,
                partner: &partner,
                login: "",
                peer: None,
                group: demand.group.clone(),
                alarm: *alarm,
            };
            capture(engine, shown).await;
        }
    }
    verdict
}
