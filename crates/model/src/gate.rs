//! Which gate a login comes through, and which site it is (objects.md section 7.2).

mod secure;

use std::sync::Arc;

use base::{Alias, Shown};

pub use self::secure::LoginTls;

use crate::decision::{Decision, Refusal, Why};
use crate::group_chain::Chain;
use crate::inbound::Inbound;
use crate::kinds::addresses::{CallingRule, text_matches};
use crate::kinds::cgate::Cgate;
use crate::kinds::cgate_group::CgateGroup;
use crate::kinds::remote_site::RemoteSite;
use crate::kinds::transfer_rates::TransferRates;
use crate::rights::{VfdRight, within};
use crate::snapshot::Snapshot;
use crate::variables;

/// The gate of a login, its site, and what the hierarchy of groups grants together. Nothing is proved yet.
#[derive(Clone, Debug)]
pub struct GateMatch<'a> {
    /// The gate.
    pub gate: &'a Arc<Cgate>,
    /// Its groups, the root first.
    pub groups: Vec<&'a Arc<CgateGroup>>,
    /// The site.
    pub site: SiteBinding,
    /// The login, as received.
    pub login: String,
    /// Rights of gate and groups together (OBJ-21).
    pub rights: Vec<VfdRight>,
    /// What the session can't leave.
    pub root_dir: String,
    /// Where it begins; inside the root.
    pub home_dir: String,
    /// Keys of which one must be shown; empty: the profile's trust decides (OBJ-12).
    pub keys: Vec<Alias>,
    /// Group that keys must be in, and that captured ones get.
    pub key_group: Option<String>,
    /// Whether the gate has a password stored.
    pub has_password: bool,
    /// The certificate that the site names stands for the password.
    pub by_certificate: bool,
    /// Largest upload in octets.
    pub max_upload_octets: Option<u64>,
    /// How much in a minute.
    pub rates: TransferRates,
    /// Quiet seconds before an uploaded file is routed.
    pub settle_s: u16,
    /// Site that gets the files received, `$(…)` replaced.
    pub route_remote_agent: Option<String>,
}

/// The site of a login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SiteBinding {
    /// A configured site.
    Static(Arc<RemoteSite>),
    /// A site made for this login after a template (OBJ-18).
    Dynamic {
        /// `$S_` and the login.
        name: String,
        /// The template.
        template: Arc<RemoteSite>,
    },
}

impl SiteBinding {
    /// The site's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Static(site) => &site.name,
            Self::Dynamic { name, .. } => name,
        }
    }

    /// The configured site behind it: itself or the template.
    #[must_use]
    pub const fn site(&self) -> &Arc<RemoteSite> {
        match self {
            Self::Static(site) | Self::Dynamic { template: site, .. } => site,
        }
    }
}

/// Longest login, in characters.
const LOGIN_LEN_MAX: usize = 63;

/// The gate and site of a login by a connection with this TLS, or why there is none. The peer learns none of it; the log and
/// `explain` do.
#[must_use]
pub fn choose_gate<'a>(
    inbound: &Inbound,
    protocol: &str,
    tls: Option<&LoginTls>,
    login: &str,
    s: &'a Snapshot,
) -> Decision<GateMatch<'a>> {
    let mut why = Why::default();
    let call = Call { inbound, protocol, tls, login };
    let result = call.admit(s, &mut why);
    why.decide(result)
}

/// A login that asks for a gate.
struct Call<'c> {
    inbound: &'c Inbound,
    protocol: &'c str,
    tls: Option<&'c LoginTls>,
    login: &'c str,
}

