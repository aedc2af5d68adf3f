//! Files that declare objects, as a command reads them, and the secrets that they name.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use admin::config::{Bundle, DOCUMENT_OCTETS_MAX, DOCUMENTS_MAX, Document, Reference, references};

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";
/// Ending of files that are read of a folder.
const ENDING: &str = "toml";
/// Most octets of a secret that is read; the bundle has the bound.
const SECRET_OCTETS_MAX: u64 = 1 << 20;
/// How deep folders are looked through.
const DEPTH_MAX: usize = 8;

/// Reads a file, every `*.toml` below a folder in order of name, or standard input; then the files and variables in which
/// they say secrets are. A credential that is not this command's is left to the gateway.
///
/// # Errors
/// A sentence that names what could not be read.
pub(crate) fn read(path: &str) -> Result<Bundle, String> {
    let mut sources = Vec::new();
    if path == STANDARD_INPUT {
        let text = limited(&mut io::stdin().lock(), path)?;
        sources.push((PathBuf::from("."), Document { name: path.to_owned(), text }));
    } else if Path::new(path).is_dir() {
        let mut files = Vec::new();
        collect(Path::new(path), &mut files, 0)?;
        if files.is_empty() {
            return Err(format!("{path}: no file in it ends in .{ENDING}"));
        }
        for file in files {
            sources.push(document(&file)?);
        }
    } else {
        sources.push(document(Path::new(path))?);
    }
    let (folders, documents): (Vec<_>, Vec<_>) = sources.into_iter().unzip();
    let named = references(&documents);
    let mut bundle = Bundle::new(documents).map_err(|e| e.to_string())?;
    for (number, reference) in named {
        let folder = folders.get(number).map_or(Path::new("."), PathBuf::as_path);
        if let Some(octets) = secret(folder, &reference)? {
            bundle.add(number, reference, octets).map_err(|e| e.to_string())?;
        }
    }
    Ok(bundle)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>, depth: usize) -> Result<(), String> {
    let failed = |e: io::Error| format!("{}: {e}", folder.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
        if entries.len() > DOCUMENTS_MAX {
            return Err(format!("{}: more than {DOCUMENTS_MAX} entries", folder.display()));
        }
    }
    entries.sort();
    for path in entries {
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        if path.is_dir() && depth < DEPTH_MAX {
            collect(&path, files, depth + 1)?;
        } else if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
        if files.len() > DOCUMENTS_MAX {
            return Err(format!("{}: more than {DOCUMENTS_MAX} files", folder.display()));
        }
    }
    Ok(())
}

fn document(path: &Path) -> Result<(PathBuf, Document), String> {
    let name = path.display().to_string();
    let mut file = File::open(path).map_err(|e| format!("{name}: {e}"))?;
    let text = limited(&mut file, &name)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder.to_path_buf(), Document { name, text }))
}

fn limited(source: &mut dyn Read, name: &str) -> Result<String, String> {
    let limit = u64::try_from(DOCUMENT_OCTETS_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    source.take(limit).read_to_string(&mut text).map_err(|e| format!("{name}: {e}"))?;
    Ok(text)
}

/// What a reference holds here; none: the gateway looks for it.
pub(super) fn secret(folder: &Path, reference: &Reference) -> Result<Option<Vec<u8>>, String> {
    match reference {
        Reference::File(path) => file(&folder.join(path), reference).map(Some),
        Reference::Env(name) => match std::env::var_os(name) {
            Some(value) => Ok(Some(value.into_encoded_bytes())),
            None => Err(format!("{reference} is not set")),
        },
        Reference::Credential(name) => {
            let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
            folder.map(|folder| folder.join(name)).filter(|p| p.exists()).map(|p| file(&p, reference)).transpose()
        }
    }
}

fn file(path: &Path, reference: &Reference) -> Result<Vec<u8>, String> {
    let failed = |e: io::Error| format!("{reference}: {}: {e}", path.display());
    let mut octets = Vec::new();
    File::open(path).map_err(failed)?.take(SECRET_OCTETS_MAX).read_to_end(&mut octets).map_err(failed)?;
    Ok(octets)
}
