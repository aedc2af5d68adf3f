//! Addresses of web servers, as far as a webhook needs them (RFC 3986). Pure.

use std::net::IpAddr;

/// Most octets of an address.
pub(crate) const WEB_ADDRESS_OCTETS_MAX: usize = 1023;

/// Where a request goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebAddress {
    /// With TLS.
    pub secure: bool,
    /// Host name, or IP address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
}

impl WebAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (secure, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err("it begins with neither https:// nor http://".to_owned()),
        };
        if text.len() > WEB_ADDRESS_OCTETS_MAX {
            return Err(format!("it has more than {WEB_ADDRESS_OCTETS_MAX} octets"));
        }
        if !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err("it has a space, a control character or one outside ASCII".to_owned());
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("it holds a user name: use the field authorization".to_owned());
        }
        if path.contains('#') {
            return Err("it has a fragment (#)".to_owned());
        }
        let (host, port) = host_and_port(authority)?;
        let port = match port {
            None => {
                if secure {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("{port:?} is no port"))?,
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { secure, host: host.to_owned(), port, path })
    }

    /// Whether it names this very machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost") || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// As the Host header names it.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

fn host_and_port(authority: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("a [ without ]")?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| format!("{host:?} is no IPv6 address"))?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(format!("{after:?} behind the address")),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match host {
        "" => Err("it names no host".to_owned()),
        _ if host.len() <= 253 && host.chars().all(plain) => Ok((host, port)),
        _ => Err(format!("{host:?} is no host name")),
    }
}

/// Whether an address is of a network that is no part of the Internet: where a request from outside must not lead.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || first & 0xffc0 == 0xfec0
                // Discard, documentation, and what leads to IPv4 networks by another door.
                || (first == 0x100 && second == 0)
                || (first == 0x2001 && second == 0xdb8)
                || first == 0x2002
                || (first == 0x64 && second == 0xff9b)
                || (first == 0 && second == 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, secure, host, port, path) in [
            ("https://hooks.example.org/a?b=c", true, "hooks.example.org", 443, "/a?b=c"),
            ("http://127.0.0.1:8080", false, "127.0.0.1", 8080, "/"),
            ("HTTPS://[2001:db8::1]:8443/x", true, "2001:db8::1", 8443, "/x"),
            ("https://a?q", true, "a", 443, "/?q"),
        ] {
            let expected = WebAddress { secure, host: host.to_owned(), port, path: path.to_owned() };
            assert_eq!(WebAddress::parse(text), Ok(expected), "{text}");
        }
        for text in [
            "ftp://a/",
            "hooks.example.org",
            "https://",
            "https://a b/",
            "https://u:p@a/",
            "https://a/#f",
            "https://a:0/",
            "https://a:x/",
            "https://[::1",
            "https://[::1]x",
            "https://ä/",
            "https://a\n/",
            "https://a%00b/",
        ] {
            assert!(WebAddress::parse(text).is_err(), "{text}");
        }
        let long = format!("https://a/{}", "x".repeat(1100));
        assert!(WebAddress::parse(&long).is_err());
        assert_eq!(WebAddress::parse("https://[2001:db8::1]:8443/x").unwrap().authority(), "[2001:db8::1]:8443");
    }

    // SSRF: every way that leads inside.
    #[test]
    fn private_networks_are_known() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fc00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "198.18.0.1",
            "240.0.0.1",
        ] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "193.0.0.1"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }
}
