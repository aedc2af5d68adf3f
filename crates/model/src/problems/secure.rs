//! Listeners, network profiles, SSH profiles.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Found;
use crate::SFTP_OUT;
use crate::kinds::binding::Binding;
use crate::kinds::network_profile::{NetworkProfile, SecurityOption};
use crate::kinds::remote_site::{CallSecurity, RemoteSite};
use crate::kinds::ssh_profile::{SshProfile, SshRole};
use crate::object::Kind;
use crate::snapshot::Snapshot;

/// SERVER profiles: keys (SSH-9) and trust (DESIGN 1.5).
pub(super) fn server_profiles(s: &Snapshot, found: &mut Found) {
    for profile in s.ssh_profiles().filter(|p| p.role == SshRole::Server) {
        let own = (Kind::SshProfile, profile.name.as_str());
        if profile.private_keys.is_empty() {
            found.warning(own, "private_key_alias", "a server needs a private key to prove itself", "name one");
        } else if s.host_keys(profile).is_empty() {
            let fix = "name an enabled private key, or add its algorithm to public_key_algos";
            found.warning(own, "private_key_alias", "none of its keys can be used, so it admits nobody", fix);
        }
        unused_keys(profile, s, found);
        if profile.trust_hosted {
            let text = "any enabled key of the store opens any login that has no key of its own";
            found.warning(own, "trust_hosted_public_keys", text, "set it to N and bind keys to sites or gates");
        }
        if !profile.password && !profile.public_key {
            found.error(own, "client_auth_methods", "no method is left to log in with", "allow PASSWORD or PUBLIC_KEY");
        }
    }
}

fn unused_keys(profile: &SshProfile, s: &Snapshot, found: &mut Found) {
    let used = s.host_keys(profile);
    for key in profile.private_keys.iter().filter_map(|alias| s.key(alias.as_str())) {
        if key.enabled() && key.private && !used.is_empty() && !used.contains(&key) {
            let text =
                format!("key {} is never used: its algorithm is not listed, or an earlier key has the same", key.alias);
            found.warning(
                (Kind::SshProfile, &profile.name),
                "private_key_alias",
                text,
                "take it out, or list its algorithm",
            );
        }
    }
}

