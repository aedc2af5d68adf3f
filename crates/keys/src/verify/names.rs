//! Name constraints (RFC 5280 sections 4.2.1.10 and 6.1.3), with a bound on their cost.

use std::net::IpAddr;

use super::path::Failure;
use super::policy::NAME_COMPARISONS_MAX;
use crate::certificate::{AltName, Certificate, NameConstraints, Subtree, is_host_pattern, is_mail};

/// The constraints of the authorities from the root down to here.
#[derive(Default)]
pub(super) struct NameCheck {
    authorities: Vec<Certificate>,
    comparisons: usize,
}

impl NameCheck {
    /// From here on the constraints of `authority` hold, too.
    pub(super) fn add(&mut self, authority: &Certificate) {
        if authority.extensions().name_constraints.is_some() {
            self.authorities.push(authority.clone());
        }
    }

    /// Looks at all names of `certificate`.
    pub(super) fn check(&mut self, certificate: &Certificate) -> Result<(), Failure> {
        if self.authorities.is_empty() {
            return Ok(());
        }
        let names = names_of(certificate);
        for authority in &self.authorities {
            let Some(constraints) = &authority.extensions().name_constraints else { continue };
            let trees = constraints.permitted.len() + constraints.excluded.len();
            self.comparisons = self.comparisons.saturating_add(names.len().saturating_mul(trees));
            if self.comparisons > NAME_COMPARISONS_MAX {
                return Err(Failure::TooMuchWork { what: "comparisons of names", max: NAME_COMPARISONS_MAX });
            }
            if let Some(name) = names.iter().find(|name| !is_allowed(name, constraints)) {
                let (name, authority) = (name.to_string(), authority.subject().to_string());
                return Err(Failure::NameConstraint { name, authority });
            }
        }
        Ok(())
    }
}

/// The names of a subject: its distinguished name, its alternative names, and if it has none of these, the mail addresses
/// in its distinguished name.
fn names_of(certificate: &Certificate) -> Vec<AltName> {
    let subject = certificate.subject();
    let mut names = certificate.extensions().alt_names.clone();
    if names.is_empty() {
        names.extend(subject.mail_addresses().map(|address| AltName::Mail(address.to_owned())));
    }
    if !subject.is_empty() {
        names.push(AltName::Directory(subject.clone()));
    }
    names
}

fn is_allowed(name: &AltName, constraints: &NameConstraints) -> bool {
    if is_malformed(name) {
        return false;
    }
    let mut permitted = constraints.permitted.iter().filter(|tree| is_same_form(name, tree)).peekable();
    let in_permitted = permitted.peek().is_none() || permitted.any(|tree| is_within(name, tree));
    in_permitted && !constraints.excluded.iter().any(|tree| is_same_form(name, tree) && may_touch(name, tree))
}

/// A name that breaks the rules of its form can't be told to be inside or outside of anything.
fn is_malformed(name: &AltName) -> bool {
    match name {
        AltName::Malformed(_) => true,
        AltName::Dns(host) => !is_host_pattern(&host.replace('_', "-")),
        AltName::Mail(address) => !is_mail(address),
        _ => false,
    }
}

const fn is_same_form(name: &AltName, tree: &Subtree) -> bool {
    matches!(
        (name, tree),
        (AltName::Dns(_), Subtree::Dns(_))
            | (AltName::Mail(_), Subtree::Mail(_))
            | (AltName::Uri(_), Subtree::Uri(_))
            | (AltName::Ip(_), Subtree::Ip(..))
            | (AltName::Directory(_), Subtree::Directory(_))
            | (AltName::Registered(_) | AltName::Other(_), Subtree::Other(_))
    )
}

/// Whether the name lies in the subtree, all that it can stand for.
fn is_within(name: &AltName, tree: &Subtree) -> bool {
    match (name, tree) {
        (AltName::Dns(name), Subtree::Dns(base)) => {
            let name = name.to_ascii_lowercase();
            is_below(name.strip_prefix("*.").unwrap_or(&name), base)
        }
        (AltName::Mail(address), Subtree::Mail(base)) => is_mail_within(address, base),
        (AltName::Uri(uri), Subtree::Uri(base)) => host_of(uri).is_some_and(|host| is_host_within(&host, base)),
        (AltName::Ip(address), Subtree::Ip(network, mask)) => is_masked(*address, *network, *mask),
        (AltName::Directory(name), Subtree::Directory(base)) => name.is_within(base),
        // What we cannot compare is not inside what is permitted.
        _ => false,
    }
}

