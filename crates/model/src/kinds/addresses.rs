//! Addresses and ports as profiles, gates and sites state them: patterns, CIDR networks, port sets, `host/port`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use base::{Pattern, QuestionMark};

use super::binding::zoned_address;

/// How an IPv4 address is written as an IPv6 one (RFC 4291 section 2.5.5.2), and the length of what is the same in all.
const MAPPED: &str = "::ffff:";
const MAPPED_BITS: u8 = 96;

/// A pattern for an IP address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AddressPattern {
    /// Every address.
    Any,
    /// One address.
    Exact(IpAddr),
    /// A network, by its first address and prefix length.
    Network(IpAddr, u8),
    /// Text with `*` and `?`, compared with the canonical text of the address.
    Text {
        /// The pattern, in lower case.
        pattern: Pattern,
        /// What `?` stands for: none or one character in network profiles (NET-6), exactly one elsewhere.
        mark: QuestionMark,
    },
}

/// `address/port` of a network profile.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointPattern {
    /// The address.
    pub address: AddressPattern,
    /// The port, as digits.
    pub port: PortPattern,
}

/// A pattern for a port in an [`EndpointPattern`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PortPattern {
    /// Every port.
    Any,
    /// One port.
    Exact(u16),
    /// Digits with `*` and `?`.
    Text(Pattern),
}

/// Ports of a gate group: `*`, `n`, `n:m`, or several of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortSet(pub Vec<std::ops::RangeInclusive<u16>>);

/// One entry of a calling-address list: `pattern:A` or `pattern:D`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallingRule {
    /// Which addresses.
    pub address: AddressPattern,
    /// Whether they may call.
    pub allow: bool,
    /// As written.
    pub text: String,
}

/// A partner's address.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HostPort {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.port)
    }
}

impl AddressPattern {
    /// Reads a pattern, an address, or a CIDR network such as `10.0.0.0/8`; brackets around IPv6 are taken off.
    ///
    /// # Errors
    /// What is wrong with a CIDR network.
    pub fn parse(text: &str, mark: QuestionMark) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(&text);
        // Addresses are compared in canonical form, in which IPv4-mapped ones are IPv4 (NET-8).
        let bare = bare.strip_prefix(MAPPED).filter(|rest| rest.contains('.') && !rest.contains('/')).unwrap_or(bare);
        if !bare.is_empty() && bare.chars().all(|c| c == '*') {
            return Ok(Self::Any);
        }
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Exact(address.to_canonical()));
        }
        let Some((address, length)) = bare.split_once('/') else {
            return if bare.is_empty() { Err("the address is empty".into()) } else { Ok(text_pattern(bare, mark)) };
        };
        let wrong = || format!("{text:?} is no network: write it as 10.0.0.0/8 or 2001:db8::/32");
        let written: IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_| wrong())?;
        let length: u8 = length.parse().map_err(|_| wrong())?;
        let address = written.to_canonical();
        let length = match written.is_ipv6() && address.is_ipv4() {
            true => length.checked_sub(MAPPED_BITS).ok_or_else(wrong)?,
            false => length,
        };
        if length > address_bits(address) {
            return Err(wrong());
        }
        Ok(if length == 0 && address.is_unspecified() && address.is_ipv6() {
            Self::Any
        } else {
            Self::Network(first_address(address, length), length)
        })
    }

    /// Whether `address`, in canonical form, fits (NET-8).
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> bool {
        match self {
            Self::Text { .. } => self.matches_text(address, &address.to_string()),
            _ => self.matches_text(address, ""),
        }
    }

    /// [`Self::matches`] with the text of the address at hand.
    pub(crate) fn matches_text(&self, address: IpAddr, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => *own == address,
            Self::Network(first, length) => {
                first.is_ipv4() == address.is_ipv4() && first_address(address, *length) == *first
            }
            Self::Text { pattern, mark } => text_matches(pattern, text, *mark),
        }
    }

    /// How specific it is: sixteenths of a literal character, so that networks and patterns compare (NET-2).
    #[must_use]
    pub fn weight(&self) -> u32 {
        match self {
            Self::Any => 0,
            Self::Exact(address) => sixteenths(address.to_string().len()),
            Self::Network(first, length) => network_weight(*first, *length),
            Self::Text { pattern, .. } => sixteenths(pattern.literals()),
        }
    }

    /// Whether some address might fit both; may say yes too often, never no too often.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(address), pattern) | (pattern, Self::Exact(address)) => pattern.matches(*address),
            (Self::Network(a, n), Self::Network(b, m)) => {
                let shorter = *n.min(m);
                a.is_ipv4() == b.is_ipv4() && first_address(*a, shorter) == first_address(*b, shorter)
            }
            (Self::Text { pattern: a, .. }, Self::Text { pattern: b, .. }) => patterns_overlap(a.as_str(), b.as_str()),
            _ => true,
        }
    }

    /// Letters that no address has: the pattern is a host name, which nothing here can match.
    #[must_use]
    pub fn is_host_name(&self) -> bool {
        matches!(self, Self::Text { pattern, .. } if !pattern.as_str().chars().all(|c| {
            c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '*' | '?')
        }))
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(address) => write!(f, "{address}"),
            Self::Network(first, length) => write!(f, "{first}/{length}"),
            Self::Text { pattern, .. } => f.write_str(pattern.as_str()),
        }
    }
}

