//! Sites, gate groups, gates.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Found;
use crate::kinds::cgate::Cgate;
use crate::kinds::remote_site::{CallSecurity, RemoteSite, Through};
use crate::kinds::ssh_profile::SshRole;
use crate::object::Kind;
use crate::snapshot::Snapshot;
use crate::variables::has_variables;

/// Sites that we call: user name, proof, the partner's host key.
pub(super) fn sites(s: &Snapshot, found: &mut Found) {
    for site in s.sites().filter(|site| !site.addresses.is_empty() && site.enabled) {
        let own = (Kind::RemoteSite, site.name.as_str());
        if site.login.is_none() {
            found.warning(own, "login_ident", "no user name to log in with", "give the name that the partner gave you");
        }
        if site.security != CallSecurity::Ssh {
            other_call(site, found);
            continue;
        }
        let profile = s.ssh_profile(site.ssh_profile_name());
        let profile_keys = profile.is_some_and(|profile| !profile.private_keys.is_empty());
        if !site.has_password && site.private_key.is_none() && !profile_keys {
            let fix = "set local_private_key_alias or login_password";
            found.warning(own, "login_password", "neither password nor key to log in with", fix);
        }
        let trusts = profile.is_some_and(|profile| profile.trust_hosted);
        if site.public_keys.is_empty() && site.bound_keys.is_empty() && !trusts {
            let text = "the partner's host key is not known, so calls are refused";
            found.warning(
                own,
                "remote_public_key_alias",
                text,
                "import its key, compare the fingerprint, and name it here",
            );
        }
    }
}

/// Proxies on the way to sites.
pub(super) fn proxies(s: &Snapshot, found: &mut Found) {
    for site in s.sites() {
        // One that does not exist is told with all that is missing.
        let exist = |through: &Through| {
            [&through.net, &through.commands].into_iter().flatten().all(|name| s.object(Kind::Proxy, name).is_some())
        };
        for (path, _) in site.through.iter().enumerate().filter(|(_, through)| exist(through)) {
            if let Err((field, text)) = s.proxies(site, path) {
                let own = (Kind::RemoteSite, site.name.as_str());
                let at = site.addresses.get(path).map(ToString::to_string).unwrap_or_default();
                found.error(own, field, format!("{at} can't be called: {text}"), "name another proxy, or none");
            }
        }
    }
}

/// A call that SSH does not keep safe: TLS does or, as the site says, nothing (OBJ-10).
fn other_call(site: &RemoteSite, found: &mut Found) {
    let own = (Kind::RemoteSite, site.name.as_str());
    if !site.has_password {
        let fix = "set login_password, unless the partner lets everybody in";
        found.warning(own, "login_password", "no password to log in with", fix);
    }
    if site.security == CallSecurity::Clear {
        let fix = "set it to TLS where the partner can do that";
        found.warning(own, "network_security_option", "login, password and files travel in clear", fix);
    }
}

/// Two sites of one login.
pub(super) fn site_logins(s: &Snapshot, found: &mut Found) {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for site in s.sites() {
        let Some(login) = &site.check_login else { continue };
        if let Some(other) = seen.insert(login, &site.name) {
            let text = format!("site {other} has the same one, so neither gets the login");
            found.error((Kind::RemoteSite, &site.name), "check_login_ident", text, "leave it to one of them");
        }
        if site.template {
            let text = "a template serves every login of its group, not this one";
            found.warning((Kind::RemoteSite, &site.name), "check_login_ident", text, "clear it");
        }
    }
}

