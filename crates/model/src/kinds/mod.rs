//! One file for each kind: its descriptor, its meant type, and how the one becomes the other.

pub(crate) mod addresses;
pub(crate) mod application;
pub(crate) mod binding;
pub(crate) mod certificate;
pub(crate) mod cgate;
pub(crate) mod cgate_group;
pub(crate) mod crl;
pub(crate) mod decision_rule;
pub(crate) mod drop_folder;
pub(crate) mod hook;
pub(crate) mod key;
pub(crate) mod listener;
pub(crate) mod local_site;
pub(crate) mod network_profile;
pub(crate) mod partner_commands;
pub(crate) mod proxy;
pub(crate) mod real_folder;
pub(crate) mod remote_site;
pub(crate) mod rule_table;
pub(crate) mod site_tls;
pub(crate) mod ssh_profile;
pub(crate) mod store_limits;
pub(crate) mod tls_profile;
pub(crate) mod transfer_model;
pub(crate) mod transfer_rates;
pub(crate) mod vfd_dir;
pub(crate) mod webhook;

use crate::read::Reader;

/// Protocols in which partners call.
pub(crate) const PARTNER_PROTOCOLS: &[&str] = &["SFTP", "FTP"];

/// Notes a path that is no absolute virtual folder: parts without `.`, `..`, empty ones and control characters, each of
/// at most 127 characters (objects.md section 8).
pub(crate) fn check_folder(r: &mut Reader<'_>, field: &'static str, path: &str) {
    if let Err(wrong) = folder_path(path) {
        r.error(field, wrong, "write it as /folder/below");
    }
}

/// Most characters of one part of a virtual path.
const PART_MAX: usize = 127;
/// Most characters of a virtual path.
const PATH_MAX: usize = 255;

/// Why `path` is no absolute virtual folder.
pub(crate) fn folder_path(path: &str) -> Result<(), String> {
    if path == "/" {
        return Ok(());
    }
    let Some(inner) = path.strip_prefix('/') else {
        return Err(format!("{path:?} is no absolute path"));
    };
    if path.chars().count() > PATH_MAX {
        return Err(format!("the path has more than {PATH_MAX} characters"));
    }
    for part in inner.split('/') {
        match part {
            "" => return Err(format!("{path:?} has an empty part")),
            "." | ".." => return Err(format!("{path:?} has a part {part:?}")),
            _ if part.chars().any(char::is_control) => return Err("the path has a control character".into()),
            _ if part.chars().count() > PART_MAX => {
                return Err(format!("a part of the path is above {PART_MAX} characters"));
            }
            _ => {}
        }
    }
    Ok(())
}
