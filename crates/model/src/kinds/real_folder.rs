//! Real folders of the business side: absolute paths, marks of whole files, modes and owners as text.

use crate::field::Field;
use crate::read::Reader;
use crate::variables;

/// Protocol of a site that is a folder of this machine, where files are put for the business side.
pub const FOLDER: &str = "FOLDER";

pub(super) const REAL_PATH: Field = Field::text("real_path", 4095, "real folder where files for the site are put")
    .shorts(&["rp"])
    .aliases(&["s_real_path", "pickup_dir"])
    .detail("protocol FOLDER only: an absolute path of this machine, which has to exist");
pub(super) const NAME_PATTERN: Field =
    Field::text("file_name_pattern", 255, "name at the partner, where no model gives one")
        .shorts(&["fnp"])
        .aliases(&["s_file_name_pattern"])
        .detail("as &(file_name), &(site)_&(date)_&(local_ident).xml; empty: the name as received");
pub(super) const DONE_MARKER: Field = Field::text("done_marker", 127, "mark that is made when a file is whole")
    .shorts(&["dm"])
    .aliases(&["s_done_marker"])
    .detail("protocol FOLDER only: a name such as &(file_name).done; it holds the SHA-256, as sha256sum -c reads it");
pub(super) const FILE_MODE: Field = Field::text("file_mode", 4, "mode of the files, as octal digits")
    .shorts(&["fmode"])
    .aliases(&["s_file_mode"])
    .default("0640");
pub(super) const FILE_OWNER: Field = Field::text("file_owner", 21, "owner of the files, as uid:gid")
    .shorts(&["fowner"])
    .aliases(&["s_file_owner"])
    .detail("protocol FOLDER only: numbers; either may be left out; the gateway needs the right to give files away");

/// A real folder where files are put.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FolderPlace {
    /// Its absolute path.
    pub path: String,
    /// Pattern of the mark that tells that a file is whole.
    pub marker: Option<Marker>,
    /// Mode of the files.
    pub mode: u32,
    /// Owner of the files: user and group by number.
    pub owner: (Option<u32>, Option<u32>),
}

/// The name of a mark, made from the name of the file that it stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Marker {
    before: String,
    after: String,
}

impl Marker {
    /// Reads a pattern such as `&(file_name).done`.
    #[must_use]
    pub fn parse(pattern: &str) -> Option<Self> {
        let (before, after) = pattern.split_once("&(file_name)")?;
        let rest = [before, after].concat();
        let plain = !rest.is_empty() && !rest.contains(['/', '&']) && !rest.chars().any(char::is_control);
        plain.then(|| Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The mark of this file.
    #[must_use]
    pub fn of(&self, file: &[u8]) -> Vec<u8> {
        [self.before.as_bytes(), file, self.after.as_bytes()].concat()
    }

    /// The file that this may be the mark of.
    #[must_use]
    pub fn file<'a>(&self, mark: &'a [u8]) -> Option<&'a [u8]> {
        let file = mark.strip_prefix(self.before.as_bytes())?.strip_suffix(self.after.as_bytes())?;
        Some(file).filter(|file| !file.is_empty())
    }
}

/// The place of a site of the protocol FOLDER; the fields of others have no meaning and are refused.
pub(super) fn folder_place(r: &mut Reader<'_>) -> Option<FolderPlace> {
    let is_folder = r.text_or_empty("protocol").eq_ignore_ascii_case(FOLDER);
    let path = real_path(r, "real_path");
    let marker = marker(r, "done_marker");
    let (mode, owner) = (mode(r), owner(r));
    if is_folder {
        if path.is_none() {
            r.error("real_path", "a FOLDER needs one", "give the absolute path of the folder");
        }
        return Some(FolderPlace { path: path.unwrap_or_default(), marker, mode, owner });
    }
    for (field, given) in
        [("real_path", path.is_some()), ("done_marker", marker.is_some()), ("file_owner", owner != (None, None))]
    {
        if given {
            r.error(field, "only a site of the protocol FOLDER has it", "clear it, or set protocol to FOLDER");
        }
    }
    None
}

/// An absolute path without `.`, `..`, empty parts and control characters.
pub(super) fn real_path(r: &mut Reader<'_>, field: &'static str) -> Option<String> {
    let path = r.text(field)?;
    let parts = path.strip_prefix('/').map(|inner| inner.split('/'));
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
    if !parts.is_some_and(|mut parts| parts.all(plain)) {
        let text = format!("{:?} is no plain absolute path", base::Shown::from(path.as_str()));
        r.error(field, text, "write it as /srv/erp/in, without '.', '..' and a '/' at the end");
    }
    Some(path)
}

