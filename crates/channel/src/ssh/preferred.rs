//! An SSH profile as the library wants it. Its own lists of "all" algorithms hold `none` and `clear`: they are never used.

use std::borrow::Cow;
use std::time::Duration;

use model::SshProfile;
use russh::keys::{Algorithm, HashAlg};
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, client, compression, kex, mac, server};

use super::error::SshError;
use super::server::{Limits, Methods, ServerParams};

/// Octets a peer may send on a channel before it waits for us: enough for 64 requests of 32 KiB.
const WINDOW_OCTETS: u32 = 2 << 20;
/// Octets of payload in one packet: a 32 KiB request of SFTP with its head, so that it is not cut in two.
const PACKET_OCTETS: u32 = 36 << 10;
/// Messages of the library for one channel; each call of ours takes them all out.
const CHANNEL_MESSAGES: usize = 64;
/// Messages on their way to a session's task.
const EVENT_MESSAGES: usize = 256;
/// One MB of a profile.
const MEGABYTE: usize = 1_000_000;
/// Where a profile has no limit, ours for one set of keys: far below 2^31 packets (RFC 4344 section 3.1).
const REKEY_OCTETS_MAX: usize = 32 << 30;
/// Where a profile has no limit of time.
const REKEY_TIME_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// Unanswered signs of life after which a connection is given up.
const KEEPALIVES_MAX: usize = 3;
/// Prime of group exchange, in bits: at least, best, at most.
const GEX_BITS: (usize, usize, usize) = (2048, 3072, 8192);
/// Sign of life of a client.
const CLIENT_KEEPALIVE: Duration = Duration::from_secs(60);
/// Silence, even without signs of life, after which a client gives up.
const CLIENT_SILENCE_MAX: Duration = Duration::from_secs(600);

/// The server's settings of one connection.
pub(crate) fn server_config(params: &ServerParams) -> Result<server::Config, SshError> {
    let profile = &params.profile;
    let keys = params.host_keys.iter().map(|key| key.ssh_key());
    let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|e| SshError::Profile(format!("host key: {e}")))?;
    let preferred = preferred(profile)?;
    if !keys.iter().any(|key| preferred.key.iter().any(|name| fits(&key.algorithm(), name))) {
        let names = SshProfile::wire(&profile.public_keys).join(",");
        return Err(SshError::Profile(format!("it has no private key for any of {names}: add one to the profile")));
    }
    let Limits { auth_tries, idle, keepalive, .. } = params.limits;
    Ok(server::Config {
        server_id: version_line(&params.banner),
        methods: method_set(Methods::of(profile)),
        // Refusals are evened out by our handler, which knows what they cost.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: None,
        keys,
        certificates: Vec::new(),
        limits: rekey_limits(profile),
        window_size: WINDOW_OCTETS,
        maximum_packet_size: PACKET_OCTETS,
        channel_buffer_size: CHANNEL_MESSAGES,
        event_buffer_size: EVENT_MESSAGES,
        preferred,
        // The first, empty attempt of most clients counts for the library, not for us.
        max_auth_attempts: auth_tries.saturating_add(1),
        inactivity_timeout: idle,
        keepalive_interval: keepalive,
        keepalive_max: KEEPALIVES_MAX,
        nodelay: true,
    })
}

/// The client's settings of one connection.
pub(crate) fn client_config(profile: &SshProfile) -> Result<client::Config, SshError> {
    let (least, best, most) = GEX_BITS;
    Ok(client::Config {
        client_id: version_line("Gatehouse"),
        limits: rekey_limits(profile),
        window_size: WINDOW_OCTETS,
        maximum_packet_size: PACKET_OCTETS,
        channel_buffer_size: CHANNEL_MESSAGES,
        preferred: preferred(profile)?,
        inactivity_timeout: Some(CLIENT_SILENCE_MAX),
        keepalive_interval: Some(CLIENT_KEEPALIVE),
        keepalive_max: KEEPALIVES_MAX,
        anonymous: false,
        gex: client::GexParams::new(least, best, most).map_err(|e| SshError::Profile(e.to_string()))?,
        nodelay: true,
    })
}

/// The profile's lists in the profile's order.
fn preferred(profile: &SshProfile) -> Result<Preferred, SshError> {
    let mut kex: Vec<kex::Name> = known("key exchange", &SshProfile::wire(&profile.kex))?;
    kex.extend([kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_SUPPORT_AS_SERVER]);
    if profile.strict_kex {
        kex.extend([kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER]);
    }
    let ciphers: Vec<cipher::Name> = known("cipher", &SshProfile::wire(&profile.ciphers))?;
    let macs: Vec<mac::Name> = known("MAC", &SshProfile::wire(&profile.macs)).unwrap_or_default();
    let compressions = compression_names(profile);
    let keys: Vec<Algorithm> = key_algorithms(profile);
    if keys.is_empty() {
        return Err(SshError::Profile("it lists no public key algorithm".to_owned()));
    }
    Ok(Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Owned(ciphers),
        mac: Cow::Owned(macs),
        compression: Cow::Owned(compressions),
    })
}