impl fmt::Display for PortPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(port) => write!(f, "{port}"),
            Self::Text(pattern) => f.write_str(pattern.as_str()),
        }
    }
}

impl fmt::Display for EndpointPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.port)
    }
}

impl EndpointPattern {
    /// Reads `address/port`; a CIDR network keeps its own slash: `10.0.0.0/8/*`. Without a port any port is meant.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (address, port) = text.rsplit_once('/').unwrap_or((text, "*"));
        Ok(Self { address: AddressPattern::parse(address, QuestionMark::OneOrNone)?, port: PortPattern::parse(port)? })
    }

    /// Every address and port.
    #[must_use]
    pub const fn any() -> Self {
        Self { address: AddressPattern::Any, port: PortPattern::Any }
    }

    /// The network that `text` probably means, where it says one address and a port: `10.0.0.0/8`.
    pub(crate) fn looks_like_network(&self, text: &str) -> Option<String> {
        let (AddressPattern::Exact(address), PortPattern::Exact(port)) = (&self.address, &self.port) else {
            return None;
        };
        let length = u8::try_from(*port).ok().filter(|length| *length <= address_bits(*address))?;
        let first = first_address(*address, length) == *address;
        let zeros = address_bits(*address) - length;
        (first && zeros >= 1 && length >= 4 && ends_in_zero(*address)).then(|| format!("{}/*", text.trim()))
    }

    /// Whether `end`, in canonical form, fits.
    #[must_use]
    pub fn matches(&self, end: SocketAddr) -> bool {
        self.port.matches(end.port()) && self.address.matches(end.ip())
    }
}

impl PortPattern {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !text.is_empty() && text.chars().all(|c| c == '*') {
            return Ok(Self::Any);
        }
        if let Ok(port) = text.parse() {
            return Ok(Self::Exact(port));
        }
        let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '?'));
        let wild = text.contains(['*', '?']);
        if fits && wild {
            Ok(Self::Text(Pattern::new(text)))
        } else {
            Err(format!("{text:?} is no port: give it as 22, 22* or *"))
        }
    }

    /// Whether `port` fits.
    #[must_use]
    pub fn matches(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => *own == port,
            Self::Text(pattern) => pattern.matches(&port.to_string(), QuestionMark::OneOrNone),
        }
    }

    /// How specific it is, as [`AddressPattern::weight`].
    #[must_use]
    pub fn weight(&self) -> u32 {
        match self {
            Self::Any => 0,
            Self::Exact(port) => sixteenths(port.to_string().len()),
            Self::Text(pattern) => sixteenths(pattern.literals()),
        }
    }

    /// Whether some port fits both; may say yes too often.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(port), pattern) | (pattern, Self::Exact(port)) => pattern.matches(*port),
            (Self::Text(a), Self::Text(b)) => patterns_overlap(a.as_str(), b.as_str()),
            _ => true,
        }
    }
}

impl PortSet {
    /// Reads `*`, `22`, `2200:2299`, or several parted by spaces.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            |part: &str| format!("{part:?} is no port: give it as *, 22 or 2200:2299, several parted by spaces");
        let part = |part: &str| match part.split_once(':') {
            _ if part == "*" => Ok(0..=u16::MAX),
            Some((from, to)) => match (from.parse::<u16>(), to.parse::<u16>()) {
                (Ok(from), Ok(to)) if from <= to => Ok(from..=to),
                _ => Err(wrong(part)),
            },
            None => part.parse::<u16>().map(|port| port..=port).map_err(|_| wrong(part)),
        };
        let parts: Vec<_> = text.split_whitespace().map(part).collect::<Result<_, _>>()?;
        if parts.is_empty() { Err(wrong(text)) } else { Ok(Self(parts)) }
    }

    /// How many ports the narrowest part that holds `port` has; `None` if no part does.
    #[must_use]
    pub fn width(&self, port: u16) -> Option<u32> {
        let width =
            |part: &std::ops::RangeInclusive<u16>| u32::from(*part.end()).saturating_sub(u32::from(*part.start()));
        self.0.iter().filter(|part| part.contains(&port)).map(width).min()
    }
}

