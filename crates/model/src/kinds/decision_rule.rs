//! When a model is applied: conditions on a transfer (objects.md section 10.2).

use std::cmp::Ordering;

use base::ObjectId;

use crate::field::{COMMENTS, Field, FieldKind, NameRule, ObjectDescriptor};
use crate::glob;
use crate::object::Kind;
use crate::read::{Meant, Reader};
use crate::route::RouteFacts;
use crate::variables::{self, Argument};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::DecisionRule,
    title: "decision rule",
    about: "Conditions on a transfer, and the model that makes the next one.",
    name_field: Field::text("name", 26, "name of the rule").shorts(&["n"]).required(),
    name_rule: NameRule::Word { max: 26 },
    fields: &[
        Field::new("conditions", FieldKind::List { max: 32, choices: None }, "argument operator value; all must hold")
            .shorts(&["cond"])
            .separators(";\n")
            .detail(
                "operators: = # < > =< >= '= NULL' '# NULL' <> (in list a,b) >< (not in list) [] (from,to) ][ (outside); = and # \
                 take * and ?; each argument at most once; a value may hold &(variable)",
            ),
        Field::choice("action", &["MODEL", "NONE"], "what is done").shorts(&["ac"]).default("MODEL"),
        Field::new("model", FieldKind::Ref(Kind::TransferModel), "model of the new transfer").shorts(&["mod"]),
        Field::flag("link_transfers", "Y", "each transfer shows the other").shorts(&["lt"]),
        Field::int("loop_max", (0, 16), "", "how often the rule may act in one chain of transfers").default("1").detail(
            "OBJ-29: a transfer that the rule caused, directly or not, counts; 0 switches the rule off",
        ),
        COMMENTS,
    ],
    group_field: None,
    state_field: None,
    summary: &["conditions", "action", "model"],
};

/// What a rule does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RuleAction {
    /// Makes a transfer by this model.
    Model(String),
    /// Nothing; the search ends.
    None,
}

/// How a condition compares.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operator {
    /// Equal; texts may be patterns.
    Equal,
    /// Not equal; texts may be patterns.
    NotEqual,
    /// Less.
    Less,
    /// Greater.
    Greater,
    /// At most.
    AtMost,
    /// At least.
    AtLeast,
    /// Empty.
    Null,
    /// Not empty.
    NotNull,
    /// One of a list.
    In,
    /// None of a list.
    NotIn,
    /// From the first to the second value, both included.
    Between,
    /// Outside of that.
    Outside,
}

impl Operator {
    /// As it is written.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "#",
            Self::Less => "<",
            Self::Greater => ">",
            Self::AtMost => "=<",
            Self::AtLeast => ">=",
            Self::Null => "= NULL",
            Self::NotNull => "# NULL",
            Self::In => "<>",
            Self::NotIn => "><",
            Self::Between => "[]",
            Self::Outside => "][",
        }
    }
}

/// One condition of a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    /// What of the transfer is looked at.
    pub argument: &'static str,
    /// How it is compared.
    pub operator: Operator,
    /// With what: one value, a list, or two ends; may hold variables.
    pub values: Vec<String>,
}

/// When a model is applied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DecisionRule {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// What is done.
    pub action: RuleAction,
    /// Both transfers are linked.
    pub link: bool,
    /// How often it may act in one chain of transfers.
    pub loop_max: u8,
    /// Free text.
    pub comments: String,
}

impl Meant for DecisionRule {
    fn read(r: &mut Reader<'_>) -> Self {
        let conditions = conditions(r);
        let model = r.text("model");
        let is_model = r.choice("action", &[("MODEL", true), ("NONE", false)], true);
        let action = match (is_model, model) {
            (true, Some(model)) => RuleAction::Model(model),
            (true, None) => {
                r.error("model", "the action MODEL needs a model", "name one, or set the action to NONE");
                RuleAction::None
            }
            (false, _) => RuleAction::None,
        };
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            conditions,
            action,
            link: r.flag("link_transfers"),
            loop_max: r.int("loop_max"),
            comments: r.text_or_empty("comments"),
        }
    }
}

fn conditions(r: &mut Reader<'_>) -> Vec<Condition> {
    let mut found: Vec<Condition> = Vec::new();
    for text in r.list("conditions") {
        match Condition::parse(&text) {
            Ok(condition) if found.iter().any(|c| c.argument == condition.argument) => {
                r.error("conditions", format!("{} is used twice", condition.argument), "use each argument once");
            }
            Ok(condition) => found.push(condition),
            Err(wrong) => {
                r.error("conditions", wrong, "write it as argument operator value, such as file_name = *.xml")
            }
        }
    }
    found
}

/// Operators as written, longer ones before those they begin with.
static OPERATORS: &[Operator] = {
    use Operator as O;
    &[
        O::Null,
        O::NotNull,
        O::AtMost,
        O::AtLeast,
        O::In,
        O::NotIn,
        O::Between,
        O::Outside,
        O::Equal,
        O::NotEqual,
        O::Less,
        O::Greater,
    ]
};

