//! The sheet for a partner: all that its technician needs to know of us, and nothing that must not be seen.

use std::net::SocketAddr;

use keys::{Fingerprint, PublicKey};
use model::{KeyEntry, LocalSite, SshProfile};
use serde_json::{Value as Json, json};

use super::parts::{KeyUse, Parts};
use super::way_in::Reached;

/// Width of the names before values.
const NAME_CHARS: usize = 22;
/// Port of SSH where none is said.
const SSH_PORT: u16 = 22;

/// A sheet: sections of names and values.
pub(crate) struct Sheet {
    title: String,
    sections: Vec<Section>,
    /// What is still missing on it, a sentence each.
    pub(crate) missing: Vec<String>,
}

struct Section {
    title: &'static str,
    rows: Vec<(&'static str, Vec<String>)>,
}

impl Sheet {
    /// The sheet of a partner.
    pub(crate) fn of(parts: &Parts<'_>) -> Self {
        let mut sheet = Self {
            title: format!("Connection sheet for {}", parts.site.name),
            sections: Vec::new(),
            missing: Vec::new(),
        };
        let us = parts.snapshot.local_sites().next().cloned();
        if parts.login().is_some() {
            match parts.door() {
                Some((address, profile, reached)) => {
                    let host = sheet.host(us.as_deref(), address);
                    sheet.way_in(parts, (&host, address.port()), (&profile, &reached));
                    sheet.folders(parts, &reached);
                }
                None => sheet.missing.push(format!(
                    "no listener lets {} in: see `gatehouse partner test {}`",
                    parts.site.name, parts.site.name
                )),
            }
        }
        if parts.is_called() {
            sheet.way_out(parts, us.as_deref());
        }
        sheet.contact(us.as_deref());
        sheet
    }

    /// How partners call us; asked for if nobody said it.
    fn host(&mut self, us: Option<&LocalSite>, address: SocketAddr) -> String {
        if let Some(host) = us.and_then(|us| us.host_name.clone()) {
            return host;
        }
        if !address.ip().is_unspecified() {
            return address.ip().to_string();
        }
        let local = us.map_or("GATEHOUSE", |us| us.name.as_str());
        self.missing.push(format!(
            "the name or address under which partners reach this gateway: gatehouse peladm update_loc_site -alias {local} \
             -host_name HOST"
        ));
        UNKNOWN_HOST.to_owned()
    }

