//! A real folder of this machine that the business side puts files into, for the gateway to take.

use std::time::Duration;

use base::ObjectId;
use base::{Pattern, QuestionMark};

use super::real_folder::{Marker, marker, real_path};
use crate::field::{COMMENTS, Field, FieldKind, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};

/// Words of the field `ready`.
const READY: &[&str] = &["STABLE", "MARKER", "RENAME"];

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::DropFolder,
    title: "drop folder",
    about: "A real folder that the business side puts files into; each is taken in once, and routed.",
    name_field: Field::text("name", 31, "name of the drop folder").shorts(&["n"]).aliases(&["drop_name"]).required(),
    name_rule: NameRule::Word { max: 31 },
    fields: &[
        Field::text("real_path", 4095, "real folder that is watched")
            .shorts(&["rp"])
            .required()
            .detail("an absolute path of this machine, where the gateway's user may rename and remove files"),
        Field::new("file_patterns", FieldKind::List { max: 32, choices: None }, "names that are taken")
            .shorts(&["fp"])
            .default("*")
            .detail("with * and ?; names that begin with '.' or end in .tmp, .part, .filepart are never taken"),
        Field::new("exclude_patterns", FieldKind::List { max: 32, choices: None }, "names that are left alone")
            .shorts(&["ep"]),
        Field::choice("ready", READY, "when a file is whole").shorts(&["r"]).default("STABLE").detail(
            "STABLE: unchanged for stable_s; MARKER: its mark is there; RENAME: at once, since it was renamed in",
        ),
        Field::int("stable_s", (0, 86_400), "seconds", "time without a change after which a file is whole")
            .shorts(&["ss"])
            .default("5"),
        Field::text("done_marker", 127, "mark that a file is whole, for ready MARKER")
            .shorts(&["dm"])
            .default("&(file_name).done")
            .detail("the writer makes it behind the file; both are taken away together"),
        Field::flag("subfolders", "N", "folders below are watched too").shorts(&["sf"]),
        Field::int("period_s", (1, 86_400), "seconds", "time between two looks, where no notice of the system comes")
            .shorts(&["ps"])
            .default("30")
            .detail("a local disk tells of new files at once; network file systems do not"),
        Field::int("scan_max", (1, 100_000), "files", "most files that one look takes").shorts(&["sm"]).default("1000"),
        Field::choice("after", &["DELETE", "MOVE"], "what becomes of a file that was taken in")
            .default("DELETE")
            .detail("MOVE puts it into done_dir; either only when the gateway has it for sure"),
        Field::text("done_dir", 127, "folder below for files that were taken in").shorts(&["dd"]).default("done"),
        Field::text("error_dir", 127, "folder below for files that can't be taken, each with its reason")
            .shorts(&["ed"])
            .default("error"),
        Field::new("owners", FieldKind::List { max: 32, choices: None }, "whose files are taken")
            .shorts(&["ow"])
            .default("FOLDER")
            .detail("FOLDER: those of the folder's owner; user numbers; ANY; the gateway's own are always taken"),
        Field::new("site", FieldKind::Ref(Kind::RemoteSite), "site that the files come from")
            .shorts(&["s"])
            .detail("where none is named, the records show the name of the drop folder"),
        Field::new(
            "dest_alias",
            FieldKind::Ref(Kind::RemoteSite),
            "site that gets files which no rule sends elsewhere",
        )
        .shorts(&["da"]),
        Field::text("dir_name", 255, "virtual folder of the records, for rules and routing").shorts(&["dn"]),
        Field::new("appli", FieldKind::Ref(Kind::Application), "application of the files").shorts(&["ap"]),
        COMMENTS,
    ],
    group_field: None,
    state_field: Some(STATE),
    summary: &["real_path", "file_patterns", "ready", "site", "dest_alias", "state"],
};

/// When a file is whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Readiness {
    /// Size and time did not change for so long.
    Stable(Duration),
    /// Its mark is there, and not older than it.
    Marker(Marker),
    /// At once: it was renamed in.
    Rename,
}

/// Whose files are taken, besides the gateway's own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Owners {
    /// Everybody's.
    pub any: bool,
    /// Those of the folder's owner.
    pub folder: bool,
    /// Those of these users.
    pub users: Vec<u32>,
}

/// A real folder that is watched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DropFolder {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Absolute path of the folder.
    pub path: String,
    /// Names that are taken.
    pub patterns: Vec<Pattern>,
    /// Names that are left alone all the same.
    pub excluded: Vec<Pattern>,
    /// When a file is whole.
    pub ready: Readiness,
    /// Whether folders below are watched.
    pub subfolders: bool,
    /// Time between two looks.
    pub period: Duration,
    /// Most files of one look.
    pub scan_max: usize,
    /// Folder below for files that were taken in; `None`: they are deleted.
    pub done_dir: Option<String>,
    /// Folder below for files that can't be taken.
    pub error_dir: String,
    /// Whose files are taken.
    pub owners: Owners,
    /// Site that the files come from, as their records show it.
    pub site: String,
    /// Site that gets what no rule sends elsewhere.
    pub destination: Option<String>,
    /// Virtual folder of the records; empty for none.
    pub dir_name: String,
    /// Application of the files; empty for none.
    pub appli: String,
    /// Free text.
    pub comments: String,
    /// Whether it is watched.
    pub enabled: bool,
}