/// A mark, as `&(file_name).done`.
pub(super) fn marker(r: &mut Reader<'_>, field: &'static str) -> Option<Marker> {
    let text = r.text(field)?;
    let marker = Marker::parse(&text);
    if marker.is_none() {
        r.error(field, "it is no name made from &(file_name)", "write it as &(file_name).done");
    }
    marker
}

fn mode(r: &mut Reader<'_>) -> u32 {
    let text = r.text_or_empty("file_mode");
    match u32::from_str_radix(&text, 8) {
        // No bit that makes a file run as its owner, and none that lets others write.
        Ok(mode) if mode & !0o775 == 0 && mode & 0o400 != 0 => mode,
        _ => {
            let text = format!("{text:?} is no mode for files of others");
            r.error("file_mode", text, "give octal digits as 0640; others may not write, and the owner must read");
            0o600
        }
    }
}

fn owner(r: &mut Reader<'_>) -> (Option<u32>, Option<u32>) {
    let Some(text) = r.text("file_owner") else { return (None, None) };
    let (user, group) = text.split_once(':').unwrap_or((&text, ""));
    let number = |part: &str| if part.is_empty() { Ok(None) } else { part.parse::<u32>().map(Some) };
    match (number(user), number(group)) {
        (Ok(user), Ok(group)) => (user, group),
        _ => {
            r.error("file_owner", format!("{text:?} is no uid:gid"), "give numbers as 1001:1001; see id USER");
            (None, None)
        }
    }
}

/// A pattern with variables that gives a file name.
pub(super) fn name_pattern(r: &mut Reader<'_>, field: &'static str) -> Option<String> {
    let pattern = r.text(field)?;
    if let Err(wrong) = variables::check(&pattern) {
        r.error(field, wrong, format!("use {}", variables::names()));
    } else if pattern.contains('/') {
        r.error(field, "it has a '/'", "give the folder as dir_name");
    }
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use crate::Kind;
    use crate::kinds::remote_site::RemoteSite;
    use crate::read::read;
    use crate::testing::object;

    fn refused(fields: &[(&str, &str)]) -> Vec<String> {
        let body = fields.iter().map(|(field, text)| ((*field).to_owned(), crate::Value::from(*text))).collect();
        let problems = crate::check_body(Kind::RemoteSite, &body).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_folder_is_a_site_without_address() {
        let fields = [
            ("protocol", "FOLDER"),
            ("real_path", "/srv/erp/in"),
            ("done_marker", "&(file_name).done"),
            ("file_owner", ":1001"),
            ("rename_policy", "NUMBER"),
        ];
        let (erp, problems) = read::<RemoteSite>(&object(Kind::RemoteSite, "ERP", &fields));
        assert_eq!(problems, []);
        let place = erp.folder.as_ref().unwrap();
        assert_eq!((place.path.as_str(), place.mode, place.owner), ("/srv/erp/in", 0o640, (None, Some(1001))));
        let marker = place.marker.as_ref().unwrap();
        assert_eq!(marker.of(b"a.xml"), b"a.xml.done");
        assert_eq!((marker.file(b"a.xml.done"), marker.file(b".done")), (Some(&b"a.xml"[..]), None));
        assert!(erp.is_reachable());
        let hidden = erp.temporary_name("a.xml", base::TransferId(7));
        assert_eq!(hidden.as_deref(), Some(".a.xml.7.part"), "programs that look for files do not see it");
    }

    #[test]
    fn wrong_folders_are_refused() {
        let folder = [("protocol", "FOLDER"), ("real_path", "/srv/erp")];
        for (field, text) in [
            ("real_path", "srv/erp"),
            ("real_path", "/srv/../etc"),
            ("real_path", "/srv/erp/"),
            ("done_marker", "fixed.done"),
            ("done_marker", "&(file_name)"),
            ("done_marker", "../&(file_name)"),
            ("file_mode", "0666"),
            ("file_mode", "4755"),
            ("file_mode", "rw"),
            ("file_owner", "erp"),
            ("file_name_pattern", "&(nothing)"),
            ("file_name_pattern", "a/&(file_name)"),
            ("dest_address", "192.0.2.1/22"),
            ("template", "Y"),
            ("temporary_name", "NONE"),
        ] {
            let given: Vec<_> = folder.iter().filter(|(f, _)| *f != field).copied().chain([(field, text)]).collect();
            assert_eq!(refused(&given), [field], "{field} {text}");
        }
        assert_eq!(refused(&[("protocol", "FOLDER")]), ["real_path"]);
        assert_eq!(refused(&[("real_path", "/srv/erp")]), ["real_path"]);
        assert_eq!(refused(&[("rename_policy", "NUMBER")]), ["rename_policy"]);
    }
}
