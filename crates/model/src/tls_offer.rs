//! Whether what a partner offers in TLS meets a profile, and which change mends it.

use crate::kinds::tls_profile::TlsProfile;
use crate::tls_suites::{TLS_SUITES, TlsSuite, TlsVersion, VERSIONS, find_suite};

/// What a partner offers, as far as it was said; an empty list stands for everything.
#[derive(Clone, Debug, Default)]
pub struct TlsOffer {
    /// Versions.
    pub versions: Vec<OfferedVersion>,
    /// Suites, in the partner's order.
    pub suites: Vec<&'static TlsSuite>,
}

/// A version that a partner offers: its documented name, and what it is here.
pub type OfferedVersion = (&'static str, Option<TlsVersion>);

/// What the two sides agree on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TlsAgreement {
    /// The version.
    pub version: TlsVersion,
    /// The suite.
    pub suite: &'static TlsSuite,
}

/// Why they do not agree.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text}; {fix}")]
pub struct TlsMiss {
    /// They offer this, the profile allows that.
    pub text: String,
    /// What to change.
    pub fix: String,
}

impl TlsOffer {
    /// Reads an offer: documented names, whatever the case.
    ///
    /// # Errors
    /// A name that nobody knows, and those that are known.
    pub fn parse(versions: &[String], suites: &[String]) -> Result<Self, String> {
        let version = |name: &String| {
            let known = VERSIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            known.map(|(known, version)| (*known, version.as_ref().ok().copied())).ok_or_else(|| {
                let names: Vec<&str> = VERSIONS.iter().map(|(name, _)| *name).collect();
                format!("{name:?} is no version: use some of {}", names.join(", "))
            })
        };
        let suite = |name: &String| {
            find_suite(name).ok_or_else(|| {
                let near = crate::nearest(name, TLS_SUITES.iter().map(|suite| suite.name));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                format!("{name:?} is no cipher suite that is known here: use the names of profiles{hint}")
            })
        };
        Ok(Self {
            versions: versions.iter().map(version).collect::<Result<_, _>>()?,
            suites: suites.iter().map(suite).collect::<Result<_, _>>()?,
        })
    }

    /// Whether nothing was said.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.versions.is_empty() && self.suites.is_empty()
    }

    fn has_version(&self, version: TlsVersion) -> bool {
        self.versions.is_empty() || self.versions.iter().any(|(_, offered)| *offered == Some(version))
    }

    fn has_suite(&self, suite: &TlsSuite) -> bool {
        self.suites.is_empty() || self.suites.iter().any(|offered| **offered == *suite)
    }

    fn has_suite_of(&self, version: TlsVersion) -> bool {
        self.suites.is_empty() || self.suites.iter().any(|suite| suite.version == version)
    }

    /// Where in the partner's order a suite stands.
    fn place(&self, suite: &TlsSuite) -> usize {
        self.suites.iter().position(|offered| **offered == *suite).unwrap_or(usize::MAX)
    }
}

