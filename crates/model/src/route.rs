//! Where a received file goes next (transfers.md section 5, objects.md section 10).

use base::{ObjectId, TransferId, UtcMicros};

use crate::decision::{Decision, Refusal, Why};
use crate::kinds::decision_rule::{DecisionRule, RuleAction};
use crate::kinds::remote_site::RemoteSite;
use crate::kinds::rule_table::{RuleTable, TableLimits};
use crate::kinds::transfer_model::TransferModel;
use crate::object::Kind;
use crate::snapshot::Snapshot;
use crate::variables;

/// Deepest chain of transfers that rules make, whatever their own limits (OBJ-29).
pub const ROUTE_DEPTH_MAX: u32 = 16;

/// What routing knows of a transfer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteFacts {
    /// The transfer.
    pub transfer: TransferId,
    /// Its protocol: `SFTP`.
    pub protocol: String,
    /// The partner's site, static or dynamic.
    pub site: String,
    /// The gate it came through; empty for none.
    pub gate: String,
    /// The login it came with; empty for none.
    pub login: String,
    /// Virtual folder it lies in.
    pub dir_name: String,
    /// Its name.
    pub file_name: String,
    /// Its application; empty for none.
    pub appli: String,
    /// Its size in octets.
    pub size: u64,
    /// When its record was made.
    pub at: UtcMicros,
    /// Who sent it, in the protocol's words; empty if not said.
    pub originator: String,
    /// To whom, in the protocol's words.
    pub destination: Option<String>,
    /// State that asks for routing: `ENDED_ROUTING`.
    pub state: String,
    /// `I` incoming or `O` outgoing.
    pub direction: String,
    /// `I` we called or `R` the partner called.
    pub mode: String,
    /// `TRANS`.
    pub transfer_type: String,
    /// How many transfers made by rules lie before this one.
    pub depth: u32,
    /// Rules that made them, oldest first; may be shorter than `depth` if not all are known.
    pub trail: Vec<ObjectId>,
}

impl Default for RouteFacts {
    /// A file of no size that a partner sent.
    fn default() -> Self {
        let empty = String::new;
        Self {
            transfer: TransferId(0),
            protocol: "SFTP".into(),
            site: empty(),
            gate: empty(),
            login: empty(),
            dir_name: empty(),
            file_name: empty(),
            appli: empty(),
            size: 0,
            at: UtcMicros(0),
            originator: empty(),
            destination: None,
            state: "ENDED_ROUTING".into(),
            direction: "I".into(),
            mode: "R".into(),
            transfer_type: "TRANS".into(),
            depth: 0,
            trail: Vec::new(),
        }
    }
}

/// A transfer to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// Site that gets the file: an existing static site.
    pub site: String,
    /// Name at the partner.
    pub file_name: String,
    /// Folder at the partner; empty for the one its login begins in.
    pub dir_name: String,
    /// Application.
    pub appli: Option<String>,
    /// What decided, as `DECISION_RULE TO_B` or `CGATE ACME`.
    pub rule: String,
    /// Number of that object.
    pub rule_object: ObjectId,
    /// 0 high, 1 medium, 2 low.
    pub priority: u8,
    /// Both transfers are linked.
    pub link: bool,
    /// Texts of the user's own.
    pub parameters: [String; 2],
}

/// Where a file goes next: by rule and model, else by its gate, its folder or its site, else as its protocol said.
///
/// In each rule table the first rule that fits acts (OBJ-27); several tables may each make a transfer. A rule with the action
/// NONE that fits ends the search with nothing. Nothing matched is no refusal but an empty list (route state NOT_ROUTED); a
/// refusal means that routing failed and can be tried again (TRF-14).
#[must_use]
pub fn routes_for(facts: &RouteFacts, s: &Snapshot) -> Decision<Vec<Delivery>> {
    let mut why = Why::default();
    let result = Router { facts, s }.routes(&mut why);
    why.decide(result)
}

struct Router<'r> {
    facts: &'r RouteFacts,
    s: &'r Snapshot,
}

