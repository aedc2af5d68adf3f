//! A gate group with its parents, and what they state together (objects.md 7.1).

use std::sync::Arc;

use crate::kinds::addresses::{AddressPattern, PortSet};
use crate::kinds::cgate_group::CgateGroup;
use crate::snapshot::Table;

/// Deepest nesting of groups.
const DEPTH_MAX: usize = 16;

/// A group, its parents, and its selection keys: each the one stated nearest the root.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// The root first, the group itself last.
    pub groups: Vec<Arc<CgateGroup>>,
    pub protocol: String,
    pub ports: PortSet,
    pub called: AddressPattern,
    pub template_site: Option<String>,
    /// Why nobody gets in by it.
    pub broken: Option<String>,
}

impl Chain {
    /// The chain of the group `name`.
    pub(crate) fn of(name: &str, table: &Table<CgateGroup>) -> Self {
        let mut groups = Vec::new();
        let mut broken = None;
        let mut next = Some(name.to_owned());
        while let Some(name) = next {
            let Some(group) = table.get(name.as_str()) else {
                broken = Some(format!("the group {name} does not exist"));
                break;
            };
            if groups.len() >= DEPTH_MAX {
                broken = Some(format!("its groups are nested deeper than {DEPTH_MAX}, or in a circle"));
                break;
            }
            if let Some(wrong) = &group.broken {
                broken = Some(format!("the group {name} has an error: {wrong}"));
            } else if !group.enabled {
                broken = Some(format!("the group {name} is disabled"));
            }
            groups.push(Arc::clone(group));
            next = group.parent.clone();
        }
        groups.reverse();
        let all = || groups.iter();
        Self {
            protocol: all().find_map(|g| g.protocol.clone()).unwrap_or_else(|| "SFTP".to_owned()),
            ports: all().find_map(|g| g.ports.clone()).unwrap_or(PortSet(vec![0..=u16::MAX])),
            called: all().find_map(|g| g.called.clone()).unwrap_or(AddressPattern::Any),
            template_site: all().find_map(|g| g.template_site.clone()),
            broken,
            groups,
        }
    }
}