impl TlsProfile {
    /// What a partner with this offer and the profile agree on. `has_key` says whether we can show a certificate that the
    /// suite needs; as client none is needed.
    ///
    /// # Errors
    /// What does not fit, and what to change.
    pub fn meets(&self, offer: &TlsOffer, has_key: &dyn Fn(&TlsSuite) -> bool) -> Result<TlsAgreement, TlsMiss> {
        let both: Vec<TlsVersion> = [TlsVersion::V13, TlsVersion::V12]
            .into_iter()
            .filter(|version| self.speaks(*version) && offer.has_version(*version))
            .collect();
        if both.is_empty() {
            return Err(self.no_version(offer));
        }
        // The version is chosen first, the suite in it: there is no way back to the older one.
        let Some(version) = both.iter().copied().find(|version| offer.has_suite_of(*version)) else {
            return Err(self.no_suite(offer, &both));
        };
        let fits = |suite: &&&'static TlsSuite| suite.version == version && offer.has_suite(suite);
        let shared: Vec<&'static TlsSuite> = self.suites.iter().filter(fits).copied().collect();
        if shared.is_empty() {
            return Err(self.no_suite(offer, &[version]));
        }
        let usable = || shared.iter().copied().filter(|suite| has_key(suite));
        let rank = |suite: &&'static TlsSuite| {
            let ours = shared.iter().position(|other| other == suite);
            if self.server_order || offer.suites.is_empty() { ours } else { Some(offer.place(suite)) }
        };
        match usable().min_by_key(rank) {
            Some(suite) => Ok(TlsAgreement { version, suite }),
            None => Err(self.no_key(&shared)),
        }
    }

    /// It has the version, and a suite for it.
    fn speaks(&self, version: TlsVersion) -> bool {
        self.versions.contains(&version) && self.suites.iter().any(|suite| suite.version == version)
    }

    fn no_version(&self, offer: &TlsOffer) -> TlsMiss {
        let theirs = offer.versions.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let ours = self.versions.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", ");
        let can = offer.versions.iter().find_map(|(name, version)| Some((name, (*version)?)));
        let fix = match can {
            Some((name, version)) if self.versions.contains(&version) => {
                format!("add a suite of {name} to cipher_suites of profile {}", self.name)
            }
            Some((name, _)) => format!("add {name} to tls_versions of profile {}, and a suite of it", self.name),
            None => "bring the partner's software up to date: versions before TLSv12 are not spoken here".to_owned(),
        };
        TlsMiss { text: format!("they offer {theirs}, profile {} allows {ours}", self.name), fix }
    }

    fn no_suite(&self, offer: &TlsOffer, common: &[TlsVersion]) -> TlsMiss {
        let named = |suites: &[&TlsSuite]| suites.iter().map(|suite| suite.name).collect::<Vec<_>>().join(", ");
        let ours: Vec<&TlsSuite> = self.suites.iter().copied().filter(|s| common.contains(&s.version)).collect();
        let available: Vec<&TlsSuite> = offer.suites.iter().copied().filter(|suite| suite.available).collect();
        let fix = match available.iter().find(|suite| common.contains(&suite.version)).or(available.first()) {
            Some(suite) if common.contains(&suite.version) => {
                format!("add {} to cipher_suites of profile {}", suite.name, self.name)
            }
            Some(suite) => format!(
                "add {} to cipher_suites and {} to tls_versions of profile {}, and see that the partner speaks that version",
                suite.name,
                suite.version.as_str(),
                self.name
            ),
            None => {
                let why =
                    offer.suites.first().map(|suite| format!(" ({}: {})", suite.name, suite.why)).unwrap_or_default();
                format!("let the partner enable one of {}; none of theirs can be had here{why}", named(&ours))
            }
        };
        let text = format!("they offer {}, profile {} allows {}", named(&offer.suites), self.name, named(&ours));
        TlsMiss { text, fix }
    }

    fn no_key(&self, shared: &[&'static TlsSuite]) -> TlsMiss {
        let names: Vec<&str> = shared.iter().map(|suite| suite.name).collect();
        let kinds: std::collections::BTreeSet<&str> =
            shared.iter().map(|suite| suite.key_algorithm().unwrap_or("RSA, ECDSA or Ed25519")).collect();
        let kinds = kinds.into_iter().collect::<Vec<_>>().join(" or ");
        TlsMiss {
            text: format!(
                "both have {}, which take a certificate with a key of the kind {kinds}, and profile {} has none to show",
                names.join(", "),
                self.name
            ),
            fix: format!("add such a certificate to user_local_certificate of profile {}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Kind;
    use crate::testing::{object, with_profiles};

    fn profile(fields: &[(&str, &str)]) -> std::sync::Arc<TlsProfile> {
        let mut all = vec![("user_local_certificate", "OWN")];
        all.extend(fields);
        with_profiles(vec![object(Kind::TlsProfile, "P", &all)]).tls_profile("P").unwrap().clone()
    }

    fn offer(versions: &str, suites: &str) -> TlsOffer {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        TlsOffer::parse(&list(versions), &list(suites)).unwrap()
    }

    // issue 5: they offer X, this profile allows Y, change Z
    #[test]
    fn an_offer_meets_or_the_change_is_told() {
        let usual = profile(&[]);
        let old = profile(&[("tls_versions", "TLSv12"), ("cipher_suites", "ECDHE_RSA_WITH_AES_256_GCM_SHA384")]);
        let met = |profile: &TlsProfile, versions: &str, suites: &str| {
            let found = profile.meets(&offer(versions, suites), &|suite| suite.key_algorithm() != Some("ECDSA"));
            found.map(|agreed| agreed.suite.name).map_err(|miss| miss.to_string())
        };
        assert!(met(&usual, "", "").unwrap().starts_with("TLS_AES"));
        assert_eq!(
            met(&usual, "TLSv12 TLSv11", "ECDHE_RSA_WITH_AES_128_GCM_SHA256").unwrap(),
            "ECDHE_RSA_WITH_AES_128_GCM_SHA256"
        );
        assert_eq!(met(&old, "", "").unwrap(), "ECDHE_RSA_WITH_AES_256_GCM_SHA384");
        for (profile, versions, suites, parts) in [
            (&usual, "TLSv1 TLSv11", "", ["they offer TLSv1, TLSv11, profile P allows TLSv1", "up to date"]),
            (&old, "TLSv13", "", ["they offer TLSv13, profile P allows TLSv12", "add TLSv13 to tls_versions"]),
            (
                &old,
                "TLSv12",
                "ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                [
                    "profile P allows ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                    "add ECDHE_RSA_WITH_AES_128_GCM_SHA256 to cipher_suites",
                ],
            ),
            (&old, "TLSv12", "TLS_AES_128_GCM_SHA256", ["they offer TLS_AES_128_GCM_SHA256", "TLSv13 to tls_versions"]),
            (
                &old,
                "",
                "RSA_WITH_AES_128_CBC_SHA",
                ["they offer RSA_WITH_AES_128_CBC_SHA", "let the partner enable one of"],
            ),
            (
                &usual,
                "TLSv12",
                "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                ["of the kind ECDSA", "user_local_certificate of profile P"],
            ),
        ] {
            let said = met(profile, versions, suites).unwrap_err();
            assert!(parts.iter().all(|part| said.contains(part)), "{versions} {suites}: {said}");
        }
        assert!(TlsOffer::parse(&["TLSv9".to_owned()], &[]).unwrap_err().contains("TLSv13"));
        let said = TlsOffer::parse(&[], &["TLS_AES_128_GCM_SHA".to_owned()]).unwrap_err();
        assert!(said.contains("did you mean TLS_AES_128_GCM_SHA256?"), "{said}");
    }

    #[test] // TLS-4
    fn our_order_decides_or_theirs() {
        let both = "ECDHE_RSA_WITH_AES_256_GCM_SHA384 ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        let theirs = offer("TLSv12", "ECDHE_RSA_WITH_AES_128_GCM_SHA256 ECDHE_RSA_WITH_AES_256_GCM_SHA384");
        for (server_order, expected) in [("Y", "AES_256"), ("N", "AES_128")] {
            let profile =
                profile(&[("tls_versions", "TLSv12"), ("cipher_suites", both), ("server_order", server_order)]);
            assert!(profile.meets(&theirs, &|_| true).unwrap().suite.name.contains(expected));
        }
    }
}