/// What decided, and what it says of the new transfer.
struct Origin {
    object: String,
    id: ObjectId,
    link: bool,
}

impl Router<'_> {
    fn routes(&self, why: &mut Why) -> Result<Vec<Delivery>, Refusal> {
        if self.facts.depth >= ROUTE_DEPTH_MAX {
            let text = format!("{} transfers in a chain were made by rules already", self.facts.depth);
            return Err(Refusal::new(0, text, "look for rules that send to each other")); // OBJ-29
        }
        let mut deliveries: Vec<Delivery> = Vec::new();
        let mut decided = false;
        for table in self.s.rule_tables() {
            let Some(outcome) = self.table(table, why)? else { continue };
            decided = true;
            deliveries.extend(outcome.filter(|new| !deliveries.iter().any(|d| same_place(d, new))));
        }
        if decided {
            return Ok(deliveries);
        }
        Ok(self.fallback(why)?.into_iter().collect())
    }

    /// What the table does: nothing, or the action of its first rule that fits, or its default.
    fn table(&self, table: &RuleTable, why: &mut Why) -> Result<Option<Option<Delivery>>, Refusal> {
        let object = format!("RULE_TABLE {}", table.name);
        if !table.active {
            why.no(object, "is not active");
            return Ok(None);
        }
        if let Some(miss) = limits_miss(&table.only, self.facts) {
            why.no(object, miss);
            return Ok(None);
        }
        for name in &table.rules {
            let Some(rule) = self.s.decision_rule(name) else {
                return Err(self.missing(Kind::DecisionRule, name, &object));
            };
            if self.fits(rule, why)? {
                let origin = Origin { object: format!("DECISION_RULE {name}"), id: rule.id, link: rule.link };
                return match &rule.action {
                    RuleAction::Model(model) => self.by_model(model, origin, why).map(|delivery| Some(Some(delivery))),
                    RuleAction::None => Ok(Some(None)),
                };
            }
        }
        match &table.default_model {
            Some(model) => {
                why.yes(object.clone(), "no rule of it fits, so its default_model acts");
                let origin = Origin { object, id: table.id, link: true };
                self.by_model(model, origin, why).map(|delivery| Some(Some(delivery)))
            }
            None => Ok(None),
        }
    }

    fn fits(&self, rule: &DecisionRule, why: &mut Why) -> Result<bool, Refusal> {
        let object = format!("DECISION_RULE {}", rule.name);
        let acted = self.facts.trail.iter().filter(|id| **id == rule.id).count();
        if acted >= usize::from(rule.loop_max) {
            why.no(
                object,
                format!("acted {acted} times in this chain of transfers already; loop_max is {}", rule.loop_max),
            );
            return Ok(false);
        }
        for condition in &rule.conditions {
            let holds = condition.holds(self.facts).map_err(|wrong| {
                Refusal::new(0, format!("{object}: {condition} can't be looked at: {wrong}"), "correct the condition")
            })?;
            if !holds {
                why.no(object, format!("{condition} does not hold"));
                return Ok(false);
            }
        }
        why.yes(object, if rule.conditions.is_empty() { "it has no conditions" } else { "every condition holds" });
        Ok(true)
    }

    fn by_model(&self, name: &str, origin: Origin, why: &mut Why) -> Result<Delivery, Refusal> {
        let Some(model) = self.s.model(name) else {
            return Err(self.missing(Kind::TransferModel, name, &origin.object));
        };
        let site = self.destination(&model.destination, &format!("MODEL {name}"))?;
        let appli = model.appli.as_deref().map(|text| self.expand(text, name)).transpose()?;
        let application = appli.as_deref().map(|appli| self.application(appli, site, name)).transpose()?;
        let of_application =
            |pick: fn(&crate::Application) -> &Option<String>| application.and_then(|a| pick(a).as_deref());
        let file_name =
            model.file_name.as_deref().or(of_application(|a| &a.remote_file_name)).unwrap_or_else(|| name_of(site));
        let dir_name = model.dir_name.as_deref().or(of_application(|a| &a.remote_dir_name)).unwrap_or(&site.dir_name);
        why.yes(format!("MODEL {name}"), format!("sends to {}", site.name));
        Ok(Delivery {
            site: site.name.clone(),
            file_name: self.file_name(file_name, name)?,
            dir_name: self.expand(dir_name, name)?,
            appli,
            rule: origin.object,
            rule_object: origin.id,
            priority: model.priority,
            link: origin.link,
            parameters: self.parameters(model)?,
        })
    }

    fn parameters(&self, model: &TransferModel) -> Result<[String; 2], Refusal> {
        let [first, second] = &model.parameters;
        Ok([self.expand(first, &model.name)?, self.expand(second, &model.name)?])
    }

    /// The application, which must be of the site's group (OBJ-9) and allow files to go out.
    fn application(&self, name: &str, site: &RemoteSite, model: &str) -> Result<&crate::Application, Refusal> {
        let Some(application) = self.s.application(name) else {
            return Err(self.missing(Kind::Application, name, &format!("MODEL {model}")));
        };
        if application.group != site.group {
            let text =
                format!("application {name} is in group {}, site {} in {}", application.group, site.name, site.group);
            return Err(Refusal::new(0, text, "give both the same group"));
        }
        if !application.directions.outgoing() {
            return Err(Refusal::new(
                0,
                format!("application {name} lets no file go out"),
                "set direction_allowed to O or B",
            ));
        }
        Ok(application)
    }

    /// The gate's, the folder's, the site's route_remote_agent, or the destination the protocol gave.
    fn fallback(&self, why: &mut Why) -> Result<Option<Delivery>, Refusal> {
        let RouteFacts { gate, dir_name, site, .. } = self.facts;
        let gate = self.s.cgate(gate).map(|g| (format!("CGATE {}", g.name), g.id, g.route_remote_agent.as_deref()));
        let dir = self.s.vfd(dir_name).map(|d| (format!("VFD_DIR {}", d.path), d.id, d.route_remote_agent.as_deref()));
        let site = self.s.site(site).map(|p| (format!("SITE {}", p.name), p.id, p.route_remote_agent.as_deref()));
        for (object, id, agent) in [gate, dir, site].into_iter().flatten() {
            let Some(agent) = agent else {
                why.no(object, "has no route_remote_agent");
                continue;
            };
            why.yes(object.clone(), format!("its route_remote_agent is {agent}"));
            return self.to_agent(agent, Origin { object, id, link: true }).map(Some);
        }
        match self.facts.destination.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => {
                let object = "the destination that the protocol gave".to_owned();
                why.yes(object.clone(), base::Shown::from(name).to_string());
                let site = self.existing(name, &object)?;
                self.plain(site, Origin { object, id: site.id, link: true }).map(Some)
            }
            None => Ok(None),
        }
    }

    fn to_agent(&self, agent: &str, origin: Origin) -> Result<Delivery, Refusal> {
        let site = self.destination(agent, &origin.object)?;
        self.plain(site, origin)
    }

    fn plain(&self, site: &RemoteSite, origin: Origin) -> Result<Delivery, Refusal> {
        Ok(Delivery {
            site: site.name.clone(),
            file_name: self.file_name(name_of(site), &origin.object)?,
            dir_name: self.expand(&site.dir_name, &site.name)?,
            appli: Some(self.facts.appli.clone()).filter(|appli| !appli.is_empty()),
            rule: origin.object,
            rule_object: origin.id,
            priority: 1,
            link: origin.link,
            parameters: [String::new(), String::new()],
        })
    }

    /// The site that `text` names once its variables are replaced, if a file can be sent to it.
    fn destination(&self, text: &str, object: &str) -> Result<&RemoteSite, Refusal> {
        let RouteFacts { protocol, login, .. } = self.facts;
        let by_login = variables::expand_login(text, protocol, login, 0);
        let name = by_login.and_then(|text| variables::expand(&text, self.facts));
        let name =
            name.map_err(|wrong| Refusal::new(0, format!("{object}: {wrong}"), "correct the name of the site"))?;
        self.existing(&name, object)
    }

    /// The site `name`, if a file can be sent to it (transfers.md section 5).
    fn existing(&self, name: &str, object: &str) -> Result<&RemoteSite, Refusal> {
        let refuse = |text: String, fix: &str| Err(Refusal::new(0, format!("{object}: {text}"), fix));
        let shown = base::Shown::from(name);
        let Some(site) = self.s.site(name) else {
            return match (self.s.local_site(name), self.s.broken(Kind::RemoteSite, name)) {
                _ if name.is_empty() => refuse("the destination is not defined".into(), "name a site"),
                (Some(_), _) => refuse(format!("{shown} is the gateway itself"), "name a partner's site"),
                (None, Some(wrong)) => refuse(format!("site {shown} has an error: {wrong}"), "correct it"),
                (None, None) => refuse(format!("site {shown} does not exist"), "create it, or name another"),
            };
        };
        if site.template {
            return refuse(format!("site {name} is a template"), "name a static site");
        }
        if site.name == self.facts.site {
            return refuse(
                format!("the file came from {name} and would go back there"),
                "name another site, or exclude it by a condition",
            );
        }
        if !site.roles.init_sender {
            return refuse(format!("site {name} lets us not call and send (reason 9)"), "set init_sender to Y");
        }
        if !site.is_reachable() {
            return refuse(format!("site {name} has no address"), "give it a dest_address");
        }
        Ok(site)
    }

    fn expand(&self, text: &str, object: &str) -> Result<String, Refusal> {
        let fix = "correct the model";
        variables::expand(text, self.facts).map_err(|wrong| Refusal::new(0, format!("{object}: {wrong}"), fix))
    }

    /// A name for the file: not empty, one part, at most 255 octets.
    fn file_name(&self, text: &str, object: &str) -> Result<String, Refusal> {
        let name = self.expand(text, object)?;
        let fits =
            !name.contains(['/', '\0']) && !matches!(name.as_str(), "" | "." | "..") && name.len() <= FILE_NAME_MAX;
        if fits {
            return Ok(name);
        }
        let text = format!("{object}: {:?} is no file name", base::Shown::from(name.as_str()));
        Err(Refusal::new(0, text, "let file_name give one of 1 to 255 octets without '/'"))
    }

    fn missing(&self, kind: Kind, name: &str, by: &str) -> Refusal {
        match self.s.broken(kind, name) {
            Some(wrong) => {
                Refusal::new(0, format!("{kind} {name}, named by {by}, has an error: {wrong}"), "correct it")
            }
            None => {
                Refusal::new(0, format!("{kind} {name}, named by {by}, does not exist"), "create it, or name another")
            }
        }
    }
}

