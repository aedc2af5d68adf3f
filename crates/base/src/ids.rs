//! Numbers of stored things. Each is positive and never used twice (TRF-2).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

id!(
    /// A configured object: a profile, site, gate, key.
    ObjectId
);
id!(
    /// A transfer, shown to people as its local identifier.
    TransferId
);
id!(
    /// The stored content of a file.
    PayloadId
);
