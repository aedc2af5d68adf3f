//! Alternative names and the subtrees of name constraints (RFC 5280 sections 4.2.1.6 and 4.2.1.10).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base::{hex, octets_text};
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;

use super::error::CertificateError;
use super::name::Name;

/// An alternative name of a subject.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AltName {
    /// A host name, or a pattern of host names.
    Dns(String),
    /// A mail address.
    Mail(String),
    /// A URI.
    Uri(String),
    /// An address.
    Ip(IpAddr),
    /// A distinguished name.
    Directory(Name),
    /// An object identifier.
    Registered(String),
    /// A kind of name that nobody here compares.
    Other(String),
    /// A name that breaks its own rules, and how.
    Malformed(String),
}

impl fmt::Display for AltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| octets_text(text.as_bytes());
        match self {
            Self::Dns(name) => write!(f, "DNS:{}", shown(name)),
            Self::Mail(address) => write!(f, "email:{}", shown(address)),
            Self::Uri(uri) => write!(f, "URI:{}", shown(uri)),
            Self::Ip(address) => write!(f, "IP:{address}"),
            Self::Directory(name) => write!(f, "DirName:{name}"),
            Self::Registered(id) => write!(f, "RegisteredID:{id}"),
            Self::Other(kind) => write!(f, "other name {}", shown(kind)),
            Self::Malformed(why) => write!(f, "malformed: {}", shown(why)),
        }
    }
}

impl AltName {
    pub(super) fn new(name: &GeneralName) -> Result<Self, CertificateError> {
        Ok(match name {
            GeneralName::DnsName(name) => Self::Dns(name.as_str().to_owned()),
            GeneralName::Rfc822Name(address) => Self::Mail(address.as_str().to_owned()),
            GeneralName::UniformResourceIdentifier(uri) => Self::Uri(uri.as_str().to_owned()),
            GeneralName::IpAddress(octets) => match address(octets.as_bytes()) {
                Some(address) => Self::Ip(address),
                None => Self::Malformed(format!("IP address of {} octets", octets.as_bytes().len())),
            },
            GeneralName::DirectoryName(name) => Self::Directory(Name::new(name)?),
            GeneralName::RegisteredId(id) => Self::Registered(id.to_string()),
            GeneralName::OtherName(other) => Self::Other(other.type_id.to_string()),
            GeneralName::EdiPartyName(_) => Self::Other("EDI party".to_owned()),
        })
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(octets).ok().map(|o| IpAddr::V4(Ipv4Addr::from(o)));
    four().or_else(|| <[u8; 16]>::try_from(octets).ok().map(|o| IpAddr::V6(Ipv6Addr::from(o))))
}

/// A set of names that a constraint permits or excludes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subtree {
    /// A domain and all below it; all of them if it is empty.
    Dns(String),
    /// One mail address, all addresses of a host, or (with a leading dot) of all hosts below a domain.
    Mail(String),
    /// A host, or (with a leading dot) all hosts below a domain, of a URI.
    Uri(String),
    /// Addresses that agree with the first in all bits that are set in the second.
    Ip(IpAddr, IpAddr),
    /// A distinguished name and all below it.
    Directory(Name),
    /// A kind of name that we do not compare.
    Other(&'static str),
    /// A subtree that breaks its own rules, and how. A certificate with one is not used to verify others.
    Malformed(String),
}

impl Subtree {
    pub(super) fn new(subtree: &GeneralSubtree) -> Result<Self, CertificateError> {
        if subtree.minimum != 0 || subtree.maximum.is_some() {
            return Ok(Self::Malformed("minimum and maximum are not allowed (RFC 5280 section 4.2.1.10)".to_owned()));
        }
        Ok(match &subtree.base {
            GeneralName::DnsName(name) => domain(name.as_str()).map_or_else(Self::Malformed, Self::Dns),
            GeneralName::Rfc822Name(name) => mail(name.as_str()).map_or_else(Self::Malformed, Self::Mail),
            GeneralName::UniformResourceIdentifier(host) => Self::Uri(host.as_str().to_ascii_lowercase()),
            GeneralName::IpAddress(octets) => block(octets.as_bytes()),
            GeneralName::DirectoryName(name) => Self::Directory(Name::new(name)?),
            GeneralName::RegisteredId(_) => Self::Other("registered ID"),
            GeneralName::OtherName(_) => Self::Other("other name"),
            GeneralName::EdiPartyName(_) => Self::Other("EDI party"),
        })
    }
}

impl fmt::Display for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| octets_text(text.as_bytes());
        match self {
            Self::Dns(name) => write!(f, "DNS:{}", shown(name)),
            Self::Mail(address) => write!(f, "email:{}", shown(address)),
            Self::Uri(host) => write!(f, "URI:{}", shown(host)),
            Self::Ip(address, mask) => write!(f, "IP:{address}/{mask}"),
            Self::Directory(name) => write!(f, "DirName:{name}"),
            Self::Other(kind) => f.write_str(kind),
            Self::Malformed(why) => write!(f, "malformed: {}", shown(why)),
        }
    }
}