/// The pattern of names at a site, where no model and no application gives one.
fn name_of(site: &RemoteSite) -> &str {
    site.name_pattern.as_deref().unwrap_or("&(file_name)")
}

/// Longest file name, in octets (DESIGN 1.19).
const FILE_NAME_MAX: usize = 255;

/// Two transfers that would write the same file.
fn same_place(a: &Delivery, b: &Delivery) -> bool {
    (&a.site, &a.dir_name, &a.file_name) == (&b.site, &b.dir_name, &b.file_name)
}

/// Why a table does not look at the transfer.
fn limits_miss(only: &TableLimits, facts: &RouteFacts) -> Option<String> {
    let limits = [
        ("state", &only.states, &facts.state),
        ("direction", &only.directions, &facts.direction),
        ("mode", &only.modes, &facts.mode),
        ("transfer_type", &only.types, &facts.transfer_type),
        ("protocol", &only.protocols, &facts.protocol),
    ];
    let missed = limits.into_iter().find(|(_, allowed, value)| {
        !allowed.is_empty() && !allowed.iter().any(|word| word.eq_ignore_ascii_case(value))
    });
    missed.map(|(field, allowed, value)| format!("its {field} is {}, the transfer's {value}", allowed.join(",")))
}

#[cfg(test)]
mod tests;
