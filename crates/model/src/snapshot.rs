//! The whole configuration at one revision, read and indexed. It never changes; a change makes a new one.

use std::sync::Arc;

use crate::kinds::application::Application;
use crate::kinds::cgate::Cgate;
use crate::kinds::cgate_group::CgateGroup;
use crate::kinds::decision_rule::DecisionRule;
use crate::kinds::listener::Listener;
use crate::kinds::local_site::LocalSite;
use crate::kinds::network_profile::NetworkProfile;
use crate::kinds::remote_site::RemoteSite;
use crate::kinds::rule_table::RuleTable;
use crate::kinds::ssh_profile::SshProfile;
use crate::kinds::transfer_model::TransferModel;
use crate::kinds::vfd_dir::VfdDir;
use crate::object::{KeyEntry, Kind, Object, Problem};

/// The whole configuration at one revision.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Revision of the configuration.
    pub revision: i64,
}

#[allow(unused_variables, missing_docs, clippy::must_use_candidate)]
impl Snapshot {
    pub fn build(objects: Vec<Object>, keys: Vec<KeyEntry>, revision: i64) -> (Self, Vec<Problem>) {
        todo!()
    }
    pub fn listeners(&self) -> impl Iterator<Item = &Arc<Listener>> {
        std::iter::empty()
    }
    pub fn network_profiles(&self) -> impl Iterator<Item = &Arc<NetworkProfile>> {
        std::iter::empty()
    }
    pub fn ssh_profile(&self, name: &str) -> Option<&Arc<SshProfile>> {
        todo!()
    }
    pub fn ssh_profiles(&self) -> impl Iterator<Item = &Arc<SshProfile>> {
        std::iter::empty()
    }
    pub fn local_sites(&self) -> impl Iterator<Item = &Arc<LocalSite>> {
        std::iter::empty()
    }
    pub fn site(&self, name: &str) -> Option<&Arc<RemoteSite>> {
        todo!()
    }
    pub fn sites(&self) -> impl Iterator<Item = &Arc<RemoteSite>> {
        std::iter::empty()
    }
    pub fn cgate(&self, name: &str) -> Option<&Arc<Cgate>> {
        todo!()
    }
    pub fn cgates(&self) -> impl Iterator<Item = &Arc<Cgate>> {
        std::iter::empty()
    }
    pub fn cgate_group(&self, name: &str) -> Option<&Arc<CgateGroup>> {
        todo!()
    }
    pub fn cgate_groups(&self) -> impl Iterator<Item = &Arc<CgateGroup>> {
        std::iter::empty()
    }
    pub fn vfd(&self, path: &str) -> Option<&Arc<VfdDir>> {
        todo!()
    }
    pub fn vfd_children(&self, path: &str) -> impl Iterator<Item = &Arc<VfdDir>> {
        std::iter::empty()
    }
    pub fn application(&self, name: &str) -> Option<&Arc<Application>> {
        todo!()
    }
    pub fn model(&self, name: &str) -> Option<&Arc<TransferModel>> {
        todo!()
    }
    pub fn decision_rule(&self, name: &str) -> Option<&Arc<DecisionRule>> {
        todo!()
    }
    pub fn rule_tables(&self) -> impl Iterator<Item = &Arc<RuleTable>> {
        std::iter::empty()
    }
    pub fn key(&self, alias: &str) -> Option<&Arc<KeyEntry>> {
        todo!()
    }
    pub fn key_by_fingerprint(&self, fingerprint: &[u8; 32]) -> Option<&Arc<KeyEntry>> {
        todo!()
    }
    pub fn keys(&self) -> impl Iterator<Item = &Arc<KeyEntry>> {
        std::iter::empty()
    }
    pub fn object(&self, kind: Kind, name: &str) -> Option<&Arc<Object>> {
        todo!()
    }
    pub fn objects(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        std::iter::empty()
    }
    pub fn referrers(&self, kind: Kind, name: &str) -> Vec<(Kind, String, String)> {
        todo!()
    }
}