/// A domain of a constraint, lower case. A leading dot is for URIs only.
fn domain(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.bytes().all(|o| o.is_ascii_alphanumeric() || b"-_".contains(&o))
    };
    if text.is_empty() || text.split('.').all(is_label) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("{text:?} is no domain"))
    }
}

/// A mail constraint: the host in lower case, the mailbox as it is.
fn mail(text: &str) -> Result<String, String> {
    let (mailbox, host) = match text.rsplit_once('@') {
        Some((mailbox, host)) => (Some(mailbox), host),
        None => (None, text.strip_prefix('.').unwrap_or(text)),
    };
    let host = domain(host)?;
    match mailbox {
        Some(mailbox) if mailbox.is_empty() || mailbox.contains('@') => Err(format!("{text:?} is no mail address")),
        Some(mailbox) => Ok(format!("{mailbox}@{host}")),
        None if text.starts_with('.') => Ok(format!(".{host}")),
        None => Ok(host),
    }
}

/// An address and its mask, one behind the other.
fn block(octets: &[u8]) -> Subtree {
    let malformed = || Subtree::Malformed(format!("IP subtree {}", hex(octets)));
    let Some((network, mask)) = octets.split_at_checked(octets.len() / 2) else { return malformed() };
    let bits = mask.iter().map(|o| o.count_ones()).sum::<u32>();
    let leading = mask.iter().take_while(|o| **o == 0xff).count();
    let next = mask.get(leading).map_or(0, |o| o.leading_ones());
    let is_prefix = u32::try_from(leading * 8).is_ok_and(|whole| whole + next == bits);
    match (address(network), address(mask)) {
        (Some(network), Some(mask)) if is_prefix => Subtree::Ip(network, mask),
        _ => malformed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtrees_keep_their_rules() {
        assert_eq!(domain("Example.com"), Ok("example.com".to_owned()));
        assert_eq!(domain(""), Ok(String::new()));
        for bad in [".example.com", "*.example.com", "a..b", "a b"] {
            assert!(domain(bad).is_err(), "{bad}");
        }
        assert_eq!(mail("User*@Example.com"), Ok("User*@example.com".to_owned()));
        assert_eq!(mail(".Example.com"), Ok(".example.com".to_owned()));
        for bad in ["a@b@example.com", "@example.com", "a@.example.com"] {
            assert!(mail(bad).is_err(), "{bad}");
        }
        assert!(matches!(block(&[192, 0, 2, 0, 255, 255, 255, 128]), Subtree::Ip(..)));
        assert!(matches!(block(&[0; 32]), Subtree::Ip(..)));
        for bad in [&[127, 0, 0, 1][..], &[192, 0, 2, 0, 255, 0, 255, 0], &[1; 16], &[]] {
            assert!(matches!(block(bad), Subtree::Malformed(_)), "{bad:?}");
        }
    }
}