    fn way_in(&mut self, parts: &Parts<'_>, (host, port): (&str, u16), (profile, reached): (&SshProfile, &Reached)) {
        let login = parts.login().unwrap_or_default();
        let host_keys: Vec<_> = parts.snapshot.host_keys(profile).into_iter().filter_map(|k| public(k)).collect();
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let known = match port {
            SSH_PORT => host.to_owned(),
            port => format!("[{host}]:{port}"),
        };
        let option = if port == SSH_PORT { String::new() } else { format!("-P {port} ") };
        let wire = |list: &[&'static model::ssh_algorithms::Algorithm]| vec![SshProfile::wire(list).join(", ")];
        self.sections.push(Section {
            title: "You call us",
            rows: vec![
                ("Protocol", vec!["SFTP (version 3, over SSH 2)".to_owned()]),
                ("Host", vec![host.to_owned()]),
                ("Port", vec![port.to_string()]),
                ("User name", vec![login.to_owned()]),
                ("You prove yourself by", proofs(parts, profile)),
                ("Our host key", host_keys.iter().map(|k| format!("{} {}", k.ssh_name(), k.fingerprint())).collect()),
                (
                    "Line for known_hosts",
                    host_keys.iter().map(|k| format!("{known} {}", k.openssh_line("").trim())).collect(),
                ),
                ("Key exchange", wire(&profile.kex)),
                ("Ciphers", wire(&profile.ciphers)),
                ("MACs", wire(&profile.macs)),
                ("You begin in", vec![seen(&reached.home_dir, &reached.root_dir)]),
                ("To try", vec![format!("sftp {option}{login}@{bracketed}")]),
            ],
        });
    }

    fn folders(&mut self, parts: &Parts<'_>, reached: &Reached) {
        let mut rows = Vec::new();
        for dir in parts.folders.iter().filter(|dir| model::within(&dir.path, &reached.root_dir)) {
            let covering: Vec<_> = reached.rights.iter().filter(|r| r.covers(&dir.path)).collect();
            let any = |has: fn(&model::VfdRight) -> bool| covering.iter().any(|r| has(r));
            let words = [
                ("send files", any(|r| r.write)),
                ("fetch files", any(|r| r.read)),
                ("delete files", any(|r| r.delete)),
                ("list", any(|r| r.list)),
                ("make folders", any(|r| r.create)),
            ];
            let words: Vec<&str> = words.into_iter().filter(|(_, may)| *may).map(|(word, _)| word).collect();
            if words.is_empty() {
                continue;
            }
            let may = words.join(", ");
            let limits: Vec<&str> = covering
                .iter()
                .map(|r| r.files.as_str())
                .filter(|pattern| *pattern != "*" && !pattern.is_empty())
                .collect();
            let limits = if limits.is_empty() { String::new() } else { format!(" (names like {})", limits.join(", ")) };
            rows.push(("Folder", vec![format!("{}: {may}{limits}", seen(&dir.path, &reached.root_dir))]));
        }
        let upload =
            "a file counts as complete when it is closed; better send it as NAME.part and rename it".to_owned();
        if reached.rights.iter().any(|r| r.write) {
            rows.push(("Uploads", vec![upload]));
        }
        self.sections.push(Section { title: "Your folders", rows });
    }

    fn way_out(&mut self, parts: &Parts<'_>, us: Option<&LocalSite>) {
        let site = parts.site;
        let mut rows = vec![
            ("Your server", site.addresses.iter().map(|a| format!("{}, port {}", a.host, a.port)).collect()),
            ("Our user name", site.login.iter().cloned().collect()),
        ];
        let of = |usage| parts.keys.iter().filter(move |(u, _)| *u == usage).filter_map(|(_, key)| public(key));
        let ours: Vec<PublicKey> = of(KeyUse::Ours).collect();
        if ours.is_empty() {
            rows.push(("We prove ourselves by", vec!["the password that you gave us".to_owned()]));
        } else {
            rows.push(("We prove ourselves by", ours.iter().map(|k| format!("key {}", k.fingerprint())).collect()));
            rows.push(("For authorized_keys", ours.iter().map(|k| k.openssh_line("gatehouse")).collect()));
        }
        let theirs: Vec<String> = of(KeyUse::Host).map(|k| format!("{} {}", k.ssh_name(), k.fingerprint())).collect();
        rows.push(match theirs.is_empty() {
            true => ("Your host key", vec!["not confirmed yet: please tell us its SHA-256 fingerprint".to_owned()]),
            false => ("Your host key", theirs),
        });
        let folder = if site.dir_name.is_empty() { "where the login begins" } else { &site.dir_name };
        rows.push(("We deliver into", vec![folder.to_owned()]));
        if let Some(pattern) = &site.temporary_name {
            let name = pattern.replace("&(file_name)", "NAME").replace("&(local_ident)", "NUMBER");
            rows.push(("While on its way", vec![format!("a file is called {name}; a rename gives it its name")]));
        }
        if let Some(from) = us.and_then(|us| us.calls_from.clone()) {
            rows.push(("Our calls come from", vec![from]));
        }
        self.sections.push(Section { title: "We call you", rows });
    }

    fn contact(&mut self, us: Option<&LocalSite>) {
        match us.and_then(|us| us.contact.clone()) {
            Some(contact) => {
                self.sections.push(Section { title: "If something is wrong", rows: vec![("Call", vec![contact])] })
            }
            None => {
                let local = us.map_or("GATEHOUSE", |us| us.name.as_str());
                self.missing.push(format!(
                    "whom they call: gatehouse peladm update_loc_site -alias {local} -contact 'NAME, TELEPHONE, MAIL'"
                ));
            }
        }
    }

    /// As plain text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.title.clone()];
        for section in &self.sections {
            lines.extend([String::new(), section.title.to_owned()]);
            for (name, values) in &section.rows {
                for (n, value) in values.iter().enumerate() {
                    let name = if n == 0 { *name } else { "" };
                    lines.push(format!("  {name:<NAME_CHARS$}  {value}"));
                }
            }
        }
        lines
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> Vec<String> {
        let mut lines = vec![format!("# {}", self.title)];
        for section in &self.sections {
            lines.extend([String::new(), format!("## {}", section.title), String::new()]);
            lines.extend(["| what | value |".to_owned(), "| --- | --- |".to_owned()]);
            for (name, values) in &section.rows {
                let values: Vec<String> = values.iter().map(|v| format!("`{}`", v.replace('|', "\\|"))).collect();
                lines.push(format!("| {name} | {} |", values.join("<br>")));
            }
        }
        lines
    }

    /// For programs.
    pub(crate) fn facts(&self) -> Json {
        let section = |s: &Section| {
            let rows = s.rows.iter().map(|(name, values)| json!({ "name": name, "values": values }));
            json!({ "title": s.title, "rows": rows.collect::<Vec<_>>() })
        };
        let sections: Vec<Json> = self.sections.iter().map(section).collect();
        json!({ "title": self.title, "sections": sections, "missing": self.missing })
    }
}

/// What stands for an address that nobody told us.
const UNKNOWN_HOST: &str = "GATEWAY-ADDRESS";

/// A folder as the partner sees it.
fn seen(path: &str, root: &str) -> String {
    let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path);
    if below.is_empty() { "/".to_owned() } else { below.to_owned() }
}

/// How the partner proves itself.
fn proofs(parts: &Parts<'_>, profile: &SshProfile) -> Vec<String> {
    let mut all: Vec<String> = parts
        .keys
        .iter()
        .filter(|(usage, _)| *usage == KeyUse::Login)
        .map(|(_, key)| {
            let waiting = if key.enabled() { "" } else { ", which we still have to enable" };
            format!("your key {} ({}){waiting}", Fingerprint(key.fingerprint), key.algorithm)
        })
        .collect();
    if parts.gates.iter().any(|gate| gate.has_password) && profile.password {
        all.push("the password that you get apart from this sheet".to_owned());
    }
    if all.is_empty() && profile.key_import {
        all.push(
            "a key of yours: connect once, it is refused; tell us its SHA-256 fingerprint, and we enable it".to_owned(),
        );
    }
    all
}

fn public(key: &KeyEntry) -> Option<PublicKey> {
    PublicKey::from_ssh_blob(&key.ssh_blob).ok()
}
