//! Certificate policies (RFC 5280 section 6.1). Any policy that all authorities agree on is good enough for us, so what is
//! kept is not the tree but the set at its lowest level: the tree is empty exactly when this set is.

use std::collections::BTreeSet;

use ::der::asn1::ObjectIdentifier;

use super::path::Failure;
use crate::certificate::Certificate;

/// What holds after the certificates above.
pub(super) struct PolicyState {
    expected: BTreeSet<ObjectIdentifier>,
    /// Certificates until a policy is needed, until mappings no longer count, until `anyPolicy` no longer does.
    explicit: u32,
    mapping: u32,
    any: u32,
}

impl Default for PolicyState {
    fn default() -> Self {
        Self { expected: BTreeSet::from([ANY]), explicit: u32::MAX, mapping: u32::MAX, any: u32::MAX }
    }
}

impl PolicyState {
    /// Section 6.1.3 (d) to (f).
    pub(super) fn enter(&mut self, certificate: &Certificate, is_end: bool) -> Result<(), Failure> {
        let takes_any = self.any > 0 || (!is_end && certificate.is_self_issued());
        let mut next = BTreeSet::new();
        for policy in certificate.extensions().policies.iter().flatten() {
            if *policy == ANY && takes_any {
                next.extend(self.expected.iter().copied());
            } else if *policy != ANY && (self.expected.contains(policy) || self.expected.contains(&ANY)) {
                next.insert(*policy);
            }
        }
        self.expected = next;
        if is_end {
            // Section 6.1.5 (a) and (b).
            self.explicit = self.explicit.saturating_sub(1);
            if certificate.extensions().require_policy == Some(0) {
                self.explicit = 0;
            }
        }
        self.end()
    }

    /// Section 6.1.4 (a), (b), (h) to (j).
    pub(super) fn leave(&mut self, certificate: &Certificate) -> Result<(), Failure> {
        let extensions = certificate.extensions();
        let mut mapped = BTreeSet::new();
        let mut gone = BTreeSet::new();
        for (own, other) in &extensions.policy_mappings {
            if *own == ANY || *other == ANY {
                return Err(Failure::Policy("anyPolicy is mapped, which is not allowed"));
            }
            let applies = self.expected.contains(own) || self.expected.contains(&ANY);
            if self.mapping > 0 && applies {
                mapped.insert(*other);
            }
            gone.insert(*own);
        }
        self.expected.retain(|policy| !gone.contains(policy));
        self.expected.extend(mapped);
        if !certificate.is_self_issued() {
            for counter in [&mut self.explicit, &mut self.mapping, &mut self.any] {
                *counter = counter.saturating_sub(1);
            }
        }
        self.explicit = self.explicit.min(extensions.require_policy.unwrap_or(u32::MAX));
        self.mapping = self.mapping.min(extensions.inhibit_mapping.unwrap_or(u32::MAX));
        self.any = self.any.min(extensions.inhibit_any_policy.unwrap_or(u32::MAX));
        Ok(())
    }

    /// Whether a policy is left, where one is needed.
    pub(super) fn end(&self) -> Result<(), Failure> {
        if self.explicit == 0 && self.expected.is_empty() {
            Err(Failure::Policy("one is required, and none is common to all authorities"))
        } else {
            Ok(())
        }
    }
}

const ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32.0");
