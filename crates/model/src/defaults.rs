//! What a fresh installation has.

use crate::object::{Body, DEFAULT_GROUP, Draft, Kind, ObjectState, Value};
use crate::ssh_algorithms::{ALGORITHMS, Algorithm, Class, Strength};

/// The CLIENT profile of sites that name none (SSH-4, SSH-5).
pub const SFTP_OUT: &str = "SFTP_OUT";
/// The SERVER profile made at installation.
pub const SFTP_IN: &str = "SFTP_IN";
/// The CLIENT profile of sites that name none, for those who must not name a protocol.
pub const CLIENT_PROFILE: &str = SFTP_OUT;
/// The SERVER profile of ports that are opened for a partner without naming another.
pub const SERVER_PROFILE: &str = SFTP_IN;
/// The gateway's own SSH key, made at the first start as ED25519.
pub const GATEHOUSE_KEY: &str = "GATEHOUSE_SSH";

/// The objects of a fresh installation, in the order in which they can be created; the key [`GATEHOUSE_KEY`] comes before
/// them. No listener and no network profile: nothing is let in until a person says so (NET-13).
#[must_use]
pub fn default_objects() -> Vec<Draft> {
    let text = |text: &str| Value::from(text);
    vec![
        draft(Kind::SshProfile, SFTP_OUT, &[("type", text("CLIENT")), ("key_exchange_algos", client_kex())]),
        draft(
            Kind::SshProfile,
            SFTP_IN,
            &[("type", text("SERVER")), ("private_key_alias", Value::List(vec![GATEHOUSE_KEY.to_owned()]))],
        ),
        draft(Kind::LocalSite, "GATEHOUSE", &[("comments", text("this gateway"))]),
        draft(Kind::Application, "FTP_B", &[("comments", text("files of SFTP, unchanged"))]),
        draft(Kind::Application, "DEFAULT", &[("comments", text("files of partners that name no application"))]),
    ]
}

/// Key exchange of the delivered client profile: what is default, and the NIST curves, since some partners have no better.
/// As server we leave those out, for auditors mark them.
fn client_kex() -> Value {
    let taken = |a: &&Algorithm| a.class == Class::Kex && a.available && a.strength <= Strength::Optional;
    Value::List(ALGORITHMS.iter().filter(taken).map(|a| a.name.to_owned()).collect())
}

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
