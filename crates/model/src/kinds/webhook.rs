//! A web server that is told of events (connected-systems.md 2; docs/decisions/0015).

use std::time::Duration;

use base::ObjectId;

use crate::event_types::event_types;
use crate::field::{COMMENTS, Field, FieldKind, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};
use crate::web_address::{WEB_ADDRESS_OCTETS_MAX, WebAddress};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::Webhook,
    title: "webhook",
    about: "A web server that is told of events.",
    name_field: Field::text("name", 31, "name of the webhook").shorts(&["n"]).required(),
    name_rule: NameRule::Word { max: 31 },
    fields: &[
        Field::text("url", 1023, "where events are posted to, as https://HOST/PATH").shorts(&["u"]).required(),
        Field::new("events", FieldKind::List { max: 32, choices: None }, "types of events, with * for any characters")
            .shorts(&["e"])
            .default("transfer.ended transfer.suspended transfer.cancelled alarm.*"),
        Field::new("secret", FieldKind::Secret { max: 127 }, "whsec_ and 24 to 64 octets in base64; signs every event")
            .detail("none given: a new one is made and shown once"),
        Field::new("old_secret", FieldKind::Secret { max: 127 }, "the secret before, which signs as well for a while"),
        Field::new("authorization", FieldKind::Secret { max: 1023 }, "value of the Authorization header"),
        Field::new(
            "headers",
            FieldKind::List { max: 16, choices: None },
            "further headers, as NAME: VALUE; NAME: VALUE",
        )
        .separators(";")
        .detail("they are no secrets: an export shows them"),
        Field::int("timeout_s", (1, 60), "seconds", "longest wait for an answer").shorts(&["to"]).default("10"),
        Field::int("tries_max", (1, 100), "", "tries of one event; then it is parked and an alarm is raised")
            .shorts(&["tm"])
            .default("20"),
        Field::text("ca_file", 1023, "certificates of authorities that it is verified against, as PEM")
            .detail("none: those of the system"),
        Field::flag("allow_private", "N", "it may be in a private network").detail(
            "loopback, 10/8, 172.16/12, 192.168/16, link-local, fc00::/7 and the like; where the address itself names \
                     this machine, as http://127.0.0.1:8080, no switch is needed",
        ),
        Field::flag("allow_http", "N", "without TLS, also to other machines"),
        COMMENTS,
    ],
    group_field: None,
    state_field: Some(STATE),
    summary: &["state", "url", "events"],
};

/// Headers that we set ourselves.
const OWN_HEADERS: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// A web server that is told of events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Where events go.
    pub address: WebAddress,
    /// Patterns of types.
    pub events: Vec<String>,
    /// Whether a secret is set.
    pub has_secret: bool,
    /// Whether the one before signs as well.
    pub has_old_secret: bool,
    /// Whether an Authorization header is set.
    pub has_authorization: bool,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Tries of one event.
    pub tries_max: u32,
    /// File of authorities; the system's where none is given.
    pub ca_file: Option<String>,
    /// It may be in a private network.
    pub allow_private: bool,
    /// Free text.
    pub comments: String,
    /// Whether it is told.
    pub enabled: bool,
}

impl Webhook {
    /// Codes of the events that it wants.
    pub fn codes(&self) -> impl Iterator<Item = &'static str> {
        self.events.iter().flat_map(|pattern| event_types(pattern)).map(|one| one.code)
    }
}

impl Meant for Webhook {
    fn read(r: &mut Reader<'_>) -> Self {
        let events = r.list("events");
        for pattern in &events {
            if event_types(pattern).next().is_none() {
                r.error("events", format!("{pattern:?} names no event"), "see `gatehouse webhook events`");
            }
        }
        let (timeout_s, tries_max) = (r.int("timeout_s"), r.int("tries_max"));
        let allow_http = r.flag("allow_http");
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            address: address(r, allow_http),
            events,
            has_secret: r.secret("secret"),
            has_old_secret: r.secret("old_secret"),
            has_authorization: r.secret("authorization"),
            headers: headers(r),
            timeout: Duration::from_secs(timeout_s),
            tries_max,
            ca_file: r.text("ca_file"),
            allow_private: r.flag("allow_private"),
            comments: r.text_or_empty("comments"),
            enabled: r.enabled(),
        }
    }
}

fn address(r: &mut Reader<'_>, allow_http: bool) -> WebAddress {
    let text = r.text_or_empty("url");
    let read =
        WebAddress::parse(&text).and_then(|address| match address.secure || allow_http || address.is_loopback() {
            true => Ok(address),
            false => Err("without TLS whoever is on the way reads and alters events".to_owned()),
        });
    read.unwrap_or_else(|wrong| {
        let fix = format!("give https://HOST/PATH of at most {WEB_ADDRESS_OCTETS_MAX} octets, or set allow_http");
        r.error("url", wrong, fix);
        WebAddress { secure: true, host: String::new(), port: 443, path: "/".to_owned() }
    })
}

fn headers(r: &mut Reader<'_>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for text in r.list("headers") {
        match header(&text) {
            Ok(header) => all.push(header),
            Err(wrong) => r.error("headers", wrong, "give NAME: VALUE; a secret belongs into authorization"),
        }
    }
    all
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("{text:?} has no colon"))?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        return Err(format!("{name:?} is no name of a header"));
    }
    if OWN_HEADERS.contains(&name.as_str()) || name.starts_with("webhook-") {
        return Err(format!("{name} is set by the gateway"));
    }
    match value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        true => Ok((name, value.to_owned())),
        false => Err(format!("the value of {name} has characters outside ASCII")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;
    use crate::testing::raw;

    fn hook(values: &[(&str, &str)]) -> crate::Object {
        raw(Kind::Webhook, "W", values.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect())
    }

    fn problems(values: &[(&str, &str)]) -> Vec<String> {
        let (_, problems) = read::<Webhook>(&hook(values));
        problems.into_iter().map(|p| format!("{}: {}", p.field, p.text)).collect()
    }

    #[test]
    fn a_webhook_goes_over_tls_or_to_this_machine() {
        for (url, switch, good) in [
            ("https://example.org/hook", "N", true),
            ("http://example.org/hook", "N", false),
            ("http://example.org/hook", "Y", true),
            ("http://127.0.0.1:9000/", "N", true),
            ("http://localhost:9000/", "N", true),
            ("ftp://example.org", "Y", false),
        ] {
            assert_eq!(problems(&[("url", url), ("allow_http", switch)]).is_empty(), good, "{url}");
        }
    }

    #[test]
    fn events_and_headers_are_checked() {
        let url = ("url", "https://example.org");
        assert_eq!(problems(&[url, ("events", "transfer.*,nothing.*")]), ["events: \"nothing.*\" names no event"]);
        for (text, found) in
            [("X-A: 1; X-B: 2", 0), ("Host: x", 1), ("Webhook-Id: 1", 1), ("novalue", 1), ("x y: 1", 1)]
        {
            assert_eq!(problems(&[url, ("headers", text)]).len(), found, "{text}");
        }
        let (read, _) = read::<Webhook>(&hook(&[url, ("events", "transfer.ended alarm.*")]));
        assert_eq!(read.codes().collect::<Vec<_>>(), ["SE", "alarm.opened", "alarm.closed"]);
    }
}
