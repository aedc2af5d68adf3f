//! The whole configuration at one revision, read and indexed. It never changes; a change makes a new one.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::kinds::application::Application;
use crate::kinds::certificate::CertificateEntry;
use crate::kinds::cgate::Cgate;
use crate::kinds::cgate_group::CgateGroup;
use crate::kinds::crl::CrlEntry;
use crate::kinds::decision_rule::DecisionRule;
use crate::kinds::drop_folder::DropFolder;
use crate::kinds::hook::Hook;
use crate::kinds::listener::Listener;
use crate::kinds::local_site::LocalSite;
use crate::kinds::network_profile::NetworkProfile;
use crate::kinds::proxy::Proxy;
use crate::kinds::remote_site::RemoteSite;
use crate::kinds::rule_table::RuleTable;
use crate::kinds::ssh_profile::SshProfile;
use crate::kinds::tls_profile::TlsProfile;
use crate::kinds::transfer_model::TransferModel;
use crate::kinds::vfd_dir::VfdDir;
use crate::kinds::webhook::Webhook;
use crate::object::{KeyEntry, Kind, Object, Problem};
use crate::reading::{Material, Meaning, Reading};
use crate::{group_chain, problems};

pub(crate) type Table<T> = BTreeMap<Arc<str>, Arc<T>>;

/// A field of an object that names another: kind and name of the one, name of the field.
pub type Referrer = (Kind, String, String);

/// The whole configuration at one revision.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Revision of the configuration.
    pub revision: i64,
    readings: BTreeMap<Kind, Table<Reading>>,
    referrers: HashMap<(Kind, String), Vec<Referrer>>,
    listeners: Table<Listener>,
    /// The most specific first, then by name.
    network_profiles: Vec<Arc<NetworkProfile>>,
    ssh_profiles: Table<SshProfile>,
    tls_profiles: Table<TlsProfile>,
    local_sites: Table<LocalSite>,
    proxies: Table<Proxy>,
    sites: Table<RemoteSite>,
    /// Sites by the user name their partner logs in with.
    sites_by_login: HashMap<String, Vec<Arc<RemoteSite>>>,
    cgates: Table<Cgate>,
    pub(crate) cgates_by_group: HashMap<String, Vec<Arc<Cgate>>>,
    cgate_groups: Table<CgateGroup>,
    /// Every group with its parents, and what they state together.
    pub(crate) chains: BTreeMap<String, group_chain::Chain>,
    vfd: Table<VfdDir>,
    vfd_children: HashMap<String, Vec<Arc<VfdDir>>>,
    drop_folders: Table<DropFolder>,
    hooks: Table<Hook>,
    applications: Table<Application>,
    models: Table<TransferModel>,
    rules: Table<DecisionRule>,
    /// By position, then name.
    rule_tables: Vec<Arc<RuleTable>>,
    webhooks: Table<Webhook>,
    keys: Table<KeyEntry>,
    fingerprints: HashMap<[u8; 32], Arc<KeyEntry>>,
    pub(crate) certificates: Table<CertificateEntry>,
    pub(crate) crls: Table<CrlEntry>,
    pub(crate) certificate_fingerprints: HashMap<[u8; 32], Arc<CertificateEntry>>,
}

impl Snapshot {
    /// Reads and indexes everything. Never fails: what can't be read is left out and is a problem, except that network
    /// profiles, gates and gate groups stay in their place to refuse, so that none less strict serves instead.
    #[must_use]
    pub fn build(objects: Vec<Object>, keys: Vec<KeyEntry>, revision: i64) -> (Self, Vec<Problem>) {
        let keys: Table<KeyEntry> = keys.into_iter().map(|key| (key.alias.as_str().into(), Arc::new(key))).collect();
        let read = |object: Object| {
            let key = keys.get(object.name.as_str()).filter(|_| object.kind == Kind::Key);
            let material = key.cloned().map(Material::Key);
            Arc::new(Reading::of(object, material))
        };
        let readings = objects.into_iter().map(read).collect();
        Self { keys, revision, ..Self::default() }.with(readings)
    }

    /// As [`Self::build`], of objects that were read before, with all that belongs to them.
    #[must_use]
    pub fn of(readings: Vec<Arc<Reading>>, revision: i64) -> (Self, Vec<Problem>) {
        Self { revision, ..Self::default() }.with(readings)
    }