/// Whether something that the name can stand for lies in an excluded subtree; for kinds that we cannot compare, always.
fn may_touch(name: &AltName, tree: &Subtree) -> bool {
    match (name, tree) {
        // `*.example.com` stands for `bar.example.com`, too, so a constraint on that touches it.
        (AltName::Dns(name), Subtree::Dns(base)) => {
            let name = name.to_ascii_lowercase();
            let parent = base.split_once('.').map(|(_, parent)| parent);
            let wild = name.strip_prefix("*.");
            is_below(wild.unwrap_or(&name), base) || (wild.is_some() && wild == parent)
        }
        // A URI without a host cannot be told to be outside.
        (AltName::Uri(uri), Subtree::Uri(base)) => host_of(uri).is_none_or(|host| is_host_within(&host, base)),
        (AltName::Registered(_) | AltName::Other(_), _) => true,
        _ => is_within(name, tree),
    }
}

/// `base` itself or a name below it. Both in lower case.
fn is_below(name: &str, base: &str) -> bool {
    base.is_empty() || name == base || name.strip_suffix(base).is_some_and(|rest| rest.ends_with('.'))
}

/// With a leading dot a domain, else one host.
fn is_host_within(host: &str, base: &str) -> bool {
    match base.strip_prefix('.') {
        Some(domain) => host != domain && is_below(host, domain),
        None => base.is_empty() || host == base,
    }
}

fn is_mail_within(address: &str, base: &str) -> bool {
    let Some((mailbox, host)) = address.rsplit_once('@') else { return false };
    let host = host.to_ascii_lowercase();
    match base.rsplit_once('@') {
        Some((own_mailbox, own_host)) => mailbox == own_mailbox && host == own_host,
        None => is_host_within(&host, base),
    }
}

/// The host of a URI, in lower case; `None` for an address or none at all.
fn host_of(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host_port.split_once(':').map_or(host_port, |(host, _)| host);
    let is_name = !host.is_empty() && !host.starts_with('[') && host.parse::<IpAddr>().is_err();
    is_name.then(|| host.to_ascii_lowercase())
}

fn is_masked(address: IpAddr, network: IpAddr, mask: IpAddr) -> bool {
    match (address, network, mask) {
        (IpAddr::V4(a), IpAddr::V4(n), IpAddr::V4(m)) => a.to_bits() & m.to_bits() == n.to_bits() & m.to_bits(),
        (IpAddr::V6(a), IpAddr::V6(n), IpAddr::V6(m)) => a.to_bits() & m.to_bits() == n.to_bits() & m.to_bits(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(name: &str) -> AltName {
        AltName::Dns(name.to_owned())
    }

    // RFC 5280 section 4.2.1.10
    #[test]
    fn subtrees_hold_what_is_in_them() {
        let tree = Subtree::Dns("example.com".to_owned());
        for inside in ["example.com", "a.EXAMPLE.com", "*.example.com"] {
            assert!(is_within(&dns(inside), &tree), "{inside}");
        }
        for outside in ["notexample.com", "com", "example.com.evil.org"] {
            assert!(!is_within(&dns(outside), &tree), "{outside}");
        }
        let mail = |address: &str, base: &str| is_mail_within(address, base);
        assert!(mail("Joe@Example.com", "example.com") && !mail("joe@a.example.com", "example.com"));
        assert!(mail("joe@a.example.com", ".example.com") && !mail("joe@example.com", ".example.com"));
        assert!(mail("joe@EXAMPLE.com", "joe@example.com") && !mail("Joe@example.com", "joe@example.com"));
        assert_eq!(host_of("https://user@Host.example:8443/path@x"), Some("host.example".to_owned()));
        assert_eq!(host_of("urn:a:b"), None);
        assert_eq!(host_of("http://192.0.2.1/"), None);
    }

    #[test]
    fn a_wildcard_stands_for_what_is_excluded() {
        let one = Subtree::Dns("bar.example.com".to_owned());
        assert!(may_touch(&dns("*.example.com"), &one));
        assert!(!may_touch(&dns("foo.example.com"), &one));
        assert!(!may_touch(&dns("*.com"), &one), "a star is one label");
        assert!(!is_within(&dns("*.example.com"), &one));
    }
}
