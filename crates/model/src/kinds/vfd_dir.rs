//! A virtual folder, or a real one mounted at its place (objects.md section 8).

use base::ObjectId;

use crate::field::{COMMENTS, Field, NameRule, ObjectDescriptor};
use crate::object::Kind;
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::VfdDir,
    title: "virtual folder",
    about: "A folder that partners see; its name is its absolute path.",
    name_field: Field::text("dir_name", 255, "absolute path of the folder")
        .shorts(&["dn"])
        .aliases(&["vd_dir_name", "name", "path"])
        .required(),
    name_rule: NameRule::Path { max: 255 },
    fields: &[
        Field::text("alias", 32, "short name of the folder").shorts(&["a"]).aliases(&["vd_alias", "dir_name_alias"]),
        Field::choice("type", &["DIR", "MOUNT"], "DIR holds transfer records, MOUNT shows a real folder")
            .shorts(&["t"])
            .aliases(&["vd_type"])
            .default("DIR"),
        Field::text("target", 4095, "absolute path of the real folder of a MOUNT").aliases(&["vd_target", "real_dir", "mount"]),
        Field::choice("filename_duplicate_policy", &["DUPLICATE", "FORBID", "OVERRIDE"], "when a name is used again")
            .shorts(&["fdp"])
            .aliases(&["vd_filename_duplicate_policy"])
            .default("DUPLICATE")
            .detail("DUPLICATE: the newest file has the name, the older record stays; FORBID: refused; OVERRIDE: the older one is cancelled"),
        Field::choice("filename_display_option", &["STANDARD", "XFB"], "names in listings: the file's, or s<ident>.<name>")
            .shorts(&["fdo"])
            .aliases(&["vd_filename_display_option"])
            .default("STANDARD"),
        Field::flag("mbx_recording", "Y", "uploads and downloads in a MOUNT make transfer records")
            .shorts(&["mr"])
            .aliases(&["vd_mbx_recording"]),
        Field::flag("tls_only", "N", "seen over a secured connection only").shorts(&["to"]).aliases(&["vd_tls_only"]),
        Field::text("route_remote_agent", 63, "site that gets the files received here")
            .shorts(&["rra"])
            .aliases(&["vd_route_remote_agent"])
            .detail("&(destination) and $(LOGIN_USER) are replaced"),
        Field::text("user_attribute", 80, "text of the user's own").shorts(&["ua"]).aliases(&["vd_user_attribute"]),
        COMMENTS,
    ],
    group_field: None,
    state_field: None,
    summary: &["type", "target", "alias", "filename_duplicate_policy"],
};

/// What a folder is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DirType {
    /// Its files are transfer records.
    Virtual,
    /// It shows the real folder at this absolute path.
    Mount(String),
}

/// What happens when a name is used again (DESIGN 1.19).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DuplicatePolicy {
    /// The newest file has the name, the older record stays.
    Duplicate,
    /// The second file is refused.
    Forbid,
    /// The older one is cancelled.
    Override,
}

/// How names are listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DisplayOption {
    /// The file's name.
    Standard,
    /// `s<ident>.<name>`.
    Xfb,
}

/// A folder that partners see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VfdDir {
    /// Number of its object.
    pub id: ObjectId,
    /// Absolute path, `/` between parts, none at the end.
    pub path: String,
    /// Short name.
    pub alias: Option<String>,
    /// What it is.
    pub dir_type: DirType,
    /// When a name is used again.
    pub duplicates: DuplicatePolicy,
    /// How names are listed.
    pub display: DisplayOption,
    /// Uploads and downloads in a mount make transfer records.
    pub recording: bool,
    /// Seen over a secured connection only.
    pub secure_only: bool,
    /// Site that gets the files received here.
    pub route_remote_agent: Option<String>,
    /// Text of the user's own.
    pub user_attribute: String,
    /// Free text.
    pub comments: String,
}

impl VfdDir {
    /// The path of the folder it is in; `None` for `/`.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        parent(&self.path)
    }

    /// The last part of its path; empty for `/`.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// The folder that `path` is in; `None` for `/`.
