//! The way of a partner's call: listener, network profile, SSH profile, gate group; and whether a login comes out where it
//! shall.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use model::{Kind, Listener, Security, Snapshot, SshProfile, Value, choose_gate, match_inbound};

use super::answers::default_listen;
use super::draft::Draft;
use crate::OpError;

/// The protocol of partners, as objects name it.
pub(crate) const PROTOCOL: &str = "SFTP";
/// Event of a connection that no network profile fits.
const NO_NETWORK_PROFILE: u16 = 105;
/// An address and port that stand for any caller: those of examples (RFC 5737, RFC 3849).
const STRANGER_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const STRANGER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const STRANGER_PORT: u16 = 40_000;

/// Where a partner calls.
pub(crate) struct Door {
    /// Address and port to call from this machine.
    pub(crate) local: SocketAddr,
    /// The SERVER profile.
    pub(crate) profile: Arc<SshProfile>,
}

/// A listener that partners can call: the one that was asked for, else one that is there, else a new one.
pub(crate) fn door(draft: &mut Draft<'_>, asked: Option<SocketAddr>) -> Result<Door, OpError> {
    let usable = |l: &&Arc<Listener>| l.enabled && l.protocol == PROTOCOL && l.port > 0;
    let serves = |l: &&Arc<Listener>| profile_at(draft.snapshot, local_of(l.binding().address)).is_ok();
    let listeners = || draft.snapshot.listeners().filter(usable);
    let found = match asked {
        Some(asked) => {
            listeners().find(|l| l.port == asked.port() && (l.address == asked.ip() || l.address.is_unspecified()))
        }
        None => listeners().find(serves).or_else(|| listeners().next()),
    };
    let (name, address) = match found {
        Some(listener) => (listener.name.clone(), listener.binding().address),
        None => new_listener(draft, asked.unwrap_or_else(default_listen))?,
    };
    let local = local_of(address);
    let profile = match profile_at(draft.snapshot, local) {
        Ok(profile) => profile,
        Err((NO_NETWORK_PROFILE, _)) => new_network_profile(draft, &name, address.port())?,
        Err((_, text)) => return Err(OpError::Refused(format!("listener {name} can't be used: {text}"))),
    };
    Ok(Door { local, profile })
}

fn new_listener(draft: &mut Draft<'_>, address: SocketAddr) -> Result<(String, SocketAddr), OpError> {
    let name = draft.free_name(Kind::Listener, PROTOCOL);
    let fields =
        vec![("address", Value::Text(address.ip().to_string())), ("port", Value::Int(i64::from(address.port())))];
    draft.create(Kind::Listener, &name, fields)?;
    Ok((name, address))
}

fn new_network_profile(draft: &mut Draft<'_>, listener: &str, port: u16) -> Result<Arc<SshProfile>, OpError> {
    let profile = model::SERVER_PROFILE;
    let found = draft.snapshot.ssh_profile(profile).cloned();
    let found = found.filter(|p| p.enabled).ok_or_else(|| {
        OpError::Refused(format!(
            "SSH profile {profile} is not there or disabled, and listener {listener} has no network profile: make one with \
             secadm create_netprof"
        ))
    })?;
    let name = draft.free_name(Kind::NetworkProfile, listener);
    let fields = vec![
        ("security_option", "SSH".into()),
        ("dest_address", Value::Text(format!("*/{port}"))),
        ("sprof_name", profile.into()),
    ];
    draft.create(Kind::NetworkProfile, &name, fields)?;
    Ok(found)
}

/// The gate group, made if it is not there.
pub(crate) fn group(draft: &mut Draft<'_>, name: &str) -> Result<(), OpError> {
    match draft.snapshot.cgate_group(name) {
        Some(_) if has_template(draft.snapshot, name) => Err(OpError::Refused(format!(
            "gate group {name} gives its logins sites after a template: name another one with -cgategroup"
        ))),
        Some(_) => Ok(()),
        None => draft.create(Kind::CgateGroup, name, vec![("comments", "partners, each with a site".into())]),
    }
}

/// Whether logins of the group get sites after a template.
pub(crate) fn has_template(s: &Snapshot, group: &str) -> bool {
    let mut at = s.cgate_group(group);
    // Groups in a circle are an error of their own.
    for _ in 0..DEPTH_MAX {
        let Some(group) = at else { return false };
        if group.template_site.is_some() {
            return true;
        }
        at = group.parent.as_deref().and_then(|parent| s.cgate_group(parent));
    }
    false
}

/// Groups within groups that are looked at.
const DEPTH_MAX: usize = 32;

/// Where this machine reaches a listener.
pub(crate) const fn local_of(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A caller at `local` that nothing is known of.
fn call(local: SocketAddr) -> model::Inbound {
    let peer = match local.ip() {
        ip if ip.is_loopback() => ip,
        IpAddr::V4(_) => STRANGER_V4,
        IpAddr::V6(_) => STRANGER_V6,
    };
    model::Inbound::new(local, SocketAddr::new(peer, STRANGER_PORT))
}

/// The SERVER profile that a caller at `local` meets; else event and reason.
pub(crate) fn profile_at(s: &Snapshot, local: SocketAddr) -> Result<Arc<SshProfile>, (u16, String)> {
    match match_inbound(&call(local), s).result {
        Ok(matched) => match matched.security {
            Security::Ssh(profile) => Ok(Arc::clone(profile)),
            _ => Err((107, format!("network profile {} asks for no SSH", matched.network.name))),
        },
        Err(refusal) => Err((refusal.event, refusal.to_string())),
    }
}

/// Where a login at `local` comes out.
pub(crate) struct Reached {
    /// What it sees as `/` and where it begins.
    pub(crate) root_dir: String,
    pub(crate) home_dir: String,
    /// Its rights.
    pub(crate) rights: Vec<model::VfdRight>,
}

/// Whether a login at `local` comes to this gate and site, by the functions that decide it for a real one.
///
/// # Errors
/// Where it comes to instead, with the reasons.
pub(crate) fn reaches(
    s: &Snapshot,
    local: SocketAddr,
    login: &str,
    (gate, site): (&str, &str),
) -> Result<Reached, String> {
    let inbound = call(local);
    let network = match_inbound(&inbound, s);
    let mut why: Vec<String> = network.why.iter().map(ToString::to_string).collect();
    network.result.map_err(|refusal| refusal.to_string())?;
    let decision = choose_gate(&inbound, PROTOCOL, None, login, s);
    why.extend(decision.why.iter().map(ToString::to_string));
    let found = decision.result.map_err(|refusal| refusal.to_string())?;
    if found.gate.name != gate || found.site.name() != site {
        return Err(format!(
            "login {login:?} at {local} comes to gate {} and site {}, not to gate {gate} and site {site}: {}",
            found.gate.name,
            found.site.name(),
            why.join("; ")
        ));
    }
    Ok(Reached { root_dir: found.root_dir, home_dir: found.home_dir, rights: found.rights })
}