impl Call<'_> {
    fn admit<'a>(&self, s: &'a Snapshot, why: &mut Why) -> Result<GateMatch<'a>, Refusal> {
        self.check_login()?;
        let groups = self.groups(s, why)?;
        let (gate, chain) = self.gate(&groups, s, why)?;
        self.check_gate(gate, chain, why)?;
        let site = self.site(gate, chain, s, why)?;
        secure::names_certificate(gate, &site, why)?;
        self.merge(gate, chain, site)
    }

    /// Identifiers must not be empty (objects.md 7.2), and must be fit to be shown and stored.
    fn check_login(&self) -> Result<(), Refusal> {
        let fix = format!("log in with 1 to {LOGIN_LEN_MAX} plain characters");
        match self.login.chars().count() {
            0 => Err(Refusal::new(0, "the login is empty", fix)),
            len if len > LOGIN_LEN_MAX => Err(Refusal::new(0, format!("the login has {len} characters"), fix)),
            _ if self.login.chars().any(char::is_control) => {
                Err(Refusal::new(0, "the login has a control character", fix))
            }
            _ => Ok(()),
        }
    }

    /// The groups that fit protocol, port and address best; several if they fit alike.
    fn groups<'a>(&self, s: &'a Snapshot, why: &mut Why) -> Result<Vec<(&'a str, &'a Chain)>, Refusal> {
        let local = self.inbound.local;
        let mut best: Option<(std::cmp::Reverse<u32>, u32)> = None;
        let mut found = Vec::new();
        for (name, chain) in s.chains.iter().filter(|(name, _)| s.cgates_by_group.contains_key(*name)) {
            let object = || format!("CGATE_GROUP {name}");
            if !chain.protocol.eq_ignore_ascii_case(self.protocol) {
                why.no(object(), format!("it is for {}, not {}", chain.protocol, self.protocol));
                continue;
            }
            let Some(width) = chain.ports.width(local.port()) else {
                why.no(object(), format!("port {} is not among its sap", local.port()));
                continue;
            };
            if !chain.called.matches(local.ip()) {
                why.no(object(), format!("its called_addr does not fit {}", local.ip()));
                continue;
            }
            let measure = (std::cmp::Reverse(width), chain.called.weight());
            if best.is_none_or(|best| measure > best) {
                best = Some(measure);
            }
            found.push((measure, name.as_str(), chain));
        }
        for (_, name, _) in found.iter().filter(|(measure, ..)| best.is_some_and(|best| *measure < best)) {
            why.no(format!("CGATE_GROUP {name}"), "fits, but another group fits port and address more closely");
        }
        found.retain(|(measure, ..)| Some(*measure) == best);
        if found.is_empty() {
            let text = format!("no gate group with gates serves {} on {local}", self.protocol);
            return Err(Refusal::new(0, text, format!("create one whose sap holds {} and a gate in it", local.port())));
        }
        Ok(found.into_iter().map(|(_, name, chain)| (name, chain)).collect())
    }

    /// The gate whose login shares most literal characters with the one received (OBJ-14); ties: fewer wildcards, name.
    fn gate<'a>(
        &self,
        groups: &[(&'a str, &'a Chain)],
        s: &'a Snapshot,
        why: &mut Why,
    ) -> Result<(&'a Arc<Cgate>, &'a Chain), Refusal> {
        let gates_of = |(name, chain): &(&'a str, &'a Chain)| {
            let gates = s.cgates_by_group.get(*name).map_or(&[][..], Vec::as_slice);
            let chain = *chain;
            gates.iter().map(move |gate| (gate, chain))
        };
        let mut best: Option<(&Arc<Cgate>, &Chain)> = None;
        for (gate, chain) in groups.iter().flat_map(gates_of) {
            if !text_matches(&gate.login, self.login, base::QuestionMark::One) {
                self.nearly(gate, why);
                continue;
            }
            let better = best.is_none_or(|(best, _)| rank(gate) < rank(best));
            let loser = if better { best.replace((gate, chain)).map(|(gate, _)| gate) } else { Some(gate) };
            if let Some(loser) = loser {
                why.no(
                    format!("CGATE {}", loser.name),
                    "fits the login, but another gate shares more of its characters",
                );
            }
        }
        let Some((gate, chain)) = best else {
            let fix = "create a gate whose login_user fits, in one of the groups named";
            let names: Vec<&str> = groups.iter().map(|(name, _)| *name).collect();
            let text = format!("no gate in {} takes the login {:?}", names.join(", "), Shown::from(self.login));
            return Err(Refusal::new(0, text, fix));
        };
        why.yes(format!("CGATE {}", gate.name), format!("its login_user {} fits best", gate.login.as_str()));
        for group in &chain.groups {
            why.yes(format!("CGATE_GROUP {}", group.name), "the gate is in it");
        }
        Ok((gate, chain))
    }

    /// A gate that only differs by case is worth a line.
    fn nearly(&self, gate: &Cgate, why: &mut Why) {
        let lower = base::Pattern::new(gate.login.as_str().to_lowercase());
        if text_matches(&lower, &self.login.to_lowercase(), base::QuestionMark::One) {
            why.no(format!("CGATE {}", gate.name), "nearly fits: the login differs by case");
        } else {
            why.skip();
        }
    }

    fn check_gate(&self, gate: &Cgate, chain: &Chain, why: &mut Why) -> Result<(), Refusal> {
        let name = &gate.name;
        if let Some(wrong) = &gate.broken {
            return Err(Refusal::new(0, format!("gate {name} has an error: {wrong}"), "correct it"));
        }
        if !gate.enabled {
            return Err(Refusal::new(0, format!("gate {name} is disabled"), "enable it"));
        }
        if let Some(wrong) = &chain.broken {
            return Err(Refusal::new(0, format!("gate {name} can't be used: {wrong}"), "correct the gate group"));
        }
        let lists = chain.groups.iter().map(|g| (format!("CGATE_GROUP {}", g.name), &g.shared.calling));
        let lists: Vec<_> = lists.chain([(format!("CGATE {name}"), &gate.shared.calling)]).collect();
        match calling(&lists, self.inbound, why) {
            true => secure::check(gate, self.tls, why),
            false => {
                let text = format!("{} may not call by gate {name}", self.inbound.peer.ip());
                Err(Refusal::new(0, text, format!("add {}:A to a calling_addr list", self.inbound.peer.ip())))
            }
        }
    }

    /// The template's dynamic site, else the static site of this login, else nothing (OBJ-17).
    fn site(&self, gate: &Cgate, chain: &Chain, s: &Snapshot, why: &mut Why) -> Result<SiteBinding, Refusal> {
        let binding = match &chain.template_site {
            Some(template) => self.dynamic(template, s)?,
            None => SiteBinding::Static(self.fixed(gate, s)?),
        };
        let site = binding.site();
        let refuse = |text: &str, fix: &str| Err(Refusal::new(0, format!("site {} {text}", site.name), fix));
        if !site.enabled {
            return refuse("is disabled", "enable it");
        }
        if !site.roles.resp_mode {
            return refuse("does not take calls of its partner: resp_mode is N", "set resp_mode to Y");
        }
        if !site.protocol.eq_ignore_ascii_case(self.protocol) {
            return refuse("speaks another protocol", "name a site of this protocol");
        }
        why.yes(
            format!("SITE {}", site.name),
            match &binding {
                SiteBinding::Static(site) if site.check_login.is_some() => {
                    "its check_login_ident is the login".to_owned()
                }
                SiteBinding::Static(_) => "its name is the login".to_owned(),
                SiteBinding::Dynamic { name, .. } => {
                    format!("template of the dynamic site {}", Shown::from(name.as_str()))
                }
            },
        );
        Ok(binding)
    }

    fn dynamic(&self, template: &str, s: &Snapshot) -> Result<SiteBinding, Refusal> {
        let name = self.expand(template, "template_site")?;
        match s.site(&name) {
            Some(site) if site.template => {
                Ok(SiteBinding::Dynamic { name: format!("$S_{}", self.login), template: Arc::clone(site) })
            }
            Some(_) => Err(Refusal::new(
                0,
                format!("site {name} is no template"),
                "set its template flag to Y, or name another",
            )),
            None => {
                Err(Refusal::new(0, format!("the template site {name} does not exist"), "create it, or name another"))
            }
        }
    }

    fn fixed(&self, gate: &Cgate, s: &Snapshot) -> Result<Arc<RemoteSite>, Refusal> {
        let by_name = || s.site(self.login).filter(|site| site.check_login.is_none() && !site.template);
        match s.sites_of_login(self.login) {
            [site] => Ok(Arc::clone(site)),
            [] => by_name().cloned().ok_or_else(|| {
                let text =
                    format!("gate {} fits, but no site matches the login and its groups have no template", gate.name);
                Refusal::new(0, text, "give a site this check_login_ident or name, or set template_site on the group")
            }),
            [first, second, ..] => {
                let text = format!("sites {} and {} have the same check_login_ident", first.name, second.name);
                Err(Refusal::new(0, text, "leave it to one of them"))
            }
        }
    }

    /// What gate, groups and site say together (objects.md 7.1: O nearest the root wins, A all are added).
    fn merge<'a>(&self, gate: &'a Arc<Cgate>, chain: &'a Chain, site: SiteBinding) -> Result<GateMatch<'a>, Refusal> {
        let shared = || chain.groups.iter().map(|g| &g.shared).chain([&gate.shared]);
        let root = shared().find_map(|shared| shared.root_dir.as_deref()).unwrap_or("/");
        let root_dir = self.folder(root, "root_dir")?;
        let home_dir = match shared().find_map(|shared| shared.home_dir.as_deref()) {
            Some(home) => self.folder(home, "home_dir")?,
            None => root_dir.clone(),
        };
        if !within(&home_dir, &root_dir) {
            let text = format!("home_dir {home_dir} lies outside of root_dir {root_dir}");
            return Err(Refusal::new(0, text, "choose one below the other"));
        }
        let (keys, key_group) = keys(gate, &site);
        let gate_max = shared().find_map(|shared| shared.max_upload_octets).filter(|max| *max > 0);
        Ok(GateMatch {
            rights: shared().flat_map(|shared| shared.rights.iter().cloned()).collect(),
            groups: chain.groups.iter().collect(),
            login: self.login.to_owned(),
            has_password: gate.has_password,
            by_certificate: gate.tls.certificate_login,
            rates: TransferRates::merged(shared().map(|shared| &shared.rates), &site.site().rates),
            max_upload_octets: [gate_max, site.site().max_upload_octets].into_iter().flatten().min(),
            settle_s: gate.settle_s,
            route_remote_agent: gate
                .route_remote_agent
                .as_deref()
                .map(|t| self.expand(t, "route_remote_agent"))
                .transpose()?,
            root_dir,
            home_dir,
            keys,
            key_group,
            site,
            gate,
        })
    }

    /// A folder with its variables replaced; a login can't climb out of it.
    fn folder(&self, text: &str, field: &str) -> Result<String, Refusal> {
        let path = self.expand(text, field)?;
        let climbs = text.contains("$(") && (self.login.contains(['/', '\\']) || matches!(self.login, "." | ".."));
        match crate::kinds::folder_path(&path) {
            Ok(()) if !climbs => Ok(path),
            _ => {
                let text = format!("{field} with the login {:?} in it is no folder", Shown::from(self.login));
                Err(Refusal::new(0, text, "use logins without '/' there, or a fixed folder"))
            }
        }
    }

    fn expand(&self, text: &str, field: &str) -> Result<String, Refusal> {
        let expanded = variables::expand_login(text, self.protocol, self.login, self.inbound.local.port());
        expanded.map_err(|wrong| Refusal::new(0, format!("{field}: {wrong}"), "correct it"))
    }
}