pub(crate) fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        _ if path == "/" => None,
        Some(("", _)) => Some("/"),
        Some((parent, _)) => Some(parent),
        None => None,
    }
}

impl Meant for VfdDir {
    fn read(r: &mut Reader<'_>) -> Self {
        const DUPLICATES: &[(&str, DuplicatePolicy)] = &[
            ("DUPLICATE", DuplicatePolicy::Duplicate),
            ("FORBID", DuplicatePolicy::Forbid),
            ("OVERRIDE", DuplicatePolicy::Override),
        ];
        const DISPLAY: &[(&str, DisplayOption)] = &[("STANDARD", DisplayOption::Standard), ("XFB", DisplayOption::Xfb)];
        let path = r.object.name.clone();
        super::check_folder(r, "", &path);
        let mount = r.choice("type", &[("DIR", false), ("MOUNT", true)], false);
        let dir_type = match (mount, r.text("target")) {
            (false, None) => DirType::Virtual,
            (false, Some(_)) => {
                r.error("target", "only a MOUNT has a target", "clear it, or set the type to MOUNT");
                DirType::Virtual
            }
            (true, Some(target)) if target.starts_with('/') && !target.contains('\0') => DirType::Mount(target),
            (true, _) => {
                r.error(
                    "target",
                    "a MOUNT needs the absolute path of a real folder",
                    "give it, or set the type to DIR",
                );
                DirType::Mount(String::new())
            }
        };
        Self {
            id: r.object.id,
            path,
            alias: r.text("alias"),
            dir_type,
            duplicates: r.choice("filename_duplicate_policy", DUPLICATES, DuplicatePolicy::Duplicate),
            display: r.choice("filename_display_option", DISPLAY, DisplayOption::Standard),
            recording: r.flag("mbx_recording"),
            secure_only: r.flag("tls_only"),
            route_remote_agent: r.text("route_remote_agent"),
            user_attribute: r.text_or_empty("user_attribute"),
            comments: r.text_or_empty("comments"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;
    use crate::testing::object;

    #[test]
    fn folders_and_mounts() {
        let (dir, problems) = read::<VfdDir>(&object(Kind::VfdDir, "/in/a", &[]));
        assert_eq!(problems, []);
        assert_eq!((dir.parent(), dir.file_name(), &dir.dir_type), (Some("/in"), "a", &DirType::Virtual));
        assert_eq!((dir.duplicates, dir.display), (DuplicatePolicy::Duplicate, DisplayOption::Standard)); // DESIGN 1.19
        let fields = [("type", "mount"), ("target", "/srv/a"), ("filename_duplicate_policy", "forbid")]; // OBJ-23
        let dir = read::<VfdDir>(&object(Kind::VfdDir, "/m", &fields)).0;
        assert_eq!((dir.parent(), &dir.dir_type), (Some("/"), &DirType::Mount("/srv/a".into())));
        assert_eq!(dir.duplicates, DuplicatePolicy::Forbid);
    }

    #[test]
    fn a_mount_needs_an_absolute_target_and_a_folder_none() {
        for fields in [&[("type", "MOUNT")][..], &[("type", "MOUNT"), ("target", "srv")], &[("target", "/srv")]] {
            let body = fields.iter().map(|(field, text)| ((*field).to_owned(), crate::Value::from(*text))).collect();
            let problems = crate::check_body(Kind::VfdDir, &body).unwrap_err();
            assert_eq!(problems.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["target"], "{fields:?}");
        }
    }

    #[test]
    fn long_names_are_refused() {
        // OBJ-22
        for (path, fits) in [
            (format!("/{}", "a".repeat(127)), true),
            (format!("/{}", "a".repeat(128)), false),
            (format!("/{}", vec!["a".repeat(50); 5].join("/")), true),
            (format!("/{}", vec!["a".repeat(50); 6].join("/")), false),
            ("/a\u{7}".to_owned(), false),
        ] {
            assert_eq!(crate::check_name(Kind::VfdDir, &path).is_ok(), fits, "{path}");
        }
    }
}