impl DropFolder {
    /// Whether files of this name are taken; never hidden ones, and no marks.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        let fits = |all: &[Pattern]| all.iter().any(|p| p.matches(name, QuestionMark::One));
        let is_mark = matches!(&self.ready, Readiness::Marker(mark) if mark.file(name.as_bytes()).is_some());
        !name.starts_with('.') && !is_mark && fits(&self.patterns) && !fits(&self.excluded)
    }
}

impl Meant for DropFolder {
    fn read(r: &mut Reader<'_>) -> Self {
        let dir_name = r.text_or_empty("dir_name");
        if !dir_name.is_empty() {
            super::check_folder(r, "dir_name", &dir_name);
        }
        let (done, error_dir) = (own_folder(r, "done_dir"), own_folder(r, "error_dir"));
        if done == error_dir {
            r.error("error_dir", "it is done_dir too", "give both a name of their own");
        }
        let moves = r.choice("after", &[("DELETE", false), ("MOVE", true)], false);
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            path: real_path(r, "real_path").unwrap_or_default(),
            patterns: patterns(r, "file_patterns"),
            excluded: patterns(r, "exclude_patterns"),
            ready: ready(r),
            subfolders: r.flag("subfolders"),
            period: Duration::from_secs(r.int("period_s")),
            scan_max: r.int::<u32>("scan_max").try_into().unwrap_or(1),
            done_dir: moves.then_some(done),
            error_dir,
            owners: owners(r),
            site: r.text("site").unwrap_or_else(|| r.object.name.clone()),
            destination: r.text("dest_alias"),
            dir_name,
            appli: r.text_or_empty("appli"),
            comments: r.text_or_empty("comments"),
            enabled: r.enabled(),
        }
    }
}

fn patterns(r: &mut Reader<'_>, field: &'static str) -> Vec<Pattern> {
    let texts = r.list(field);
    if texts.iter().any(|text| text.contains('/')) {
        r.error(field, "a pattern of names has no '/'", "give names; subfolders watches folders below");
    }
    texts.into_iter().map(Pattern::new).collect()
}

fn ready(r: &mut Reader<'_>) -> Readiness {
    let stable = Duration::from_secs(r.int("stable_s"));
    let mark = marker(r, "done_marker");
    match r.text_or_empty("ready").to_ascii_uppercase().as_str() {
        "MARKER" => mark.map_or(Readiness::Stable(stable), Readiness::Marker),
        "RENAME" => Readiness::Rename,
        _ => Readiness::Stable(stable),
    }
}

/// One visible name below the folder.
fn own_folder(r: &mut Reader<'_>, field: &'static str) -> String {
    let name = r.text_or_empty(field);
    if name.is_empty() || name.starts_with('.') || name.contains('/') || name.chars().any(char::is_control) {
        r.error(field, format!("{:?} is no plain name", base::Shown::from(name.as_str())), "write it as done or error");
    }
    name
}

fn owners(r: &mut Reader<'_>) -> Owners {
    let mut owners = Owners::default();
    for word in r.list("owners") {
        match (word.to_ascii_uppercase().as_str(), word.parse()) {
            ("ANY", _) => owners.any = true,
            ("FOLDER", _) => owners.folder = true,
            (_, Ok(user)) => owners.users.push(user),
            _ => {
                r.error("owners", format!("{word:?} is no user number"), "give FOLDER, ANY or numbers; see id -u USER")
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;
    use crate::testing::object;

    fn folder(fields: &[(&str, &str)]) -> DropFolder {
        let all: Vec<_> = [("real_path", "/srv/out")].iter().chain(fields).copied().collect();
        let (folder, problems) = read(&object(Kind::DropFolder, "OUT", &all));
        assert_eq!(problems, []);
        folder
    }

    #[test]
    fn names_that_are_taken() {
        let f = folder(&[("file_patterns", "*.xml *.edi"), ("exclude_patterns", "test*")]);
        for (name, taken) in
            [("a.xml", true), ("b.edi", true), ("c.txt", false), ("test.xml", false), (".x.xml", false)]
        {
            assert_eq!(f.takes(name), taken, "{name}");
        }
        let marked = folder(&[("ready", "MARKER")]);
        assert!(marked.takes("a.xml") && !marked.takes("a.xml.done"), "a mark is no file");
        assert!(folder(&[]).takes("a.xml.done"), "without marks it is one");
    }

    #[test]
    fn defaults_are_careful() {
        let f = folder(&[]);
        assert_eq!((f.ready.clone(), f.done_dir.clone()), (Readiness::Stable(Duration::from_secs(5)), None));
        assert_eq!(f.owners, Owners { any: false, folder: true, users: vec![] });
        assert_eq!((f.site.as_str(), f.scan_max), ("OUT", 1000));
        assert_eq!(folder(&[("owners", "FOLDER 1001")]).owners.users, [1001]);
    }

    #[test]
    fn wrong_ones_are_refused() {
        for (field, text) in [
            ("real_path", "out"),
            ("file_patterns", "a/*.xml"),
            ("done_dir", "../done"),
            ("done_dir", ".gatehouse"),
            ("error_dir", "done"),
            ("owners", "root"),
            ("done_marker", "done"),
            ("dir_name", "relative"),
            ("period_s", "0"),
        ] {
            let mut all = vec![("real_path", "/srv/out")];
            all.retain(|(name, _)| *name != field);
            all.push((field, text));
            let body = all.iter().map(|(f, t)| ((*f).to_owned(), crate::Value::from(*t))).collect();
            let problems = crate::check_body(Kind::DropFolder, &body).unwrap_err();
            assert_eq!(problems[0].field, field, "{text}");
        }
    }
}