impl CallingRule {
    /// Reads `pattern:A` or `pattern:D`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no calling address: write it as 10.0.0.*:A (allow) or 10.0.0.*:D (deny)");
        let (pattern, letter) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
        let allow = match letter.to_ascii_uppercase().as_str() {
            "A" => true,
            "D" => false,
            _ => return Err(wrong()),
        };
        let address = AddressPattern::parse(pattern, QuestionMark::One)?;
        Ok(Self { address, allow, text: text.trim().to_owned() })
    }
}

impl HostPort {
    /// Reads `host/port`; `host:port` too where that is clear.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address: write it as host/port, such as sftp.example.com/22");
        let text = text.trim();
        let colon = || text.split_once(':').filter(|(_, port)| !port.contains(':'));
        let (host, port) = text.rsplit_once('/').or_else(colon).ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let fits = zoned_address(host).is_some() || is_host_name(host);
        if fits && port > 0 { Ok(Self { host: host.to_owned(), port }) } else { Err(wrong()) }
    }
}

/// A DNS name: labels of letters, digits, `-` and `_` (RFC 1123 section 2.1), at most 253 characters.
fn is_host_name(host: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            && !l.starts_with('-')
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

fn text_pattern(text: &str, mark: QuestionMark) -> AddressPattern {
    AddressPattern::Text { pattern: Pattern::new(text), mark }
}

/// [`Pattern::matches`], after a cheap look at what stands before the first and behind the last wildcard.
pub(crate) fn text_matches(pattern: &Pattern, text: &str, mark: QuestionMark) -> bool {
    let wild = ['*', '?'];
    let written = pattern.as_str();
    let start = written.split(wild).next().unwrap_or_default();
    let end = written.rsplit(wild).next().unwrap_or_default();
    text.starts_with(start) && text.ends_with(end) && pattern.matches(text, mark)
}

fn ends_in_zero(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.to_bits() & 0xff == 0,
        IpAddr::V6(a) => a.to_bits() & 0xffff == 0,
    }
}

fn sixteenths(characters: usize) -> u32 {
    u32::try_from(characters).unwrap_or(u32::MAX / 16).saturating_mul(16)
}

const fn address_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// `address` with every bit behind the first `length` cleared.
fn first_address(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(u32::from(32_u8.saturating_sub(length))).unwrap_or(0);
            IpAddr::V4((a.to_bits() & mask).into())
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(u32::from(128_u8.saturating_sub(length))).unwrap_or(0);
            IpAddr::V6((a.to_bits() & mask).into())
        }
    }
}

/// The weight of the text pattern that says as much: the characters of the groups the prefix fixes, and its left bits.
fn network_weight(first: IpAddr, length: u8) -> u32 {
    let (groups, size): (Vec<String>, u8) = match first {
        IpAddr::V4(a) => (a.octets().iter().map(u8::to_string).collect(), 8),
        IpAddr::V6(a) => (a.segments().iter().map(|s| format!("{s:x}")).collect(), 16),
    };
    let fixed = usize::from(length / size);
    let characters: usize = groups.iter().take(fixed).map(|g| g.len() + 1).sum();
    let characters = if fixed == groups.len() { characters.saturating_sub(1) } else { characters };
    sixteenths(characters).saturating_add(u32::from(length % size))
}