/// Lower is better: literal characters, then wildcards, then the name.
fn rank(gate: &Cgate) -> (std::cmp::Reverse<usize>, usize, &str) {
    let literals = gate.login.literals();
    (std::cmp::Reverse(literals), gate.login.as_str().chars().count() - literals, &gate.name)
}

/// Keys and group: the site's, else the gate's (SSH-15). Of a dynamic site the gate comes first: its template serves many
/// logins, so a key there would open all of them.
fn keys(gate: &Cgate, site: &SiteBinding) -> (Vec<Alias>, Option<String>) {
    let template = site.site();
    let (first, second) = match site {
        SiteBinding::Static(site) => (&site.public_keys, &gate.public_keys),
        SiteBinding::Dynamic { .. } => (&gate.public_keys, &template.public_keys),
    };
    let group = match site {
        SiteBinding::Static(site) => site.public_key_group.as_ref().or(gate.public_key_group.as_ref()),
        SiteBinding::Dynamic { .. } => gate.public_key_group.as_ref().or(template.public_key_group.as_ref()),
    };
    (if first.is_empty() { second.clone() } else { first.clone() }, group.cloned())
}

/// Whether the caller's address may call. Of the lists, the root's first, the first with an entry that fits decides, in it
/// the most specific entry (OBJ-15). If none fits: allowed unless some list names who is allowed.
fn calling(lists: &[(String, &Vec<CallingRule>)], inbound: &Inbound, why: &mut Why) -> bool {
    let caller = inbound.peer.ip();
    for (object, list) in lists {
        let fitting = list.iter().filter(|rule| rule.address.matches(caller));
        // Of two entries alike the one that denies counts.
        if let Some(rule) = fitting.max_by_key(|rule| (rule.address.weight(), !rule.allow)) {
            match rule.allow {
                true => why.yes(object.clone(), format!("its calling_addr {} allows {caller}", rule.text)),
                false => why.no(object.clone(), format!("its calling_addr {} denies {caller}", rule.text)),
            }
            return rule.allow;
        }
    }
    let named = lists.iter().find(|(_, list)| list.iter().any(|rule| rule.allow));
    if let Some((object, _)) = named {
        why.no(object.clone(), format!("its calling_addr does not name {caller}"));
    }
    named.is_none()
}

#[cfg(test)]
mod tests;