    fn with(mut self, readings: Vec<Arc<Reading>>) -> (Self, Vec<Problem>) {
        let mut found: Vec<Problem> = Vec::new();
        // Tables are made at a stroke, which for what is almost in order takes few comparisons.
        let (mut by_kind, mut certificates) = (BTreeMap::<Kind, Vec<_>>::new(), Vec::new());
        for reading in readings {
            found.extend(reading.problems.iter().cloned());
            if reading.broken.is_none() {
                self.put(&reading);
            }
            match &reading.material {
                Some(Material::Key(key)) => keep(&mut self.keys, Arc::clone(&reading.name), key),
                Some(Material::Crl(list)) => keep(&mut self.crls, Arc::clone(&reading.name), list),
                Some(Material::Certificate(stored)) => {
                    certificates.push((Arc::clone(&reading.name), Arc::clone(stored)));
                }
                None => {}
            }
            for (field, kind, name) in &reading.references {
                let referrer = (reading.kind, reading.object.name.clone(), (*field).to_owned());
                self.referrers.entry((*kind, name.clone())).or_default().push(referrer);
            }
            by_kind.entry(reading.kind).or_default().push((Arc::clone(&reading.name), reading));
        }
        self.certificates = certificates.into_iter().collect();
        self.readings = by_kind.into_iter().map(|(kind, readings)| (kind, readings.into_iter().collect())).collect();
        self.index();
        found.extend(problems::across(&self));
        found.sort_by(|a, b| (a.severity, &a.object, &a.field).cmp(&(b.severity, &b.object, &b.field)));
        (self, found)
    }

    /// Puts a meant object into the table of its kind.
    fn put(&mut self, reading: &Reading) {
        let name = Arc::clone(&reading.name);
        match &reading.meant {
            Meaning::Listener(meant) => keep(&mut self.listeners, name, meant),
            Meaning::SshProfile(meant) => keep(&mut self.ssh_profiles, name, meant),
            Meaning::TlsProfile(meant) => keep(&mut self.tls_profiles, name, meant),
            Meaning::LocalSite(meant) => keep(&mut self.local_sites, name, meant),
            Meaning::Proxy(meant) => keep(&mut self.proxies, name, meant),
            Meaning::RemoteSite(meant) => keep(&mut self.sites, name, meant),
            Meaning::CgateGroup(meant) => keep(&mut self.cgate_groups, name, meant),
            Meaning::Cgate(meant) => keep(&mut self.cgates, name, meant),
            Meaning::VfdDir(meant) => keep(&mut self.vfd, name, meant),
            Meaning::DropFolder(meant) => keep(&mut self.drop_folders, name, meant),
            Meaning::Hook(meant) => keep(&mut self.hooks, name, meant),
            Meaning::Application(meant) => keep(&mut self.applications, name, meant),
            Meaning::TransferModel(meant) => keep(&mut self.models, name, meant),
            Meaning::DecisionRule(meant) => keep(&mut self.rules, name, meant),
            Meaning::Webhook(meant) => keep(&mut self.webhooks, name, meant),
            Meaning::NetworkProfile(meant) => self.network_profiles.push(Arc::clone(meant)),
            Meaning::RuleTable(meant) => self.rule_tables.push(Arc::clone(meant)),
            // What they hold is beside them.
            Meaning::Key(_) | Meaning::Certificate(_) | Meaning::Crl(_) => {}
        }
    }

    fn index(&mut self) {
        self.network_profiles.sort_by(|a, b| b.weight().cmp(&a.weight()).then_with(|| a.name.cmp(&b.name)));
        self.rule_tables.sort_by(|a, b| (a.position, &a.name).cmp(&(b.position, &b.name)));
        for site in self.sites.values() {
            if let Some(login) = &site.check_login {
                self.sites_by_login.entry(login.clone()).or_default().push(Arc::clone(site));
            }
        }
        for gate in self.cgates.values() {
            self.cgates_by_group.entry(gate.group.clone()).or_default().push(Arc::clone(gate));
        }
        for dir in self.vfd.values() {
            if let Some(parent) = dir.parent() {
                self.vfd_children.entry(parent.to_owned()).or_default().push(Arc::clone(dir));
            }
        }
        for key in self.keys.values() {
            // Of two objects with one key the enabled one counts, then the first by name.
            let known = self.fingerprints.get(&key.fingerprint);
            if known.is_none_or(|known| key.enabled() && !known.enabled()) {
                self.fingerprints.insert(key.fingerprint, Arc::clone(key));
            }
        }
        self.index_certificates();
        let chains =
            self.cgate_groups.keys().map(|name| (name.to_string(), group_chain::Chain::of(name, &self.cgate_groups)));
        self.chains = chains.collect();
    }