/// Whether some text fits both patterns; `?` is taken as one character or none.
fn patterns_overlap(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // row[j]: the part of `a` so far and the first j characters of `b` can stand for one text.
    let mut row = vec![false; b.len() + 1];
    for i in 0..=a.len() {
        let pa = i.checked_sub(1).and_then(|i| a.get(i)).copied();
        let mut next = Vec::with_capacity(row.len());
        for j in 0..=b.len() {
            let pb = j.checked_sub(1).and_then(|j| b.get(j)).copied();
            let above = row.get(j).copied().unwrap_or(false) && i > 0;
            let left = next.last().copied().unwrap_or(false) && j > 0;
            let across = i > 0 && j > 0 && j.checked_sub(1).and_then(|j| row.get(j)).copied().unwrap_or(false);
            let wild = |p: Option<char>| matches!(p, Some('*' | '?'));
            let star = |p: Option<char>| p == Some('*');
            next.push(
                (i == 0 && j == 0)
                    || (above && (wild(pa) || star(pb)))
                    || (left && (wild(pb) || star(pa)))
                    || (across && (wild(pa) || wild(pb) || pa == pb)),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn port_sets() {
        for (text, port, width) in [
            ("*", 22, Some(65_535)),
            ("22", 22, Some(0)),
            ("22", 23, None),
            ("2200:2299", 2250, Some(99)),
            ("* 2200:2299 2222", 2222, Some(0)),
            ("21 990", 990, Some(0)),
        ] {
            assert_eq!(PortSet::parse(text).unwrap().width(port), width, "{text}");
        }
        for text in ["", "22:21", "x", "65536", "1:2:3"] {
            assert!(PortSet::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for text in ["", "10.0.0.0/33/*", "x/24/*", "*/22x", "*/", "2001:db8::/129/*", "*/65536"] {
            assert!(EndpointPattern::parse(text).is_err(), "{text:?}");
        }
        for text in ["10.0.0.1", "10.0.0.1:X", ":A"] {
            assert!(CallingRule::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_network_without_port_is_asked_about() {
        let meant = |text: &str| EndpointPattern::parse(text).unwrap().looks_like_network(text);
        assert_eq!(meant("10.0.0.0/8").as_deref(), Some("10.0.0.0/8/*"));
        assert_eq!(meant("10.0.0.1/22"), None);
        assert_eq!(meant("10.0.0.0/2205"), None);
    }

    #[test] // NET-8
    fn mapped_addresses_are_ipv4() {
        let fits = |pattern: &str, address: &str| {
            let pattern = AddressPattern::parse(pattern, QuestionMark::One).unwrap();
            pattern.matches(address.parse::<IpAddr>().unwrap().to_canonical())
        };
        for pattern in ["192.0.2.7", "192.0.2.*", "192.0.2.0/24", "::ffff:192.0.2.7", "[::ffff:192.0.2.7]"] {
            assert!(fits(pattern, "::ffff:192.0.2.7") && fits(pattern, "192.0.2.7"), "{pattern}");
        }
        for pattern in ["::ffff:192.0.2.*", "::ffff:192.0.2.0/120", "::ffff:c000:207"] {
            assert!(fits(pattern, "::ffff:192.0.2.7") && fits(pattern, "192.0.2.7"), "{pattern}");
            assert!(!fits(pattern, "192.0.3.7") && !fits(pattern, "2001:db8::7"), "{pattern}");
        }
        assert!(AddressPattern::parse("::ffff:192.0.2.0/24", QuestionMark::One).is_err());
    }

    #[test]
    fn ipv6_patterns_fit_canonical_addresses() {
        let fits = |pattern: &str, address: &str| {
            let pattern = AddressPattern::parse(pattern, QuestionMark::One).unwrap();
            pattern.matches(address.parse().unwrap())
        };
        assert!(fits("2001:DB8:0::1", "2001:db8::1") && fits("2001:db8:*", "2001:db8:1::1"));
        assert!(fits("2001:db8::/32", "2001:db8:ffff::1") && !fits("2001:db8::/32", "2001:db9::1"));
        assert!(fits("[2001:db8::]/32", "2001:db8::1") && fits("::/0", "192.0.2.1"));
        assert!(!fits("192.0.2.*", "2001:db8::1") && !fits("2001:db8::/32", "192.0.2.1"));
        let link = HostPort::parse("fe80::1%eth0/22").unwrap();
        assert_eq!((link.host.as_str(), link.port), ("fe80::1%eth0", 22));
        assert!(HostPort::parse("[2001:db8::1]/22").is_ok() && HostPort::parse("2001:db8::1%eth0/22").is_err());
    }

    fn any_pattern() -> impl Strategy<Value = AddressPattern> {
        let network = (any::<u32>(), 0_u8..=32).prop_map(|(a, n)| format!("{}/{n}", std::net::Ipv4Addr::from_bits(a)));
        let texts = prop_oneof!["[0-9*?.]{1,8}", network, Just("10.0.0.1".to_owned()), Just("*".to_owned())];
        texts.prop_filter_map("not a pattern", |text| AddressPattern::parse(&text, QuestionMark::OneOrNone).ok())
    }

    proptest! {
        #[test]
        fn what_fits_both_patterns_shows_that_they_overlap(a in any_pattern(), b in any_pattern(), ip: [u8; 4]) {
            let address = IpAddr::from(ip);
            if a.matches(address) && b.matches(address) {
                prop_assert!(a.overlaps(&b) && b.overlaps(&a));
            }
        }

        #[test]
        fn a_network_holds_its_addresses_only(bits: u32, other: u32, length in 0_u8..=32) {
            let network = format!("{}/{length}", std::net::Ipv4Addr::from_bits(bits));
            let pattern = AddressPattern::parse(&network, QuestionMark::One).unwrap();
            let same = length == 0 || (bits ^ other) >> (32 - u32::from(length)) == 0;
            prop_assert_eq!(pattern.matches(IpAddr::from(other.to_be_bytes())), same);
        }

        #[test]
        fn reading_never_fails_badly(text in "\\PC{0,20}") {
            let _ = EndpointPattern::parse(&text).map(|p| p.to_string());
            let _ = HostPort::parse(&text).map(|p| p.to_string());
            prop_assert!(CallingRule::parse(&text).is_ok() || CallingRule::parse(&text).is_err_and(|e| !e.is_empty()));
        }
    }
}
