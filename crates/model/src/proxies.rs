//! Which proxies are on the way to a partner. Pure.

use std::sync::Arc;

use crate::kinds::proxy::{Proxy, ProxyKind};
use crate::kinds::remote_site::{CallSecurity, RemoteSite, Through};
use crate::object::Kind;
use crate::snapshot::Snapshot;

/// What is between us and one address of a partner.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proxies {
    /// Connects us: to the partner, or to `commands`.
    pub net: Option<Arc<Proxy>>,
    /// Carries out our commands at the partner's server.
    pub commands: Option<Arc<Proxy>>,
}

impl Snapshot {
    /// The proxies on the way to the address number `path` of `site`.
    ///
    /// # Errors
    /// What is wrong with them, in the field of this name: there is no way, and none is taken that was not meant.
    pub fn proxies(&self, site: &RemoteSite, path: usize) -> Result<Proxies, (&'static str, String)> {
        let none = Through::default();
        let through = site.through.get(path).unwrap_or(&none);
        let commands = self.named_proxy(through.commands.as_deref()).map_err(|text| ("ft_proxy", text))?;
        let net = self.named_proxy(through.net.as_deref()).map_err(|text| ("net_proxy", text))?;
        if let Some(proxy) = &commands {
            ft_proxy_fits(proxy, site).map_err(|text| ("ft_proxy", text))?;
        }
        if let Some(proxy) = &net {
            if matches!(proxy.kind, ProxyKind::Commands { .. }) {
                return Err(("net_proxy", format!("{} is an FTP proxy: name it in ft_proxy", proxy.name)));
            }
            if site.protocol == "FTP" && !site.data.passive {
                let text = "no data connection comes in through it: set ftp_passive_mode to INIT or BOTH";
                return Err(("net_proxy", text.to_owned()));
            }
        }
        Ok(Proxies { net, commands })
    }

    fn named_proxy(&self, name: Option<&str>) -> Result<Option<Arc<Proxy>>, String> {
        let Some(name) = name else { return Ok(None) };
        match self.proxy(name) {
            Some(proxy) if proxy.enabled => Ok(Some(Arc::clone(proxy))),
            Some(_) => Err(format!("proxy {name} is disabled: enable it, or take it out")),
            None => match self.broken(Kind::Proxy, name) {
                Some(wrong) => Err(format!("proxy {name} has an error: {wrong}")),
                None => Err(format!("there is no proxy {name}: create it with peladm create_proxy")),
            },
        }
    }
}

fn ft_proxy_fits(proxy: &Proxy, site: &RemoteSite) -> Result<(), String> {
    match (&proxy.kind, site.protocol.as_str(), &site.security) {
        (ProxyKind::Commands { .. }, "FTP", CallSecurity::Clear) => Ok(()),
        (ProxyKind::Commands { .. }, "FTP", _) => Err(format!(
            "FTP proxy {} reads what it carries, so the partner's TLS can't go through it: use a proxy of the protocol HTTPS or \
             SOCKS4 in net_proxy",
            proxy.name
        )),
        (ProxyKind::Commands { .. }, other, _) => Err(format!("proxy {} carries FTP only, not {other}", proxy.name)),
        _ => Err(format!("{} is no FTP proxy: name it in net_proxy", proxy.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{object, with_profiles};

    #[test]
    fn each_kind_has_its_place() {
        let proxy = |name, protocol, state: &str| {
            let mut made = object(Kind::Proxy, name, &[("protocol", protocol), ("dest_address", "p.example/1080")]);
            made.state = crate::object::ObjectState::parse(state).unwrap();
            made
        };
        let of = |fields: &[(&str, &str)]| {
            let all =
                [&[("protocol", "FTP"), ("network_security_option", "NONE"), ("dest_address", "b.example/21")], fields];
            let s = with_profiles(vec![
                proxy("F", "FTP", "ENABLED"),
                proxy("S", "SOCKS4", "ENABLED"),
                proxy("H", "HTTPS", "ENABLED"),
                proxy("OFF", "HTTPS", "DISABLED"),
                object(Kind::RemoteSite, "B", &all.concat()),
            ]);
            let site = s.site("B").unwrap();
            let names =
                |p: Proxies| [p.net, p.commands].map(|p| p.map_or("-".to_owned(), |p| p.name.clone())).join(" ");
            s.proxies(site, 0).map(names).unwrap_or_else(|(field, text)| format!("{field}: {text}"))
        };
        let tls = [("network_security_option", "TLS"), ("tls_sprof_out", "OUT")];
        for (fields, wanted) in [
            (vec![], "- -"),
            (vec![("ft_proxy", "F")], "- F"),
            (vec![("net_proxy", "S")], "S -"),
            (vec![("net_proxy", "H"), ("ft_proxy", "F")], "H F"),
            (vec![("net_proxy_1", "H")], "- -"),
            (vec![tls[0], tls[1], ("net_proxy", "H")], "H -"),
            (vec![tls[0], tls[1], ("ft_proxy", "F")], "ft_proxy: FTP proxy F reads what it carries"),
            (vec![("ft_proxy", "S")], "ft_proxy: S is no FTP proxy"),
            (vec![("net_proxy", "F")], "net_proxy: F is an FTP proxy"),
            (vec![("net_proxy", "NONE")], "net_proxy: there is no proxy NONE"),
            (vec![("net_proxy", "OFF")], "net_proxy: proxy OFF is disabled"),
            (vec![("net_proxy", "H"), ("ftp_passive_mode", "RESP")], "net_proxy: no data connection comes in"),
        ] {
            let found = of(&fields);
            assert!(found.starts_with(wanted), "{fields:?}: {found}");
        }
    }
}