    /// A listener.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<&Arc<Listener>> {
        self.listeners.get(name)
    }

    /// The listener that takes calls at `local`: one of that very address before one of every address.
    #[must_use]
    pub fn listener_at(&self, local: SocketAddr) -> Option<&Arc<Listener>> {
        let there = self.listeners.values().filter(|l| l.enabled && l.port == local.port());
        let fits = |l: &&Arc<Listener>| l.address.is_unspecified() || l.address.to_canonical() == local.ip();
        there.filter(fits).min_by_key(|l| l.address.is_unspecified())
    }

    /// Listeners by name.
    pub fn listeners(&self) -> impl Iterator<Item = &Arc<Listener>> {
        self.listeners.values()
    }

    /// Network profiles, the most specific first, ties by name.
    pub fn network_profiles(&self) -> impl Iterator<Item = &Arc<NetworkProfile>> {
        self.network_profiles.iter()
    }

    /// An SSH profile.
    #[must_use]
    pub fn ssh_profile(&self, name: &str) -> Option<&Arc<SshProfile>> {
        self.ssh_profiles.get(name)
    }

    /// SSH profiles by name.
    pub fn ssh_profiles(&self) -> impl Iterator<Item = &Arc<SshProfile>> {
        self.ssh_profiles.values()
    }

    /// A TLS profile.
    #[must_use]
    pub fn tls_profile(&self, name: &str) -> Option<&Arc<TlsProfile>> {
        self.tls_profiles.get(name)
    }

    /// TLS profiles by name.
    pub fn tls_profiles(&self) -> impl Iterator<Item = &Arc<TlsProfile>> {
        self.tls_profiles.values()
    }

    /// A local site.
    #[must_use]
    pub fn local_site(&self, name: &str) -> Option<&Arc<LocalSite>> {
        self.local_sites.get(name)
    }

    /// Local sites by name; the first is the default one.
    pub fn local_sites(&self) -> impl Iterator<Item = &Arc<LocalSite>> {
        self.local_sites.values()
    }

    /// A proxy.
    #[must_use]
    pub fn proxy(&self, name: &str) -> Option<&Arc<Proxy>> {
        self.proxies.get(name)
    }

    /// A remote site, static or template.
    #[must_use]
    pub fn site(&self, name: &str) -> Option<&Arc<RemoteSite>> {
        self.sites.get(name)
    }

    /// Remote sites by name.
    pub fn sites(&self) -> impl Iterator<Item = &Arc<RemoteSite>> {
        self.sites.values()
    }

    /// Static sites whose partner logs in as `login`.
    #[must_use]
    pub fn sites_of_login(&self, login: &str) -> &[Arc<RemoteSite>] {
        self.sites_by_login.get(login).map_or(&[], Vec::as_slice)
    }

    /// A gate.
    #[must_use]
    pub fn cgate(&self, name: &str) -> Option<&Arc<Cgate>> {
        self.cgates.get(name)
    }

    /// Gates by name.
    pub fn cgates(&self) -> impl Iterator<Item = &Arc<Cgate>> {
        self.cgates.values()
    }

    /// A gate group.
    #[must_use]
    pub fn cgate_group(&self, name: &str) -> Option<&Arc<CgateGroup>> {
        self.cgate_groups.get(name)
    }

    /// Gate groups by name.
    pub fn cgate_groups(&self) -> impl Iterator<Item = &Arc<CgateGroup>> {
        self.cgate_groups.values()
    }

    /// A webhook.
    #[must_use]
    pub fn webhook(&self, name: &str) -> Option<&Arc<Webhook>> {
        self.webhooks.get(name)
    }

    /// Webhooks by name.
    pub fn webhooks(&self) -> impl Iterator<Item = &Arc<Webhook>> {
        self.webhooks.values()
    }

    /// A virtual folder by its absolute path. `/` need not be configured to be there.
    #[must_use]
    pub fn vfd(&self, path: &str) -> Option<&Arc<VfdDir>> {
        self.vfd.get(path)
    }

    /// Virtual folders directly below `path`, by name.
    pub fn vfd_children(&self, path: &str) -> impl Iterator<Item = &Arc<VfdDir>> {
        self.vfd_children.get(path).into_iter().flatten()
    }

    /// Virtual folders by path.
    pub fn vfd_dirs(&self) -> impl Iterator<Item = &Arc<VfdDir>> {
        self.vfd.values()
    }

    /// A drop folder.
    #[must_use]
    pub fn drop_folder(&self, name: &str) -> Option<&Arc<DropFolder>> {
        self.drop_folders.get(name)
    }

    /// Drop folders by name.
    pub fn drop_folders(&self) -> impl Iterator<Item = &Arc<DropFolder>> {
        self.drop_folders.values()
    }

    /// A hook.
    #[must_use]
    pub fn hook(&self, name: &str) -> Option<&Arc<Hook>> {
        self.hooks.get(name)
    }

    /// Hooks by name.
    pub fn hooks(&self) -> impl Iterator<Item = &Arc<Hook>> {
        self.hooks.values()
    }

    /// An application.
    #[must_use]
    pub fn application(&self, name: &str) -> Option<&Arc<Application>> {
        self.applications.get(name)
    }

    /// A model.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Arc<TransferModel>> {
        self.models.get(name)
    }

    /// Models by name.
    pub fn models(&self) -> impl Iterator<Item = &Arc<TransferModel>> {
        self.models.values()
    }

    /// A decision rule.
    #[must_use]
    pub fn decision_rule(&self, name: &str) -> Option<&Arc<DecisionRule>> {
        self.rules.get(name)
    }

    /// Decision rules by name.
    pub fn decision_rules(&self) -> impl Iterator<Item = &Arc<DecisionRule>> {
        self.rules.values()
    }

    /// Rule tables in the order in which they are looked at.
    pub fn rule_tables(&self) -> impl Iterator<Item = &Arc<RuleTable>> {
        self.rule_tables.iter()
    }

    /// A key, whatever its state.
    #[must_use]
    pub fn key(&self, alias: &str) -> Option<&Arc<KeyEntry>> {
        self.keys.get(alias)
    }

    /// The key with this fingerprint, whatever its state.
    #[must_use]
    pub fn key_by_fingerprint(&self, fingerprint: &[u8; 32]) -> Option<&Arc<KeyEntry>> {
        self.fingerprints.get(fingerprint)
    }

    /// Keys by name.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<KeyEntry>> {
        self.keys.values()
    }

    /// Keys of a profile that can be used: enabled, private, of an algorithm it lists; the first of each algorithm, in the
    /// profile's order of algorithms (SSH-9, SSH-10).
    #[must_use]
    pub fn host_keys(&self, profile: &SshProfile) -> Vec<&Arc<KeyEntry>> {
        let own = || profile.private_keys.iter().filter_map(|alias| self.keys.get(alias.as_str()));
        let mut found: Vec<&Arc<KeyEntry>> = Vec::new();
        for algorithm in profile.public_keys.iter().filter_map(|a| a.key_algorithm()) {
            let fits = |key: &&Arc<KeyEntry>| key.enabled() && key.private && key.algorithm == algorithm;
            if let Some(key) = own().find(fits).filter(|key| !found.contains(key)) {
                found.push(key);
            }
        }
        found
    }

    /// An object as stored.
    #[must_use]
    pub fn object(&self, kind: Kind, name: &str) -> Option<&Arc<Object>> {
        self.reading(kind, name).map(|reading| &reading.object)
    }

    /// Objects of a kind as stored, by name.
    pub fn objects(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        self.readings.get(&kind).into_iter().flat_map(BTreeMap::values).map(|reading| &reading.object)
    }

    /// Every object as stored, by kind and name.
    pub fn all_objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.all_readings().map(|reading| &reading.object)
    }

    /// Every object with what it says, by kind and name.
    pub(crate) fn all_readings(&self) -> impl Iterator<Item = &Arc<Reading>> {
        self.readings.values().flat_map(BTreeMap::values)
    }

    fn reading(&self, kind: Kind, name: &str) -> Option<&Arc<Reading>> {
        self.readings.get(&kind)?.get(name)
    }

    /// Fields that name this object (OBJ-3).
    #[must_use]
    pub fn referrers(&self, kind: Kind, name: &str) -> Vec<Referrer> {
        self.referrers.get(&(kind, name.to_owned())).cloned().unwrap_or_default()
    }

    /// Why an object was left out; `None` if it was not.
    #[must_use]
    pub fn broken(&self, kind: Kind, name: &str) -> Option<&str> {
        self.reading(kind, name)?.broken.as_deref()
    }
}