/// Names the library knows; what protects nothing is left out whatever the profile says.
fn known<'a, N: TryFrom<&'a str>>(class: &str, wire: &[&'a str]) -> Result<Vec<N>, SshError> {
    let usable = wire.iter().filter(|name| !matches!(**name, "none" | "clear"));
    let names: Vec<N> = usable.filter_map(|name| N::try_from(name).ok()).collect();
    if names.is_empty() {
        return Err(SshError::Profile(format!("it lists no usable {class} algorithm: {}", wire.join(","))));
    }
    Ok(names)
}

/// Compression as the profile has it; the library bounds what one packet may inflate to.
fn compression_names(profile: &SshProfile) -> Vec<compression::Name> {
    let wire = SshProfile::wire(&profile.compression);
    let mut names: Vec<_> = wire.iter().filter_map(|name| compression::Name::try_from(*name).ok()).collect();
    if names.is_empty() {
        names.push(compression::NONE);
    }
    names
}

/// Key and signature algorithms of the profile, in its order.
pub(crate) fn key_algorithms(profile: &SshProfile) -> Vec<Algorithm> {
    SshProfile::wire(&profile.public_keys).iter().filter_map(|name| plain_algorithm(name)).collect()
}

fn plain_algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "rsa-sha2-512" => Some(Algorithm::Rsa { hash: Some(HashAlg::Sha512) }),
        "rsa-sha2-256" => Some(Algorithm::Rsa { hash: Some(HashAlg::Sha256) }),
        "ssh-rsa" => Some(Algorithm::Rsa { hash: None }),
        other => Algorithm::new(other).ok().filter(|a| !matches!(a, Algorithm::Other(_))),
    }
}

/// Whether a key of kind `key` can sign as `name`.
pub(crate) fn fits(key: &Algorithm, name: &Algorithm) -> bool {
    match (key, name) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        (key, name) => key == name,
    }
}

/// Limits of one set of keys; none in the profile means ours.
fn rekey_limits(profile: &SshProfile) -> russh::Limits {
    let octets = match usize::from(profile.rekey_megabytes) {
        0 => REKEY_OCTETS_MAX,
        megabytes => megabytes.saturating_mul(MEGABYTE),
    };
    let time = match u64::from(profile.rekey_minutes) {
        0 => REKEY_TIME_MAX,
        minutes => Duration::from_secs(minutes.saturating_mul(60)),
    };
    russh::Limits { rekey_write_limit: octets, rekey_read_limit: octets, rekey_time_limit: time }
}

/// Our version line: no version and no name of the library (BP-20).
fn version_line(software: &str) -> SshId {
    let plain: String = software.chars().filter(|c| c.is_ascii_graphic() && *c != '-').take(64).collect();
    let name = if plain.is_empty() { "Gatehouse" } else { &plain };
    SshId::Standard(Cow::Owned(format!("SSH-2.0-{name}")))
}

/// Methods in the words of the library.
pub(crate) fn method_set(methods: Methods) -> MethodSet {
    let mut set = MethodSet::empty();
    if methods.public_key {
        set.push(MethodKind::PublicKey);
    }
    if methods.password {
        set.push(MethodKind::Password);
    }
    set
}

#[cfg(test)]
mod tests {
    use model::ssh_algorithms::{ALGORITHMS, Class};

    use super::*;

    #[test] // SSH-7, BP-22
    fn the_library_knows_every_available_algorithm_and_none_that_protects_nothing() {
        for algorithm in ALGORITHMS {
            for wire in algorithm.wire {
                let is_known = match algorithm.class {
                    Class::Kex => known::<kex::Name>("", &[wire]).is_ok(),
                    Class::Cipher => known::<cipher::Name>("", &[wire]).is_ok(),
                    Class::Mac => known::<mac::Name>("", &[wire]).is_ok(),
                    Class::Compression => compression::Name::try_from(*wire).is_ok(),
                    Class::PublicKey => plain_algorithm(wire).is_some(),
                };
                assert_eq!(is_known, algorithm.available, "{algorithm:?} {wire}");
            }
        }
        assert!(known::<cipher::Name>("cipher", &["none", "clear"]).is_err());
        assert!(known::<mac::Name>("MAC", &["none"]).is_err());
    }

    #[test]
    fn keys_fit_their_signatures_only() {
        let rsa = Algorithm::Rsa { hash: None };
        assert!(fits(&rsa, &Algorithm::Rsa { hash: Some(HashAlg::Sha512) }));
        assert!(fits(&Algorithm::Ed25519, &Algorithm::Ed25519) && !fits(&Algorithm::Ed25519, &rsa));
    }

    #[test] // BP-20
    fn the_version_line_holds_one_plain_word() {
        for (software, line) in
            [("Gatehouse", "SSH-2.0-Gatehouse"), ("a-b c\r\n1", "SSH-2.0-abc1"), ("", "SSH-2.0-Gatehouse")]
        {
            assert!(matches!(version_line(software), SshId::Standard(text) if text == line), "{software:?}");
        }
    }
}
