//! Where a received file goes next (transfers.md section 5, objects.md section 10).

use base::{ObjectId, TransferId};

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
            model.file_name.as_deref().or(of_application(|a| &a.remote_file_name)).unwrap_or("&(file_name)");
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
            file_name: self.file_name("&(file_name)", &origin.object)?,
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
        if site.addresses.is_empty() {
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
mod tests {
    use super::*;
    use crate::object::Object;
    use crate::testing::{disabled, object, with_profiles};
    use proptest::prelude::*;

    fn site(name: &str, more: &[(&str, &str)]) -> Object {
        let mut fields = vec![("dest_address", "192.0.2.9/22"), ("login_ident", "gw")];
        fields.extend(more);
        object(Kind::RemoteSite, name, &fields)
    }

    fn rule(name: &str, conditions: &str, more: &[(&str, &str)]) -> Object {
        let mut fields = vec![("conditions", conditions)];
        fields.extend(more);
        if more.iter().all(|(field, _)| *field != "action" && *field != "model") {
            fields.push(("model", "M"));
        }
        object(Kind::DecisionRule, name, &fields)
    }

    fn model(name: &str, more: &[(&str, &str)]) -> Object {
        let mut fields = vec![("dest_alias", "B")];
        if more.iter().any(|(field, _)| *field == "dest_alias") {
            fields.clear();
        }
        fields.extend(more);
        object(Kind::TransferModel, name, &fields)
    }

    fn table(name: &str, rules: &str, more: &[(&str, &str)]) -> Object {
        let mut fields = vec![("rules", rules)];
        fields.extend(more);
        object(Kind::RuleTable, name, &fields)
    }

    fn facts() -> RouteFacts {
        RouteFacts {
            transfer: TransferId(77),
            site: "A".into(),
            gate: "GA".into(),
            login: "alice".into(),
            dir_name: "/in/alice".into(),
            file_name: "order.xml".into(),
            appli: "FTP_B".into(),
            size: 1500,
            ..RouteFacts::default()
        }
    }

    fn sites_of(facts: &RouteFacts, objects: Vec<Object>) -> Result<Vec<String>, String> {
        let s = with_profiles(objects);
        let result = routes_for(facts, &s).result;
        result.map(|list| list.into_iter().map(|d| d.site).collect()).map_err(|refusal| refusal.text)
    }

    #[test]
    fn every_operator() {
        // OBJ-28
        for (condition, holds) in [
            ("file_name = order.xml", true),
            ("file_name = *.xml", true),
            ("file_name = *.XML", false),
            ("file_name = [a-p]rder.xml", true),
            ("file_name = &(uppercase(login))*", false),
            ("file_name # *.xml", false),
            ("file_name # *.edi", true),
            ("x.file_name = order.???", true),
            ("dir_path = /in/&(login)", true),
            ("dir_name = /in/*", true),
            ("file_size = 1500", true),
            ("file_size # 1500", false),
            ("size < 1500", false),
            ("size =< 1500", true),
            ("size > 999", true), // as a number: as text it would be less
            ("size >= 1501", false),
            ("size [] 1000,1500", true),
            ("size [] 1501,2000", false),
            ("size ][ 1000,1500", false),
            ("size ][ 1,2", true),
            ("size <> 1,1500", true),
            ("size >< 1,1500", false),
            ("login <> alice,bob", true),
            ("login >< alice,bob", false),
            ("login < b", true),
            ("login > b", false),
            ("destination = NULL", true),
            ("destination # NULL", false),
            ("login # NULL", true),
            ("originator = null", true),
            ("protocol = SFTP", true),
            ("direction = O", false),
        ] {
            let objects = vec![site("B", &[]), model("M", &[]), rule("R", condition, &[]), table("T", "R", &[])];
            let expected = if holds { vec!["B".to_owned()] } else { vec![] };
            assert_eq!(sites_of(&facts(), objects), Ok(expected), "{condition}");
        }
    }

    #[test]
    fn a_peers_text_is_no_pattern() {
        let mut facts = facts();
        facts.login = "*".into();
        let objects = |c: &str| vec![site("B", &[]), model("M", &[]), rule("R", c, &[]), table("T", "R", &[])];
        assert_eq!(sites_of(&facts, objects("file_name = &(login)")), Ok(vec![]));
        facts.file_name = "*".into();
        assert_eq!(sites_of(&facts, objects("file_name = &(login)")), Ok(vec!["B".into()]));
    }

    #[test]
    fn bad_conditions_are_refused_when_saved() {
        for (condition, part) in [
            ("colour = red", "no argument"),
            ("file_name", "no operator"),
            ("file_name =", "needs a value"),
            ("size > many", "is a number"),
            ("size [] 1", "two values"),
            ("login = &(nobody)", "not known"),
            ("login = a; login # b", "used twice"),
        ] {
            let body = [("conditions".to_owned(), condition.into()), ("model".to_owned(), "M".into())].into();
            let problems = crate::check_body(Kind::DecisionRule, &body).unwrap_err();
            assert!(problems.iter().any(|p| p.text.contains(part)), "{condition}: {problems:?}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_acts_in_the_order_of_the_list() {
        // OBJ-27
        let objects = |rules: &str| {
            vec![
                site("B", &[]),
                site("C", &[]),
                model("M", &[]),
                model("N", &[("dest_alias", "C")]),
                rule("XML", "file_name = *.xml", &[]),
                rule("ALL", "", &[("model", "N")]),
                rule("STOP", "login = alice", &[("action", "NONE")]),
                table("T", rules, &[("default_model", "N")]),
            ]
        };
        assert_eq!(sites_of(&facts(), objects("XML ALL")), Ok(vec!["B".into()]));
        assert_eq!(sites_of(&facts(), objects("ALL XML")), Ok(vec!["C".into()]));
        assert_eq!(sites_of(&facts(), objects("STOP XML ALL")), Ok(vec![]));
        let other = RouteFacts { file_name: "a.txt".into(), ..facts() };
        assert_eq!(sites_of(&other, objects("XML")), Ok(vec!["C".into()])); // the default
    }

    #[test]
    fn tables_are_limited_and_ordered() {
        let objects =
            |more: &[(&str, &str)]| vec![site("B", &[]), model("M", &[]), rule("R", "", &[]), table("T", "R", more)];
        for (more, acts) in [
            (&[("active", "N")][..], false),
            (&[("state", "ENDED,ENDED_ROUTING")], true),
            (&[("state", "CANCELLED_ROUTING")], false),
            (&[("direction", "O")], false),
            (&[("mode", "r")], true),
            (&[("protocol", "sftp")], true),
            (&[("transfer_type", "TRANS")], true),
        ] {
            assert_eq!(sites_of(&facts(), objects(more)), Ok(if acts { vec!["B".into()] } else { vec![] }), "{more:?}");
        }
        // Several tables each make a transfer, in their order; the same file at the same place only once.
        let objects = vec![
            site("B", &[]),
            site("C", &[]),
            model("M", &[]),
            model("N", &[("dest_alias", "C")]),
            rule("R", "", &[]),
            rule("S", "", &[("model", "N")]),
            table("Z", "S", &[("position", "1")]),
            table("A", "R", &[]),
            table("AGAIN", "R", &[]),
        ];
        assert_eq!(sites_of(&facts(), objects), Ok(vec!["C".into(), "B".into()]));
    }

    #[test]
    fn a_model_says_what_the_new_transfer_looks_like() {
        let s = with_profiles(vec![
            site("B", &[("dir_name", "inbox")]),
            object(Kind::Application, "APP", &[("remote_dir_name", "app"), ("remote_file_name", "APP_&(file_name)")]),
            model(
                "M",
                &[("file_name", "&(originator)&(login)_&(file_name)"), ("priority", "0"), ("param1", "from &(x.site)")],
            ),
            model("N", &[("appli", "APP")]),
            model("O", &[("appli", "APP"), ("dir_name", "&(dir_path)/sub"), ("dest_alias", "&(destination)")]),
            rule("R", "", &[]),
            rule("S", "", &[("model", "N"), ("link_transfers", "N")]),
            rule("V", "", &[("model", "O")]),
            table("T1", "R", &[("position", "1")]),
            table("T2", "S", &[("position", "2")]),
            table("T3", "V", &[("position", "3")]),
        ]);
        let facts = RouteFacts { destination: Some("B".into()), ..facts() };
        let deliveries = routes_for(&facts, &s).result.unwrap();
        let seen: Vec<_> =
            deliveries.iter().map(|d| (d.dir_name.as_str(), d.file_name.as_str(), d.priority, d.link)).collect();
        assert_eq!(
            seen,
            [
                ("inbox", "alice_order.xml", 0, true),
                ("app", "APP_order.xml", 1, false),
                ("/in/alice/sub", "APP_order.xml", 1, true)
            ]
        );
        assert_eq!(deliveries[0].parameters[0], "from A");
        assert_eq!((deliveries[0].rule.as_str(), deliveries[0].appli.as_deref()), ("DECISION_RULE R", None));
    }

    #[test]
    fn without_a_rule_gate_folder_site_and_protocol_are_asked_in_turn() {
        // transfers.md section 5
        let all = || {
            vec![
                object(
                    Kind::Cgate,
                    "GA",
                    &[("cgategroup", "G"), ("login_user", "alice"), ("route_remote_agent", "TO_$(LOGIN_USER)")],
                ),
                object(Kind::VfdDir, "/in/alice", &[("route_remote_agent", "BY_DIR")]),
                object(Kind::RemoteSite, "A", &[("route_remote_agent", "BY_SITE")]),
                site("TO_alice", &[]),
                site("BY_DIR", &[]),
                site("BY_SITE", &[]),
                site("BY_WIRE", &[]),
            ]
        };
        let facts = RouteFacts { destination: Some("BY_WIRE".into()), ..facts() };
        let mut objects = all();
        for expected in ["TO_alice", "BY_DIR", "BY_SITE", "BY_WIRE"] {
            assert_eq!(sites_of(&facts, objects.clone()), Ok(vec![expected.to_owned()]));
            objects.remove(0);
        }
        assert_eq!(sites_of(&RouteFacts { destination: None, ..facts }, objects), Ok(vec![]));
    }

    #[test]
    fn what_cannot_be_delivered_is_refused_with_its_reason() {
        // TRF-14, transfers.md section 5, OBJ-9
        let with = |more: Vec<Object>| {
            let mut objects = vec![model("M", &[]), rule("R", "", &[]), table("T", "R", &[])];
            objects.extend(more);
            sites_of(&facts(), objects)
        };
        let other_group = |mut o: Object| {
            o.group = "OTHER".into();
            o
        };
        for (more, part) in [
            (vec![], "site B does not exist"),
            (vec![object(Kind::LocalSite, "B", &[])], "gateway itself"),
            (vec![object(Kind::RemoteSite, "B", &[("template", "Y")])], "template"),
            (vec![object(Kind::RemoteSite, "B", &[])], "no address"),
            (vec![site("B", &[("init_sender", "N")])], "reason 9"),
            (vec![site("B", &[]), table("T0", "GONE", &[("position", "1")])], "DECISION_RULE GONE"),
            (
                vec![site("B", &[]), rule("R0", "", &[("model", "GONE")]), table("T0", "R0", &[("position", "1")])],
                "MODEL GONE",
            ),
            (
                vec![
                    site("B", &[]),
                    model("N", &[("appli", "APP")]),
                    other_group(object(Kind::Application, "APP", &[])),
                    rule("R0", "", &[("model", "N")]),
                    table("T0", "R0", &[("position", "1")]),
                ],
                "group OTHER",
            ),
            (
                vec![
                    site("B", &[]),
                    model("N", &[("file_name", "&(dir_name)")]),
                    rule("R0", "", &[("model", "N")]),
                    table("T0", "R0", &[("position", "1")]),
                ],
                "no file name",
            ),
        ] {
            let text = with(more).unwrap_err();
            assert!(text.contains(part), "{part}: {text}");
        }
        let back = RouteFacts { site: "B".into(), ..facts() };
        let objects = vec![site("B", &[]), model("M", &[]), rule("R", "", &[]), table("T", "R", &[])];
        assert!(sites_of(&back, objects).unwrap_err().contains("back there"));
    }

    #[test]
    fn a_disabled_site_still_gets_its_transfer_which_waits() {
        let objects = vec![disabled(site("B", &[])), model("M", &[]), rule("R", "", &[]), table("T", "R", &[])];
        assert_eq!(sites_of(&facts(), objects), Ok(vec!["B".into()]));
    }

    #[test]
    fn loops_end() {
        // OBJ-29
        let objects = |max: &str| {
            vec![site("B", &[]), model("M", &[]), rule("R", "", &[("loop_max", max)]), table("T", "R", &[])]
        };
        let id = objects("1")[2].id;
        for (max, acted, acts) in [("1", 0, true), ("1", 1, false), ("3", 2, true), ("3", 3, false), ("0", 0, false)] {
            let facts = RouteFacts { trail: vec![id; acted], depth: 1, ..facts() };
            assert_eq!(
                sites_of(&facts, objects(max)),
                Ok(if acts { vec!["B".into()] } else { vec![] }),
                "{max} {acted}"
            );
        }
        let deep = RouteFacts { depth: ROUTE_DEPTH_MAX, ..facts() };
        assert!(sites_of(&deep, objects("1")).unwrap_err().contains("chain"));
    }

    #[test]
    fn reasons_name_the_condition_that_failed() {
        let s = with_profiles(vec![
            site("B", &[]),
            model("M", &[]),
            rule("R1", "file_name = *.edi", &[]),
            rule("R2", "file_name = *.xml", &[]),
            table("OFF", "R1", &[("active", "N")]),
            table("T", "R1 R2", &[]),
        ]);
        let why: Vec<String> = routes_for(&facts(), &s).why.iter().map(ToString::to_string).collect();
        for (object, part) in [
            ("- RULE_TABLE OFF", "not active"),
            ("- DECISION_RULE R1", "file_name = *.edi does not hold"),
            ("+ DECISION_RULE R2", "every condition holds"),
            ("+ MODEL M", "sends to B"),
        ] {
            assert!(why.iter().any(|line| line.starts_with(object) && line.contains(part)), "{object}: {why:#?}");
        }
    }

    proptest! {
        /// Whatever a partner sends: an answer, never a path in the file name.
        #[test]
        fn routing_is_total(file in any::<String>(), login in any::<String>(), size: u64, pattern in "[a-c*?\\[\\]!-]{1,6}") {
            let condition = format!("file_name # {pattern}");
            let s = with_profiles(vec![
                site("B", &[]),
                model("M", &[("file_name", "&(login)&(file_name)")]),
                rule("R", &condition, &[]),
                table("T", "R", &[]),
            ]);
            let facts = RouteFacts { file_name: file, login, size, ..facts() };
            let decision = routes_for(&facts, &s);
            prop_assert!(!decision.why.is_empty());
            match decision.result {
                Ok(deliveries) => prop_assert!(deliveries.iter().all(|d| !d.file_name.contains('/') && !d.file_name.is_empty())),
                Err(refusal) => prop_assert!(!refusal.fix.is_empty()),
            }
        }
    }
}