fn keep<T>(table: &mut Table<T>, name: Arc<str>, meant: &Arc<T>) {
    table.insert(name, Arc::clone(meant));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ObjectState;
    use crate::testing::{key, object, with_profiles};

    #[test]
    fn objects_are_found_by_name_path_and_fingerprint() {
        let s = with_profiles(vec![
            object(Kind::VfdDir, "/in", &[]),
            object(Kind::VfdDir, "/in/b", &[]),
            object(Kind::VfdDir, "/in/a", &[]),
            object(Kind::VfdDir, "/in/a/deep", &[]),
            object(Kind::RemoteSite, "P", &[("check_login_ident", "alice"), ("ssh_profile", "SFTP_OUT")]),
        ]);
        assert_eq!(s.vfd_children("/in").map(|d| d.file_name().to_owned()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(s.vfd_children("/").count(), 1);
        assert!(s.vfd("/in/a/deep").is_some() && s.vfd("/in/c").is_none());
        assert_eq!(s.sites_of_login("alice").len(), 1);
        assert_eq!(s.key_by_fingerprint(&key("HOST", "ED25519", true).fingerprint).unwrap().alias.as_str(), "HOST");
        assert_eq!(s.objects(Kind::SshProfile).map(|o| o.name.as_str()).collect::<Vec<_>>(), ["SFTP_IN", "SFTP_OUT"]);
        assert_eq!(s.object(Kind::RemoteSite, "P").map(|o| o.kind), Some(Kind::RemoteSite));
    }

    #[test]
    fn referrers_are_listed() {
        // OBJ-3, NET-14
        let s = with_profiles(vec![object(
            Kind::NetworkProfile,
            "N",
            &[("security_option", "SSH"), ("sprof_name", "SFTP_IN")],
        )]);
        assert_eq!(s.referrers(Kind::SshProfile, "SFTP_IN"), [(Kind::NetworkProfile, "N".into(), "sprof_name".into())]);
        assert_eq!(s.referrers(Kind::Key, "HOST"), [(Kind::SshProfile, "SFTP_IN".into(), "private_key_alias".into())]);
        assert_eq!(s.referrers(Kind::SshProfile, "SFTP_OUT"), []);
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_told() {
        let body = [("type".to_owned(), "SERVER".into()), ("cipher_algos".to_owned(), "ROT13".into())].into();
        let (s, problems) = Snapshot::build(vec![crate::testing::raw(Kind::SshProfile, "BAD", body)], vec![], 7);
        assert!(s.ssh_profile("BAD").is_none() && s.object(Kind::SshProfile, "BAD").is_some());
        assert!(s.broken(Kind::SshProfile, "BAD").unwrap().contains("ROT13"));
        assert!(problems.iter().any(|p| p.object == "SSH_PROFILE BAD" && p.field == "cipher_algos"));
        assert_eq!(s.revision, 7);
    }

    #[test]
    fn an_enabled_key_counts_before_a_disabled_copy() {
        let copy = |alias: &str, state| KeyEntry { fingerprint: [9; 32], state, ..key(alias, "ED25519", false) };
        let keys =
            vec![copy("A", ObjectState::ToCheck), copy("B", ObjectState::Enabled), copy("C", ObjectState::Enabled)];
        let s = Snapshot::build(vec![], keys, 1).0;
        assert_eq!(s.key_by_fingerprint(&[9; 32]).unwrap().alias.as_str(), "B");
    }

    #[test]
    fn host_keys_follow_the_order_of_algorithms() {
        // SSH-9, SSH-10
        let fields = [
            ("type", "SERVER"),
            ("private_key_alias", "R E1 E2 PUB OFF"),
            ("public_key_algos", "ED25519 RSA_SHA2_512 RSA_SHA2_256 ECDSA_NISTP256"),
        ];
        let keys = vec![
            key("R", "RSA", true),
            key("E1", "ED25519", true),
            key("E2", "ED25519", true),
            key("PUB", "ECDSA_NISTP256", false),
            KeyEntry { state: ObjectState::Disabled, ..key("OFF", "ECDSA_NISTP256", true) },
        ];
        let s = Snapshot::build(vec![object(Kind::SshProfile, "IN", &fields)], keys, 1).0;
        let used: Vec<_> = s.host_keys(s.ssh_profile("IN").unwrap()).iter().map(|k| k.alias.to_string()).collect();
        assert_eq!(used, ["E1", "R"]);
    }
}
