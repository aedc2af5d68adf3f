//! Everything that stands for one partner, found from its site.

use std::net::SocketAddr;
use std::sync::Arc;

use model::{Cgate, KeyEntry, Kind, RemoteSite, Snapshot, VfdDir};

use super::routes::{Route, routes};
use super::way_in::{PROTOCOL, Reached, has_template, local_of, profile_at, reaches};

/// A partner: its site, and what goes with it.
pub(crate) struct Parts<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) site: &'a Arc<RemoteSite>,
    /// Gates whose login is this partner's.
    pub(crate) gates: Vec<&'a Arc<Cgate>>,
    /// Folders at and below the roots of its gates.
    pub(crate) folders: Vec<&'a Arc<VfdDir>>,
    /// What each key is for.
    pub(crate) keys: Vec<(KeyUse, &'a Arc<KeyEntry>)>,
    /// Where files that it sends go.
    pub(crate) onward: Vec<Route>,
    /// What is sent to it.
    pub(crate) towards: Vec<Route>,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyUse {
    /// They log in with it.
    Login,
    /// Their server proves itself with it.
    Host,
    /// We log in with it.
    Ours,
}

impl KeyUse {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "their login key",
            Self::Host => "their host key",
            Self::Ours => "our key",
        }
    }
}

impl<'a> Parts<'a> {
    /// The partner called so; none if there is no such site, or it is a template.
    pub(crate) fn of(s: &'a Snapshot, name: &str) -> Option<Self> {
        let site = s.site(name).filter(|site| !site.template)?;
        let login = site.check_login.clone().unwrap_or_else(|| site.name.clone());
        let own =
            |gate: &&Arc<Cgate>| !has_template(s, &gate.group) && gate.login.matches(&login, base::QuestionMark::One);
        let gates: Vec<_> = s.cgates().filter(own).collect();
        let root = |gate: &&Arc<Cgate>| gate.shared.root_dir.clone().filter(|root| root != "/");
        let roots: Vec<String> = gates.iter().filter_map(root).collect();
        let below = |dir: &&Arc<VfdDir>| roots.iter().any(|root| model::within(&dir.path, root));
        let folders = s.vfd_dirs().filter(below).collect();
        let keys = keys(s, site, &gates);
        let mut parts = Self { snapshot: s, site, gates, folders, keys, onward: Vec::new(), towards: Vec::new() };
        for route in routes(s) {
            if route.to == site.name {
                parts.towards.push(route);
            } else if route.conditions.iter().any(|condition| parts.speaks_of(condition)) {
                parts.onward.push(route);
            }
        }
        Some(parts)
    }

    /// Whether a condition is about files of this partner.
    pub(crate) fn speaks_of(&self, condition: &str) -> bool {
        let Some((argument, value)) = condition.split_once(" = ") else { return false };
        match argument {
            "site" => value == self.site.name,
            "gate" => self.own_gates().any(|gate| gate.name == value),
            "login" => self.login() == Some(value),
            "dir_name" => self.folders.iter().any(|dir| dir.path == value),
            _ => false,
        }
    }

    /// Its login, if it calls us.
    pub(crate) fn login(&self) -> Option<&str> {
        let named = self.site.check_login.as_deref();
        named.or_else(|| (!self.gates.is_empty()).then_some(self.site.name.as_str()))
    }

    /// Gates that are for its login alone.
    pub(crate) fn own_gates(&self) -> impl Iterator<Item = &'a Arc<Cgate>> {
        self.gates.iter().copied().filter(|gate| !gate.is_pattern())
    }

    /// Whether we call it.
    pub(crate) fn is_called(&self) -> bool {
        !self.site.addresses.is_empty()
    }

    /// What it does, in words.
    pub(crate) fn directions(&self) -> Vec<&'static str> {
        let rights: Vec<_> = self.gates.iter().flat_map(|gate| &gate.shared.rights).collect();
        let calls = !self.gates.is_empty();
        let all = [
            ("they send", calls && rights.iter().any(|r| r.write)),
            ("they fetch", calls && rights.iter().any(|r| r.read)),
            ("we send", self.is_called() && self.site.roles.init_sender),
        ];
        all.into_iter().filter(|(_, holds)| *holds).map(|(word, _)| word).collect()
    }

    /// Listeners at which its login comes in: name, address, where it comes out.
    pub(crate) fn doors(&self) -> Vec<(String, SocketAddr, Result<Reached, String>)> {
        let Some(login) = self.login() else { return Vec::new() };
        let listeners = self.snapshot.listeners().filter(|l| l.enabled && l.protocol == PROTOCOL);
        let door = |listener: &Arc<model::Listener>| {
            let address = listener.binding().address;
            let gate = self.gates.first().map_or("", |gate| gate.name.as_str());
            let reached = reaches(self.snapshot, local_of(address), login, (gate, &self.site.name));
            (listener.name.clone(), address, reached)
        };
        listeners.map(door).collect()
    }

    /// The door to tell the partner: the first that lets it in, with its SSH profile.
    pub(crate) fn door(&self) -> Option<(SocketAddr, Arc<model::SshProfile>, Reached)> {
        self.doors().into_iter().find_map(|(_, address, reached)| {
            let profile = profile_at(self.snapshot, local_of(address)).ok()?;
            Some((address, profile, reached.ok()?))
        })
    }

    /// Kind and name of every object that is this partner's, routes included.
    pub(crate) fn objects(&self) -> Vec<(Kind, String)> {
        let mut all = vec![(Kind::RemoteSite, self.site.name.clone())];
        all.extend(self.own_gates().map(|gate| (Kind::Cgate, gate.name.clone())));
        all.extend(self.folders.iter().map(|dir| (Kind::VfdDir, dir.path.clone())));
        let theirs = self.keys.iter().filter(|(usage, _)| *usage != KeyUse::Ours);
        all.extend(theirs.map(|(_, key)| (Kind::Key, key.alias.to_string())));
        for route in self.onward.iter().chain(&self.towards) {
            all.push((Kind::DecisionRule, route.name.clone()));
            if !route.model.is_empty() {
                all.push((Kind::TransferModel, route.model.clone()));
            }
        }
        all.sort();
        all.dedup();
        all
    }
}

/// Its keys, each with what it is for.
fn keys<'a>(s: &'a Snapshot, site: &RemoteSite, gates: &[&'a Arc<Cgate>]) -> Vec<(KeyUse, &'a Arc<KeyEntry>)> {
    let mut all: Vec<(KeyUse, &Arc<KeyEntry>)> = Vec::new();
    let mut add = |usage, alias: &base::Alias| {
        if let Some(key) =
            s.key(alias.as_str()).filter(|key| !all.iter().any(|(u, k)| *u == usage && k.alias == key.alias))
        {
            all.push((usage, key));
        }
    };
    for gate in gates {
        gate.public_keys.iter().chain(&gate.bound_keys).for_each(|alias| add(KeyUse::Login, alias));
    }
    let of_site = || site.public_keys.iter().chain(&site.bound_keys);
    if !site.addresses.is_empty() {
        of_site().for_each(|alias| add(KeyUse::Host, alias));
        let profile = s.ssh_profile(site.ssh_profile_name());
        let ours = site.private_key.iter().chain(profile.iter().flat_map(|p| &p.private_keys).take(1));
        if let Some(alias) = ours.take(1).next().filter(|_| site.private_key.is_some() || !site.has_password) {
            add(KeyUse::Ours, alias);
        }
    } else {
        of_site().for_each(|alias| add(KeyUse::Login, alias));
    }
    all
}
