//! Names of profiles and those of the library.

use std::sync::Arc;

use model::TlsProfile;
use model::tls_suites::{TLS_GROUPS, TLS_SUITES, TlsSuite, TlsVersion};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CipherSuite, NamedGroup, ProtocolVersion, SupportedProtocolVersion, version};

/// Names of a list in a sentence.
const SHOWN_MAX: usize = 40;

/// The library with the suites and key exchanges of `profile` alone, in its order.
pub(super) fn provider(profile: &TlsProfile) -> Arc<CryptoProvider> {
    let usual = aws_lc_rs::default_provider();
    let suite = |suite: &&TlsSuite| {
        aws_lc_rs::ALL_CIPHER_SUITES.iter().find(|s| Some(u16::from(s.suite())) == suite.code).copied()
    };
    let versions = &profile.versions;
    let cipher_suites = profile.suites.iter().filter(|s| versions.contains(&s.version)).filter_map(suite).collect();
    let group = |code: u16| aws_lc_rs::ALL_KX_GROUPS.iter().find(|g| u16::from(g.name()) == code).copied();
    let kx_groups = profile.groups.iter().filter_map(|g| group(g.code)).collect();
    Arc::new(CryptoProvider { cipher_suites, kx_groups, ..usual })
}

/// The versions of `profile` for which it has a suite.
pub(super) fn versions(profile: &TlsProfile) -> Vec<&'static SupportedProtocolVersion> {
    let known = [(TlsVersion::V13, &version::TLS13), (TlsVersion::V12, &version::TLS12)];
    let serves = |v: TlsVersion| profile.versions.contains(&v) && profile.suites.iter().any(|s| s.version == v);
    known.into_iter().filter(|(v, _)| serves(*v)).map(|(_, version)| version).collect()
}

pub(super) fn version_of(version: ProtocolVersion) -> Option<TlsVersion> {
    match version {
        ProtocolVersion::TLSv1_2 => Some(TlsVersion::V12),
        ProtocolVersion::TLSv1_3 => Some(TlsVersion::V13),
        _ => None,
    }
}

pub(super) fn suite_of(suite: CipherSuite) -> Option<&'static TlsSuite> {
    TLS_SUITES.iter().find(|s| s.code == Some(u16::from(suite)))
}

pub(super) fn group_name(group: NamedGroup) -> String {
    let known = TLS_GROUPS.iter().find(|g| g.code == u16::from(group));
    known.map_or_else(|| format!("{group:?}"), |g| g.name.to_owned())
}

/// Suites that somebody offers, by the names of profiles; what only looks like one is left out (RFC 8701, RFC 5746).
pub(super) fn suites_text(offered: &[CipherSuite]) -> String {
    let is_suite = |suite: &&CipherSuite| {
        let code = u16::from(**suite);
        !matches!(code, 0x00FF | 0x5600) && (code & 0x0F0F != 0x0A0A)
    };
    let name = |suite: &CipherSuite| match suite_of(*suite) {
        Some(known) => known.name.to_owned(),
        None => format!("{suite:?}").trim_start_matches("TLS_").to_owned(),
    };
    listed(offered.iter().filter(is_suite).map(name))
}

pub(super) fn groups_text(offered: &[NamedGroup]) -> String {
    listed(offered.iter().filter(|g| u16::from(**g) & 0x0F0F != 0x0A0A).map(|g| group_name(*g)))
}

/// A bounded list.
pub(super) fn listed(names: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = names.collect();
    if all.is_empty() {
        return "nothing".to_owned();
    }
    let more = all.len().saturating_sub(SHOWN_MAX);
    let shown = all.into_iter().take(SHOWN_MAX).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
