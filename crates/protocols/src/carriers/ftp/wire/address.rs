//! Addresses of data connections, as commands and replies write them (RFC 959 section 4.1.2, RFC 2428).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

/// Why an argument is no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It can't be read.
    #[error("no address: expected {0}")]
    Syntax(&'static str),
    /// A family other than 1 (IPv4) and 2 (IPv6) (RFC 2428 section 2).
    #[error("network protocol not known, use (1,2)")]
    Family,
}

/// A family of addresses (RFC 2428 section 2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// 1.
    Ipv4,
    /// 2.
    Ipv6,
}

impl Family {
    /// The family that a digit names.
    ///
    /// # Errors
    /// [`AddressError::Family`].
    pub fn decode(text: &str) -> Result<Self, AddressError> {
        match text {
            "1" => Ok(Self::Ipv4),
            "2" => Ok(Self::Ipv6),
            _ => Err(AddressError::Family),
        }
    }

    /// Its digit.
    #[must_use]
    pub const fn encode(self) -> char {
        match self {
            Self::Ipv4 => '1',
            Self::Ipv6 => '2',
        }
    }

    /// That of an address.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

const PORT_FORM: &str = "six numbers below 256: h1,h2,h3,h4,p1,p2";
const EPRT_FORM: &str = "|family|address|port|";
const EPSV_FORM: &str = "(|||port|)";

/// The argument of PORT.
#[must_use]
pub fn port_argument(address: SocketAddrV4) -> String {
    let ([a, b, c, d], [high, low]) = (address.ip().octets(), address.port().to_be_bytes());
    format!("{a},{b},{c},{d},{high},{low}")
}

/// Reads the argument of PORT.
pub(super) fn decode_port(text: &str) -> Result<SocketAddrV4, AddressError> {
    let wrong = AddressError::Syntax(PORT_FORM);
    // No sign: `parse` would take one.
    let digits = |part: &str| part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
    let number = |part: &str| if digits(part) { part.parse::<u8>().map_err(|_| wrong) } else { Err(wrong) };
    let numbers = text.trim().split(',').map(number).collect::<Result<Vec<u8>, _>>()?;
    let [a, b, c, d, high, low] = numbers[..] else { return Err(wrong) };
    Ok(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])))
}

/// The text of the reply to PASV.
#[must_use]
pub fn pasv_text(address: SocketAddrV4) -> String {
    format!("Entering passive mode ({})", port_argument(address))
}

/// The argument of EPRT.
#[must_use]
pub fn eprt_argument(address: SocketAddr) -> String {
    format!("|{}|{}|{}|", Family::of(address.ip()).encode(), address.ip(), address.port())
}

/// Reads the argument of EPRT. Its first character parts the others.
pub(super) fn decode_eprt(text: &str) -> Result<SocketAddr, AddressError> {
    let wrong = AddressError::Syntax(EPRT_FORM);
    let bar = text.chars().next().filter(char::is_ascii_graphic).ok_or(wrong)?;
    let [_, family, ip, port, ""] = text.split(bar).collect::<Vec<_>>()[..] else { return Err(wrong) };
    let ip: IpAddr = match Family::decode(family)? {
        Family::Ipv4 => ip.parse::<Ipv4Addr>().map_err(|_| wrong)?.into(),
        Family::Ipv6 => ip.parse::<Ipv6Addr>().map_err(|_| wrong)?.into(),
    };
    Ok(SocketAddr::new(ip, port.parse().map_err(|_| wrong)?))
}

/// The text of the reply to EPSV.
#[must_use]
pub fn epsv_text(port: u16) -> String {
    format!("Entering extended passive mode (|||{port}|)")
}

/// Reads the port in the text of a reply to EPSV.
///
/// # Errors
/// [`AddressError::Syntax`].
pub fn decode_epsv_text(text: &str) -> Result<u16, AddressError> {
    let wrong = AddressError::Syntax(EPSV_FORM);
    let (_, rest) = text.split_once('(').ok_or(wrong)?;
    let (inner, _) = rest.split_once(')').ok_or(wrong)?;
    let bar = inner.chars().next().ok_or(wrong)?;
    let [_, "", "", port, ""] = inner.split(bar).collect::<Vec<_>>()[..] else { return Err(wrong) };
    port.parse().map_err(|_| wrong)
}

/// Reads the address in the text of a reply to PASV: servers write it with and without parentheses (RFC 1123 section
/// 4.1.2.6), so it is looked for.
///
/// # Errors
/// [`AddressError::Syntax`].
pub fn decode_pasv_text(text: &str) -> Result<SocketAddrV4, AddressError> {
    let wanted = |c: char| c.is_ascii_digit() || c == ',';
    let runs = text.split(|c: char| !wanted(c)).map(|run| run.trim_matches(','));
    let found = runs.filter_map(|run| decode_port(run).ok()).next();
    found.ok_or(AddressError::Syntax(PORT_FORM))
}
