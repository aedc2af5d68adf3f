//! Every event that a webhook can ask for: its type as told to others, and the code under which it is stored.

/// One type of event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventType {
    /// As webhooks name it; with [`EVENT_TYPE_PREFIX`] before it the type of the CloudEvent.
    pub name: &'static str,
    /// As stored: for changes of a transfer `S` or `R` with the letter of a state, else the name.
    pub code: &'static str,
    /// What it tells.
    pub about: &'static str,
}

/// What stands before the name in a CloudEvent.
pub const EVENT_TYPE_PREFIX: &str = "gatehouse.";

const fn event(name: &'static str, code: &'static str, about: &'static str) -> EventType {
    EventType { name, code, about }
}

const fn other(name: &'static str, about: &'static str) -> EventType {
    EventType { name, code: name, about }
}

/// Every type, in the order of the manual.
pub const EVENT_TYPES: &[EventType] = &[
    event("transfer.created", "ST", "an incoming transfer has a record, before data"),
    event("transfer.frozen", "SF", "it waits until an operator restarts it"),
    event("transfer.delayed", "SD", "its start date is in the future"),
    event("transfer.to_sign", "SG", "it waits for a signature"),
    event("transfer.to_begin", "SB", "it is ready to be sent or fetched"),
    event("transfer.to_restart", "SR", "a try failed, it will be tried again"),
    event("transfer.processing", "SP", "it runs on a connection that we opened"),
    event("transfer.servicing", "SV", "it runs on a connection that the partner opened"),
    event("transfer.suspended", "SS", "it waits for a person"),
    event("transfer.interrupted", "SI", "the connection was lost, the partner may resume"),
    event("transfer.ended", "SE", "the file is whole: received, or delivered"),
    event("transfer.ended_to_ack", "SW", "whole, an acknowledgement is waited for"),
    event("transfer.acknowledged", "SA", "acknowledged"),
    event("transfer.refused_by_user", "SU", "negative acknowledgement of a user"),
    event("transfer.refused_by_gateway", "SX", "negative acknowledgement of a gateway"),
    event("transfer.cancelled", "SC", "cancelled by a person, a date or a fatal code"),
    event("transfer.deleted", "SZ", "an interrupted reception was removed"),
    event("transfer.routed", "RR", "a received file got its outgoing transfers"),
    event("transfer.not_routed", "RN", "no rule fits a received file; it is kept"),
    event("transfer.route_failed", "RF", "a received file could not be routed; it is kept"),
    event("transfer.route_acknowledged", "RA", "the forwarded transfer was acknowledged"),
    other("site.failed", "no connection to a partner"),
    other("site.switched", "a site was started or stopped"),
    other("login.accepted", "a partner is in"),
    other("login.refused", "a login was refused"),
    other("tls.refused", "a TLS handshake was refused"),
    other("tls.unfit", "a partner's TLS session is not as its site asks for"),
    other("login.blocked", "a login is blocked for a while"),
    other("key.captured", "an unknown key was stored in quarantine"),
    other("key.changed", "a known partner shows another key than its own"),
    other("key.captures_full", "captures are at their cap"),
    other("config.changed", "a new configuration is in use"),
    other("alarm.opened", "something needs a person"),
    other("alarm.closed", "that is over"),
    other("outbox.dropped", "events were dropped, since too many waited"),
    other("webhook.test", "a sample, sent by `webhook test`"),
];

/// The types that `pattern` names, with `*` for any run of characters.
pub fn event_types(pattern: &str) -> impl Iterator<Item = &'static EventType> {
    let pattern = base::Pattern::new(pattern);
    EVENT_TYPES.iter().filter(move |one| pattern.matches(one.name, base::QuestionMark::One))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_codes_are_unique_and_patterns_find_them() {
        let names: BTreeSet<_> = EVENT_TYPES.iter().map(|one| one.name).collect();
        let codes: BTreeSet<_> = EVENT_TYPES.iter().map(|one| one.code).collect();
        assert_eq!((names.len(), codes.len()), (EVENT_TYPES.len(), EVENT_TYPES.len()));
        assert_eq!(event_types("*").count(), EVENT_TYPES.len());
        assert_eq!(event_types("transfer.route*").count(), 3);
        assert_eq!(event_types("transfer.ended").map(|one| one.code).collect::<Vec<_>>(), ["SE"]);
        assert_eq!(event_types("transfer").count(), 0);
    }
}
