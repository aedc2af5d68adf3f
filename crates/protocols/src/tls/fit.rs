//! What a site asks of its partner's session: its TLS profile and its certificate filter.

use std::sync::Arc;

use base::Pattern;
use channel::{TlsServer, TlsSession, templates};
use engine::admit::{LoginLine, Unfit, tls_other_certificate};
use engine::{Engine, Secured};
use keys::verify::Verified;
use model::{LoginTls, RemoteSite};

/// What was negotiated is not what the site asks for.
const NEGOTIATED: u16 = 51;
/// The partner's chain is not what the site's profile asks for.
const CHAIN: u16 = 52;

/// A connection that the gateway was called on, as gates and sites ask about it.
pub struct Line {
    engine: Arc<Engine>,
    session: Option<(TlsSession, LoginTls)>,
}

impl Line {
    /// In clear, or in this session by this profile.
    #[must_use]
    pub fn new(engine: Arc<Engine>, session: Option<(&TlsSession, &TlsServer)>) -> Self {
        let session = session
            .map(|(session, server)| (session.clone(), LoginTls::of(server.profile(), session.client_authenticated())));
        Self { engine, session }
    }

    fn session(&self) -> Option<&TlsSession> {
        self.session.as_ref().map(|(session, _)| session)
    }
}

/// A session, as records of transfers keep it (TLS-29).
pub(crate) fn secured(session: &TlsSession) -> Secured {
    Secured {
        profile: session.profile().to_owned(),
        version: session.version().as_str().to_owned(),
        suite: session.suite().to_owned(),
        client_authenticated: session.client_authenticated(),
        // No suite that we speak does without.
        server_authenticated: true,
    }
}

impl LoginLine for Line {
    fn tls(&self) -> Option<LoginTls> {
        self.session.as_ref().map(|(_, tls)| tls.clone())
    }

    fn secured(&self) -> Option<Secured> {
        self.session().map(secured)
    }

    fn certificate(&self) -> Option<String> {
        self.session()?.peer()?.alias().map(str::to_owned)
    }

    /// What the site's incoming profile asks for (TLS-27, TLS-28), and its certificate filter (TLS-44). Neither is asked
    /// for by a site that has none.
    fn fits(&self, site: &RemoteSite) -> Result<Option<String>, Unfit> {
        let session = self.session();
        let peer = session.and_then(TlsSession::peer);
        filter(&self.engine, site, peer)?;
        let Some(name) = &site.tls.incoming else { return Ok(None) };
        let snapshot = self.engine.snapshot();
        let unfit = |event: u16, text: String, fix: String| Unfit { event, text, fix };
        let Some(session) = session else {
            let text =
                format!("site {} has the TLS profile {name} (tls_sprof_in), and the session is in clear", site.name);
            let fix = "let the partner connect with TLS, or clear tls_sprof_in".to_owned();
            return Err(unfit(NEGOTIATED, text, fix));
        };
        let Some(profile) = snapshot.tls_profile(name.as_str()) else {
            let text = super::absent(&snapshot, site, ("tls_sprof_in", name.as_str())).to_string();
            return Err(unfit(
                NEGOTIATED,
                text,
                format!("create or correct it, or clear tls_sprof_in of site {}", site.name),
            ));
        };
        let mismatches = profile.mismatches(&session.negotiated());
        if !mismatches.is_empty() {
            let listed: Vec<String> = mismatches.into_iter().map(|(code, text)| format!("{text} ({code})")).collect();
            let listed = listed.join("; ");
            let text = format!("the session ({session}) does not fit profile {name} of site {}: {listed}", site.name);
            let fix = format!("let the partner's software agree to what {name} asks for, or change that profile");
            return Err(unfit(NEGOTIATED, text, fix));
        }
        if let Some(peer) = peer {
            let fits = templates(&profile.trust).check(peer.path(), &self.engine.trust_store());
            fits.map_err(|refusal| {
                let fix = format!("let the partner show another certificate, or change the templates of {name}");
                unfit(CHAIN, format!("profile {name} of site {}: {refusal}", site.name), fix)
            })?;
        }
        Ok(Some(profile.name.clone()).filter(|name| session.profile() != name))
    }
}

/// The certificate filter of a site: it can only restrict (OBJ-13).
pub(super) fn filter(engine: &Engine, site: &RemoteSite, peer: Option<&Verified>) -> Result<(), Unfit> {
    let filter = &site.tls;
    if !filter.has_filter() {
        return Ok(());
    }
    let unfit = |text: String, fix: String| Err(Unfit { event: 0, text, fix });
    let Some((peer, end)) = peer.and_then(|p| Some((p, &p.path().steps().first()?.certificate))) else {
        let text = format!("site {} asks for a certificate of the partner, and it has shown none", site.name);
        return unfit(
            text,
            "let the partner's software show one, or clear the certificate filter of the site".to_owned(),
        );
    };
    let store = engine.trust_store();
    let refused =
        |text: String, fix: String| unfit(format!("the certificate filter of site {}: {text}", site.name), fix);
    if let Some(alias) = &filter.subject {
        let named = store.by_alias(alias.as_str());
        if named.is_none_or(|named| named.certificate != *end) {
            let text = format!("the partner shows the certificate of {}, only {alias} is accepted", end.subject());
            tls_other_certificate(engine, &site.name, end, text.clone());
            let fix =
                "ask the partner; if it is a new one of theirs, import it and name it as remote_subject_cert_alias";
            return refused(text, fix.to_owned());
        }
        if named.is_none_or(|named| !named.state.is_enabled()) {
            return refused(format!("{alias} is not enabled"), "enable it, if it is still the partner's".to_owned());
        }
    }
    if let Some(alias) = &filter.issuer {
        // Who signs itself has certified itself.
        let issuer = peer.path().steps().get(1).map_or(end, |step| &step.certificate);
        let named = store.by_alias(alias.as_str()).filter(|named| named.state.is_enabled());
        if named.is_none_or(|named| named.certificate != *issuer) {
            let text = format!("the partner's certificate is certified by {}, not by {alias}", issuer.subject());
            return refused(
                text,
                format!("ask the partner; {alias} must be enabled, or remote_issuer_cert_alias another"),
            );
        }
    }
    let fits = |pattern: &Option<Pattern>, text: &str| {
        pattern.as_ref().is_none_or(|pattern| pattern.matches(text, base::QuestionMark::One))
    };
    for (what, field, pattern, name) in [
        ("subject", "remote_subject_pattern", &filter.subject_pattern, end.subject()),
        ("issuer", "remote_issuer_pattern", &filter.issuer_pattern, end.issuer()),
    ] {
        if !fits(pattern, &name.to_string()) {
            return refused(format!("the {what} {name} does not fit"), format!("ask the partner, or change {field}"));
        }
    }
    Ok(())
}