/// Network profiles whose security profile can't serve (SSH-2, SSH-3), and clear ones (NET-9).
pub(super) fn network_profiles(s: &Snapshot, found: &mut Found) {
    for network in s.network_profiles() {
        let own = (Kind::NetworkProfile, network.name.as_str());
        match &network.security {
            SecurityOption::Clear if network.enabled => {
                found.warning(
                    own,
                    "security_option",
                    "connections that fit it are in clear",
                    "set it to SSH where you can",
                );
            }
            SecurityOption::Tls(name) => {
                if let Some(text) = s.tls_profile(name).and_then(|profile| profile.refusal(true)) {
                    let text = format!("{name} can't serve: {text}, so connections are refused");
                    found.warning(own, "sprof_name", text, "correct that profile, or name another");
                }
            }
            SecurityOption::Ssh(name) => match s.ssh_profile(name) {
                Some(profile) if profile.role == SshRole::Client => {
                    found.error(
                        own,
                        "sprof_name",
                        format!("{name} is of type CLIENT"),
                        "name a profile of type SERVER",
                    );
                }
                Some(profile) if !profile.enabled => {
                    found.warning(
                        own,
                        "sprof_name",
                        format!("{name} is disabled, so connections are refused"),
                        "enable it",
                    );
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// Most profiles of one specificity that are compared with each other.
const TIE_COMPARED_MAX: usize = 64;

/// Two enabled profiles alike in specificity that a connection may fit both (network-profiles.md section 2).
pub(super) fn network_ties(s: &Snapshot, found: &mut Found) {
    let mut by_weight: BTreeMap<[u32; 4], Vec<&Arc<NetworkProfile>>> = BTreeMap::new();
    for network in s.network_profiles().filter(|n| n.enabled) {
        by_weight.entry(network.weight()).or_default().push(network);
    }
    for alike in by_weight.values() {
        for (i, later) in alike.iter().enumerate().take(TIE_COMPARED_MAX) {
            if let Some(first) = alike.iter().take(i).find(|first| first.overlaps(later)) {
                let text = format!("some connections fit it and {} alike; {} is used, by name", first.name, first.name);
                found.warning((Kind::NetworkProfile, &later.name), "", text, "make one of them more specific");
            }
        }
    }
}

/// Listeners that share a port or serve nobody (NET-13).
pub(super) fn listeners(s: &Snapshot, found: &mut Found) {
    let mut seen: Vec<(Binding, &String)> = Vec::new();
    for listener in s.listeners().filter(|l| l.enabled) {
        let own = (Kind::Listener, listener.name.as_str());
        let place = listener.binding();
        let address = place.address;
        if let Some((_, other)) = seen.iter().find(|(taken, _)| taken.clashes(&place)) {
            found.error(own, "port", format!("{other} listens there too"), "give it another port, or disable one");
        }
        seen.push((place, &listener.name));
        let fits = |n: &&Arc<NetworkProfile>| {
            let Some(port) = Some(address.port()).filter(|port| *port > 0) else { return true };
            let ip = address.ip().to_canonical();
            n.enabled && n.destination.port.matches(port) && (ip.is_unspecified() || n.destination.address.matches(ip))
        };
        let fitting: Vec<_> = s.network_profiles().filter(fits).collect();
        let over_ssh = listener.over_ssh();
        let option = if over_ssh { "SSH" } else { "TLS" };
        let serves = |n: &&Arc<NetworkProfile>| match n.security {
            SecurityOption::Ssh(_) => over_ssh,
            SecurityOption::Tls(_) | SecurityOption::Clear => !over_ssh,
            SecurityOption::Broken(_) => true,
        };
        let clear = |n: &&Arc<NetworkProfile>| !over_ssh && matches!(n.security, SecurityOption::Clear);
        if fitting.is_empty() {
            let fix = format!(
                "create a network profile with dest_address */{}, option {option} and a SERVER profile",
                address.port()
            );
            found.warning(own, "", "no network profile fits it, so every connection is refused", fix);
        } else if !fitting.iter().any(serves) {
            let fix = format!("give the network profile the option {option} and a SERVER profile");
            let protocol = &listener.protocol;
            let text =
                format!("{protocol} does not run over any of its network profiles: none has the option {option}");
            found.warning(own, "protocol", text, fix);
        } else if let Some(network) = fitting.iter().find(|n| clear(n)).filter(|_| !address.ip().is_loopback()) {
            // NET-9
            let text = format!("with network profile {} logins and files travel in clear", network.name);
            found.warning(own, "protocol", text, "give that the option TLS and a SERVER profile");
        }
    }
}

/// CLIENT profiles of sites, and SFTP_OUT (SSH-2, SSH-4, OBJ-11).
pub(super) fn client_profiles(s: &Snapshot, found: &mut Found) {
    let over_ssh = |site: &&Arc<RemoteSite>| !site.addresses.is_empty() && site.security == CallSecurity::Ssh;
    let calling = || s.sites().filter(over_ssh);
    for site in calling().filter(|site| site.ssh_profile.is_some()) {
        client_profile(site.ssh_profile_name(), (Kind::RemoteSite, &site.name), s, found);
    }
    let default_used = calling().any(|site| site.ssh_profile.is_none());
    match s.object(Kind::SshProfile, SFTP_OUT) {
        None if default_used => {
            let text = "it does not exist, but sites without an SSH profile need it";
            found.error((Kind::SshProfile, SFTP_OUT), "", text, "create it with type CLIENT");
        }
        None => {
            let text = "it does not exist; sites without an SSH profile will need it";
            found.warning((Kind::SshProfile, SFTP_OUT), "", text, "create it with type CLIENT");
        }
        Some(_) if default_used => client_profile(SFTP_OUT, (Kind::SshProfile, SFTP_OUT), s, found),
        Some(_) => {}
    }
}

/// TLS profiles of sites that are for the other side, or can't be used (TLS-25): an error at use.
pub(super) fn tls_profiles_of_sites(s: &Snapshot, found: &mut Found) {
    for site in s.sites() {
        let sides = [("tls_sprof_in", &site.tls.incoming, true), ("tls_sprof_out", &site.tls.outgoing, false)];
        for (field, name, as_server) in sides {
            let profile = name.as_ref().and_then(|name| s.tls_profile(name.as_str()));
            if let Some((profile, text)) = profile.and_then(|p| Some((p, p.refusal(as_server)?))) {
                let text = format!("{} can't be used there: {text}", profile.name);
                found.warning((Kind::RemoteSite, &site.name), field, text, "correct that profile, or name another");
            }
        }
    }
}

fn client_profile(name: &str, own: (Kind, &str), s: &Snapshot, found: &mut Found) {
    let field = if own.0 == Kind::RemoteSite { "ssh_profile" } else { "type" };
    match s.ssh_profile(name) {
        Some(profile) if profile.role == SshRole::Server => {
            found.error(own, field, format!("{name} is of type SERVER"), "use a profile of type CLIENT");
        }
        Some(profile) if !profile.enabled => {
            found.warning(own, field, format!("{name} is disabled, so calls fail"), "enable it");
        }
        _ => {}
    }
}
