//! The six operations that every kind of object has, under their documented names (objects.md section 1).

use model::Kind;

use super::objects;
use crate::{Effect, Operation, Resource, Right};

/// Create, update, delete, display, select, status of one kind.
macro_rules! object_family {
    ($list:ident, $kind:ident, $resource:ident, $title:literal, $change:literal, $show:literal, $noun:literal) => {
        pub(super) static $list: &[Operation] = &[
            Operation {
                name: concat!($change, " create_", $noun),
                title: concat!("Create a ", $title),
                right: Right { resource: Resource::$resource, letter: 'W' },
                effect: Effect::Change,
                params: || objects::create_params(Kind::$kind),
                run: |context, input| Box::pin(objects::create(context, input, Kind::$kind)),
            },
            Operation {
                name: concat!($change, " update_", $noun),
                title: concat!("Change a ", $title, "; what is not given stays"),
                right: Right { resource: Resource::$resource, letter: 'U' },
                effect: Effect::Change,
                params: || objects::update_params(Kind::$kind),
                run: |context, input| Box::pin(objects::update(context, input, Kind::$kind)),
            },
            Operation {
                name: concat!($change, " delete_", $noun),
                title: concat!("Delete a ", $title),
                right: Right { resource: Resource::$resource, letter: 'D' },
                effect: Effect::Change,
                params: || objects::delete_params(Kind::$kind),
                run: |context, input| Box::pin(objects::delete(context, input, Kind::$kind)),
            },
            Operation {
                name: concat!($show, " display_", $noun),
                title: concat!("Show everything about a ", $title),
                right: Right { resource: Resource::$resource, letter: 'R' },
                effect: Effect::Read,
                params: || objects::name_params(Kind::$kind),
                run: |context, input| Box::pin(objects::display(context, input, Kind::$kind)),
            },
            Operation {
                name: concat!($show, " select_", $noun),
                title: concat!("List the names of ", $title, "s that fit all criteria"),
                right: Right { resource: Resource::$resource, letter: 'R' },
                effect: Effect::Read,
                params: || objects::criteria(Kind::$kind),
                run: |context, input| Box::pin(objects::select(context, input, Kind::$kind)),
            },
            Operation {
                name: concat!($show, " status_", $noun),
                title: concat!("List ", $title, "s with their main values"),
                right: Right { resource: Resource::$resource, letter: 'R' },
                effect: Effect::Read,
                params: || objects::criteria(Kind::$kind),
                run: |context, input| Box::pin(objects::status(context, input, Kind::$kind)),
            },
        ];
    };
}

object_family!(SSH_PROFILES, SshProfile, SecurityObjects, "SSH profile", "secadm", "secdsp", "sshprof");
object_family!(TLS_PROFILES, TlsProfile, SecurityObjects, "TLS profile", "secadm", "secdsp", "sprof");
object_family!(NETWORK_PROFILES, NetworkProfile, SecurityObjects, "network profile", "secadm", "secdsp", "netprof");
object_family!(LOCAL_SITES, LocalSite, Sites, "local site", "peladm", "peldsp", "loc_site");
object_family!(PROXIES, Proxy, Sites, "proxy", "peladm", "peldsp", "proxy");
object_family!(SITES, RemoteSite, Sites, "remote site", "peladm", "peldsp", "site");
object_family!(APPLICATIONS, Application, Applications, "application", "peladm", "peldsp", "appli");
object_family!(MODELS, TransferModel, Models, "model", "peladm", "peldsp", "model");
object_family!(CGATE_GROUPS, CgateGroup, Cgates, "gate group", "peladm", "peldsp", "cgategroup");
object_family!(CGATES, Cgate, Cgates, "gate", "peladm", "peldsp", "cgate");
object_family!(VFD_DIRS, VfdDir, Vfd, "virtual folder", "vfdadm", "vfddsp", "dir");
object_family!(DROP_FOLDERS, DropFolder, Sites, "drop folder", "handoff", "handoff", "drop");
object_family!(HOOKS, Hook, Configuration, "hook", "handoff", "handoff", "hook");
object_family!(DECISION_RULES, DecisionRule, DecisionRules, "decision rule", "peladm", "peldsp", "decisionrule");
object_family!(RULE_TABLES, RuleTable, RuleTables, "rule table", "peladm", "peldsp", "ruletable");
