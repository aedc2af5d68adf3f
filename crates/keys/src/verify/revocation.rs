//! Whether a certificate of a path was revoked, as far as the lists of the store tell.

use super::build::PathRequest;
use super::crl::{Answer, Crl};
use super::path::{Failure, Step};
use super::policy::Revocation;
use super::validate::Fault;
use crate::certificate::Certificate;

/// Looks at every certificate below the root.
pub(super) fn check(request: &PathRequest<'_>, steps: &[Step]) -> Result<(), Fault> {
    if request.policy.revocation == Revocation::Ignore {
        return Ok(());
    }
    for (at, pair) in steps.windows(2).enumerate() {
        if let [below, above] = pair {
            one(request, &below.certificate, &above.certificate).map_err(|failure| (at, failure))?;
        }
    }
    Ok(())
}

/// The newest list that can be used and is about the certificate decides.
fn one(request: &PathRequest<'_>, certificate: &Certificate, issuer: &Certificate) -> Result<(), Failure> {
    let mut lists: Vec<&Crl> = request.store.lists_of(certificate.issuer()).iter().collect();
    lists.sort_by_key(|list| std::cmp::Reverse(list.this_update()));
    let mut unusable = None;
    for list in lists {
        match list.judge(certificate, issuer, request.at, request.policy.algorithms) {
            Ok(Answer::Good) => return Ok(()),
            Ok(Answer::Revoked(at, reason)) => return Err(Failure::Revoked { at, reason }),
            Ok(Answer::NotMine) => {}
            Err(why) => unusable = unusable.or(Some(why)),
        }
    }
    match (unusable, request.policy.revocation) {
        (Some(why), _) => Err(Failure::RevocationUnknown(why)),
        (None, Revocation::Required) => {
            Err(Failure::RevocationUnknown("its issuer has no list in the store: import one".to_owned()))
        }
        (None, _) => Ok(()),
    }
}