impl Condition {
    /// Reads `argument operator value`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let name_end =
            text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(name_end).unwrap_or((text, ""));
        let Some(argument) = variables::argument(name) else {
            return Err(format!("{name:?} is no argument: use one of {}", variables::names()));
        };
        let rest = rest.trim();
        let Some((operator, value)) = OPERATORS.iter().find_map(|o| Some((o.clone(), strip_operator(rest, o)?))) else {
            return Err(format!("{text:?} has no operator: use one of = # < > =< >= <> >< [] ]["));
        };
        let values = values(&operator, value)?;
        for value in &values {
            variables::check(value)?;
            let number = argument.number && !variables::has_variables(value) && !is_wild(&operator, value);
            if number && value.parse::<i64>().is_err() {
                return Err(format!("{} is a number, {value:?} is none", argument.name));
            }
        }
        Ok(Self { argument: argument.name, operator, values })
    }
}

fn is_wild(operator: &Operator, value: &str) -> bool {
    matches!(operator, Operator::Equal | Operator::NotEqual) && value.contains(['*', '?'])
}

/// What follows `operator` in `text`; `= NULL` takes the whole text.
fn strip_operator<'t>(text: &'t str, operator: &Operator) -> Option<&'t str> {
    if let Operator::Null | Operator::NotNull = operator {
        let rest = text.strip_prefix(if *operator == Operator::Null { '=' } else { '#' })?;
        return rest.trim().eq_ignore_ascii_case("NULL").then_some("");
    }
    text.strip_prefix(operator.as_str()).map(str::trim)
}

fn values(operator: &Operator, text: &str) -> Result<Vec<String>, String> {
    let parts: Vec<String> = match operator {
        Operator::Null | Operator::NotNull => return Ok(Vec::new()),
        Operator::In | Operator::NotIn | Operator::Between | Operator::Outside => {
            text.trim_matches(['(', ')']).split(',').map(|part| part.trim().to_owned()).collect()
        }
        _ => vec![text.to_owned()],
    };
    match operator {
        Operator::Between | Operator::Outside if parts.len() != 2 => {
            Err(format!("{} needs two values, such as 10,20", operator.as_str()))
        }
        _ if parts.iter().any(String::is_empty) => Err(format!("{} needs a value", operator.as_str())),
        _ => Ok(parts),
    }
}

impl Condition {
    /// Whether it holds for a transfer.
    ///
    /// # Errors
    /// What keeps it from being compared, such as a value with a variable that is no number.
    pub fn holds(&self, facts: &RouteFacts) -> Result<bool, String> {
        use Operator as O;
        let argument = variables::argument(self.argument).ok_or_else(|| format!("{} is no argument", self.argument))?;
        let value = argument.value(facts);
        Ok(match self.operator {
            O::Null => value.is_empty(),
            O::NotNull => !value.is_empty(),
            O::Equal => self.equal(&value, facts)?,
            O::NotEqual => !self.equal(&value, facts)?,
            O::In => self.compare(argument, &value, facts)?.contains(&Ordering::Equal),
            O::NotIn => !self.compare(argument, &value, facts)?.contains(&Ordering::Equal),
            O::Less => self.compare(argument, &value, facts)?.iter().all(|o| o.is_lt()),
            O::Greater => self.compare(argument, &value, facts)?.iter().all(|o| o.is_gt()),
            O::AtMost => self.compare(argument, &value, facts)?.iter().all(|o| o.is_le()),
            O::AtLeast => self.compare(argument, &value, facts)?.iter().all(|o| o.is_ge()),
            O::Between => self.between(argument, &value, facts)?,
            O::Outside => !self.between(argument, &value, facts)?,
        })
    }

    fn equal(&self, value: &str, facts: &RouteFacts) -> Result<bool, String> {
        let wanted = self.values.first().map_or("", String::as_str);
        Ok(glob::fits(&variables::expand_with(wanted, facts, glob::escape)?, value))
    }

    fn between(&self, argument: &Argument, value: &str, facts: &RouteFacts) -> Result<bool, String> {
        let ends = self.compare(argument, value, facts)?;
        Ok(matches!(ends.as_slice(), [low, high] if low.is_ge() && high.is_le()))
    }

    /// How `value` stands to each value of the condition: as numbers if the argument is one, else as text.
    fn compare(&self, argument: &Argument, value: &str, facts: &RouteFacts) -> Result<Vec<Ordering>, String> {
        let number = |text: &str| text.trim().parse::<i128>().map_err(|_| format!("{text:?} is no number"));
        let one = |wanted: &String| {
            let wanted = variables::expand(wanted, facts)?;
            if argument.number { Ok(number(value)?.cmp(&number(&wanted)?)) } else { Ok(value.cmp(&wanted)) }
        };
        self.values.iter().map(one).collect()
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.argument, self.operator.as_str(), self.values.join(","))
    }
}