/// Groups: nesting (OBJ-16), keys stated twice, templates.
pub(super) fn groups(s: &Snapshot, found: &mut Found) {
    let parents: HashSet<&str> = s.cgate_groups().filter_map(|g| g.parent.as_deref()).collect();
    for group in s.cgate_groups() {
        let own = (Kind::CgateGroup, group.name.as_str());
        let has_gates = s.cgates_by_group.contains_key(&group.name);
        if has_gates && parents.contains(group.name.as_str()) {
            let text = "it has gates and groups; only one of them is possible"; // OBJ-16
            found.error(own, "", text, "move the gates into a group of their own");
        }
        if let Some(chain) = s.chains.get(&group.name) {
            if let Some(wrong) = chain.broken.as_ref().filter(|wrong| wrong.contains("circle")) {
                found.error(own, "parent_group", wrong.clone(), "take a parent_group out of the circle");
            }
            let above = || chain.groups.iter().filter(|other| other.name != group.name);
            let twice = [
                ("protocol", group.protocol.is_some() && above().any(|g| g.protocol.is_some())),
                ("sap", group.ports.is_some() && above().any(|g| g.ports.is_some())),
                ("called_addr", group.called.is_some() && above().any(|g| g.called.is_some())),
                ("template_site", group.template_site.is_some() && above().any(|g| g.template_site.is_some())),
            ];
            for (field, _) in twice.iter().filter(|(_, twice)| *twice) {
                found.warning(own, field, "a group above states it too, and that one counts", "state it once");
            }
        }
        let template = group.template_site.as_deref().filter(|name| !has_variables(name)).and_then(|name| s.site(name));
        if template.is_some_and(|site| !site.template) {
            found.error(
                own,
                "template_site",
                "that site is no template",
                "set its template flag to Y, or name another",
            );
        }
    }
}

/// Gates: a site for their logins (OBJ-17), a proof, keys that open several logins.
pub(super) fn gates(s: &Snapshot, found: &mut Found) {
    for gate in s.cgates().filter(|gate| gate.enabled && gate.broken.is_none()) {
        let own = (Kind::Cgate, gate.name.as_str());
        let template = s.chains.get(&gate.group).and_then(|chain| chain.template_site.as_deref());
        let sites = sites_of(gate, s);
        if template.is_none() && sites.is_empty() {
            let fix = "set template_site on its group, or give a site the login as name or check_login_ident";
            found.warning(own, "login_user", "its logins find no site, so they are refused", fix); // OBJ-17
        }
        if gate.is_pattern() && !(gate.public_keys.is_empty() && gate.bound_keys.is_empty()) {
            let text = "each of its keys opens every login that fits its pattern";
            found.warning(own, "remote_public_key_alias", text, "make a gate for each login that has keys");
        }
        let of_template = template.and_then(|name| s.site(name)).is_some_and(|site| !site.public_keys.is_empty());
        let of_site = |site: &&Arc<RemoteSite>| !site.public_keys.is_empty() || !site.bound_keys.is_empty();
        let own_keys = !gate.public_keys.is_empty() || !gate.bound_keys.is_empty();
        let keys = own_keys || of_template || sites.iter().any(of_site);
        let trusting =
            s.ssh_profiles().any(|profile| profile.role == SshRole::Server && profile.enabled && profile.trust_hosted);
        gate_over_tls(gate, (template, &sites), s, found);
        if !gate.has_password && !keys && !trusting && !gate.tls.certificate_login {
            let fix = "set login_password or remote_public_key_alias; a captured key can be enabled too";
            found.warning(own, "login_password", "neither password nor key lets anybody in", fix);
        }
    }
}

/// Gates that ask for TLS (AC-26): where there is none, and certificates that stand for a password without being named.
fn gate_over_tls(
    gate: &Cgate,
    (template, sites): (Option<&str>, &[&Arc<RemoteSite>]),
    s: &Snapshot,
    found: &mut Found,
) {
    let own = (Kind::Cgate, gate.name.as_str());
    if gate.tls.asks() && s.chains.get(&gate.group).is_some_and(|chain| chain.protocol.eq_ignore_ascii_case("SFTP")) {
        let text = format!("it asks for TLS ({}), which no login by SFTP has", gate.tls);
        found.warning(own, "tls_sprof", text, "move the gate into a group of another protocol, or clear these fields");
    }
    if gate.tls.certificate_login && (template.is_some() || sites.iter().any(|site| !site.tls.names_one())) {
        let text = "a site of its logins does not say which certificate is its, so they are refused";
        let fix = "give each login a site with remote_subject_cert_alias, in a group without template_site";
        found.warning(own, "certificate_login", text, fix);
    }
}

/// Static sites that logins of a gate may find.
fn sites_of<'s>(gate: &Cgate, s: &'s Snapshot) -> Vec<&'s Arc<RemoteSite>> {
    let fits = |login: &str| gate.login.matches(login, base::QuestionMark::One);
    let login = |site: &RemoteSite| site.check_login.clone().unwrap_or_else(|| site.name.clone());
    s.sites().filter(|site| !site.template && fits(&login(site))).collect()
}
