//! What one object says by itself. It depends on no other object, so it is read once and kept as long as the object stays.

use std::ops::Deref;
use std::sync::Arc;

use crate::check;
use crate::kinds::application::Application;
use crate::kinds::certificate::{CertificateEntry, CertificateObject};
use crate::kinds::cgate::Cgate;
use crate::kinds::cgate_group::CgateGroup;
use crate::kinds::crl::{CrlEntry, CrlObject};
use crate::kinds::decision_rule::DecisionRule;
use crate::kinds::drop_folder::DropFolder;
use crate::kinds::hook::Hook;
use crate::kinds::key::KeyObject;
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
use crate::object::{KeyEntry, Kind, Object, Problem, Severity};
use crate::problems;
use crate::read::{Meant, read};

/// An object as its kind understands it.
#[derive(Clone, Debug)]
pub(crate) enum Meaning {
    Listener(Arc<Listener>),
    NetworkProfile(Arc<NetworkProfile>),
    SshProfile(Arc<SshProfile>),
    TlsProfile(Arc<TlsProfile>),
    Key(Arc<KeyObject>),
    Certificate(Arc<CertificateObject>),
    Crl(Arc<CrlObject>),
    LocalSite(Arc<LocalSite>),
    Proxy(Arc<Proxy>),
    RemoteSite(Arc<RemoteSite>),
    CgateGroup(Arc<CgateGroup>),
    Cgate(Arc<Cgate>),
    VfdDir(Arc<VfdDir>),
    DropFolder(Arc<DropFolder>),
    Hook(Arc<Hook>),
    Application(Arc<Application>),
    TransferModel(Arc<TransferModel>),
    DecisionRule(Arc<DecisionRule>),
    RuleTable(Arc<RuleTable>),
    Webhook(Arc<Webhook>),
}

/// Reads an object as its kind understands it, and what is wrong with it.
pub(crate) fn meaning(object: &Object) -> (Meaning, Vec<Problem>) {
    match object.kind {
        Kind::Listener => meant(object, Meaning::Listener),
        Kind::NetworkProfile => meant(object, Meaning::NetworkProfile),
        Kind::SshProfile => meant(object, Meaning::SshProfile),
        Kind::TlsProfile => meant(object, Meaning::TlsProfile),
        Kind::Key => meant(object, Meaning::Key),
        Kind::Certificate => meant(object, Meaning::Certificate),
        Kind::Crl => meant(object, Meaning::Crl),
        Kind::LocalSite => meant(object, Meaning::LocalSite),
        Kind::Proxy => meant(object, Meaning::Proxy),
        Kind::RemoteSite => meant(object, Meaning::RemoteSite),
        Kind::CgateGroup => meant(object, Meaning::CgateGroup),
        Kind::Cgate => meant(object, Meaning::Cgate),
        Kind::VfdDir => meant(object, Meaning::VfdDir),
        Kind::DropFolder => meant(object, Meaning::DropFolder),
        Kind::Hook => meant(object, Meaning::Hook),
        Kind::Application => meant(object, Meaning::Application),
        Kind::TransferModel => meant(object, Meaning::TransferModel),
        Kind::DecisionRule => meant(object, Meaning::DecisionRule),
        Kind::RuleTable => meant(object, Meaning::RuleTable),
        Kind::Webhook => meant(object, Meaning::Webhook),
    }
}

fn meant<T: Meant>(object: &Object, of_kind: fn(Arc<T>) -> Meaning) -> (Meaning, Vec<Problem>) {
    let (meant, wrong) = read(object);
    (of_kind(Arc::new(meant)), wrong)
}

/// The key, certificate or revocation list of an object, as it is stored, with what the object says of it.
#[derive(Clone, Debug)]
pub enum Material {
    /// A key.
    Key(Arc<KeyEntry>),
    /// A certificate.
    Certificate(Arc<CertificateEntry>),
    /// A revocation list.
    Crl(Arc<CrlEntry>),
}

/// An object, and all that it says by itself.
#[derive(Debug)]
pub struct Reading {
    pub(crate) object: Arc<Object>,
    pub(crate) name: Arc<str>,
    /// The name in small letters.
    pub(crate) folded: String,
    pub(crate) meant: Meaning,
    pub(crate) material: Option<Material>,
    pub(crate) problems: Vec<Problem>,
    /// The objects it names: field, kind, name.
    pub(crate) references: Vec<(&'static str, Kind, String)>,
    /// Why it can't be used and is left out; `None` of the kinds that stay in their place to refuse.
    pub(crate) broken: Option<String>,
}

impl Reading {
    /// Reads an object.
    #[must_use]
    pub fn of(object: Object, material: Option<Material>) -> Self {
        let (meant, mut wrong) = meaning(&object);
        let stays = matches!(
            object.kind,
            Kind::NetworkProfile | Kind::CgateGroup | Kind::Cgate | Kind::Key | Kind::Crl | Kind::Certificate
        );
        let error = wrong.iter().find(|p| p.severity == Severity::Error && !stays);
        let broken = error.map(|p| format!("{} {}", p.field, p.text));
        wrong.extend(lack(&meant, material.as_ref()));
        Self {
            name: object.name.as_str().into(),
            folded: object.name.to_lowercase(),
            references: check::references(object.kind, &object.body),
            problems: problems::unknown_fields(&object).into_iter().chain(wrong).collect(),
            meant,
            material,
            broken,
            object: Arc::new(object),
        }
    }
}

impl Deref for Reading {
    type Target = Object;
    fn deref(&self) -> &Object {
        &self.object
    }
}

/// What an object says is in the store, and is not.
fn lack(meant: &Meaning, material: Option<&Material>) -> Option<Problem> {
    match (meant, material) {
        (Meaning::Key(meant), Some(Material::Key(key))) => problems::key_material(meant, Some(key)),
        (Meaning::Key(meant), _) => problems::key_material(meant, None),
        (Meaning::Certificate(meant), Some(Material::Certificate(stored))) => {
            problems::certificate(meant, Some(stored))
        }
        (Meaning::Certificate(meant), _) => problems::certificate(meant, None),
        (Meaning::Crl(meant), Some(Material::Crl(stored))) => problems::crl(meant, Some(stored)),
        (Meaning::Crl(meant), _) => problems::crl(meant, None),
        _ => None,
    }
}
