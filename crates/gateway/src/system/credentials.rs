//! Secrets that the service manager hands over as files (`systemd.exec(5)`, "Credentials"): `gatehouse.NAME` in
//! `CREDENTIALS_DIRECTORY`. A container gets them the same way, from the folder of its secrets.

use std::path::{Path, PathBuf};

use base::Secret;
use keys::MasterKeeper;

/// The file of the credential `gatehouse.NAME`, if it was handed over.
pub(crate) fn credential(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)?;
    Some(folder.join(format!("gatehouse.{name}"))).filter(|path| path.is_file())
}

/// The file of the master key, if that is a credential. It wins over none in the data folder, but two different ones are
/// refused: what one of them sealed could not be opened.
///
/// # Errors
/// A sentence, if the data folder holds another key.
pub(crate) fn master_credential(in_folder: &Path, keeper: &MasterKeeper) -> Result<Option<PathBuf>, String> {
    let Some(path) = credential("master") else { return Ok(None) };
    if in_folder.exists() {
        let load = |path: &Path| keeper.load(path).map_err(|e| e.to_string());
        let (handed, own) = (load(&path)?.id(), load(in_folder)?.id());
        if handed != own {
            return Err(format!(
                "credential gatehouse.master is key {handed}, {} is key {own}: keep the one that the database needs",
                in_folder.display()
            ));
        }
    }
    Ok(Some(path))
}

/// The address of the database, with the password of the credential `gatehouse.database_password` if there is one.
///
/// # Errors
/// A sentence, if the credential is not readable, or the address already has a password.
pub(crate) fn database_url(url: &str) -> Result<Secret<String>, String> {
    match credential("database_password") {
        Some(path) if url.contains("://") => {
            let password = crate::cli::first_line(&path.display().to_string())?;
            match password.expose().is_empty() {
                true => Err(format!("credential {} is empty", path.display())),
                false => with_password(url, &password),
            }
        }
        _ => Ok(Secret::new(url.to_owned())),
    }
}

fn with_password(url: &str, password: &Secret<String>) -> Result<Secret<String>, String> {
    let form = "[database] url: write it as postgres://USER@HOST/NAME, the password comes from a credential";
    let (scheme, rest) = url.split_once("://").ok_or(form)?;
    let (user, place) = rest.split_once('@').ok_or(form)?;
    if user.is_empty() || user.contains([':', '/']) {
        return Err(form.to_owned());
    }
    let mut coded = String::with_capacity(password.expose().len().saturating_mul(3));
    for octet in password.expose().bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => coded.push(char::from(octet)),
            _ => coded.push_str(&format!("%{octet:02X}")),
        }
    }
    Ok(Secret::new(format!("{scheme}://{user}:{coded}@{place}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_put_into_the_address_whatever_its_characters() {
        let put = |url: &str, word: &str| with_password(url, &Secret::new(word.to_owned()));
        let whole = put("postgres://gatehouse@db.example/gatehouse?sslmode=require", "p@ss:w/rd%é").unwrap();
        let wanted = "postgres://gatehouse:p%40ss%3Aw%2Frd%25%C3%A9@db.example/gatehouse?sslmode=require";
        assert_eq!(whole.expose(), wanted);
        for url in ["postgres://gatehouse:old@db/g", "postgres://db/g", "postgres://@db/g"] {
            assert!(put(url, "x").is_err_and(|e| e.contains("postgres://USER@HOST/NAME")), "{url}");
        }
    }
}
