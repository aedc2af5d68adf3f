//! What a fresh installation has.

use crate::object::{Body, DEFAULT_GROUP, Draft, Kind, ObjectState, Value};

/// The CLIENT profile of sites that name none (SSH-4, SSH-5).
pub const SFTP_OUT: &str = "SFTP_OUT";
/// The SERVER profile made at installation.
pub const SFTP_IN: &str = "SFTP_IN";
/// The gateway's own SSH key, made at the first start as ED25519.
pub const GATEHOUSE_KEY: &str = "GATEHOUSE_SSH";

/// The objects of a fresh installation, in the order in which they can be created; the key [`GATEHOUSE_KEY`] comes before
/// them. No listener and no network profile: nothing is let in until a person says so (NET-13).
#[must_use]
pub fn default_objects() -> Vec<Draft> {
    let text = |text: &str| Value::from(text);
    vec![
        draft(Kind::SshProfile, SFTP_OUT, &[("type", text("CLIENT"))]),
        draft(
            Kind::SshProfile,
            SFTP_IN,
            &[
                ("type", text("SERVER")),
                ("key_exchange_algos", Value::List(SERVER_KEX.iter().map(|name| (*name).to_owned()).collect())),
                ("private_key_alias", Value::List(vec![GATEHOUSE_KEY.to_owned()])),
            ],
        ),
        draft(Kind::LocalSite, "GATEHOUSE", &[("comments", text("this gateway"))]),
        draft(Kind::Application, "FTP_B", &[("comments", text("files of SFTP, unchanged"))]),
        draft(Kind::Application, "DEFAULT", &[("comments", text("files of partners that name no application"))]),
    ]
}

/// Key exchange of the delivered server profile: the default list without the NIST curves, which auditors of SSH servers
/// mark as doubtful. Profiles that partners need them in have them by default.
const SERVER_KEX: [&str; 6] = [
    "MLKEM768X25519_SHA256",
    "CURVE25519",
    "DH_GROUP_EXCHANGE_SHA256",
    "DH_GROUP16_SHA512",
    "DH_GROUP18_SHA512",
    "DH_GROUP14_SHA256",
];

fn draft(kind: Kind, name: &str, values: &[(&str, Value)]) -> Draft {
    let body: Body = values.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect();
    Draft { kind, name: name.to_owned(), group: DEFAULT_GROUP.to_owned(), state: ObjectState::Enabled, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{check_body, check_name};

    #[test]
    fn default_objects_are_valid_and_let_nobody_in() {
        let drafts = default_objects();
        for draft in &drafts {
            assert_eq!(check_name(draft.kind, &draft.name), Ok(()));
            assert_eq!(check_body(draft.kind, &draft.body), Ok(draft.body.clone()), "{}", draft.name);
        }
        // NET-13
        assert!(drafts.iter().all(|d| !matches!(d.kind, Kind::Listener | Kind::NetworkProfile | Kind::Cgate)));
        // SSH-5
        assert!(drafts.iter().any(|d| d.name == SFTP_OUT && d.body.get("type") == Some(&"CLIENT".into())));
    }
}
