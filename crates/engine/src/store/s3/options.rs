//! Where the object store is, and with what right.

use std::path::PathBuf;
use std::sync::Arc;

use base::Secret;

/// An S3-compatible store.
#[derive(Clone)]
pub struct S3Options {
    /// The bucket; it has to be there.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Address of the service, as `https://s3.example`; empty for that of the region.
    pub endpoint: String,
    /// What stands before every name.
    pub prefix: String,
    /// Certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether an endpoint without TLS may be used. The files are sealed; who asks for which is not.
    pub allow_http: bool,
    /// The right to use it.
    pub credentials: Arc<S3Credentials>,
}

/// The right to use a bucket.
pub struct S3Credentials {
    /// Names the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret<String>,
    /// Goes with keys that last for a while.
    pub session_token: Option<Secret<String>>,
}

impl std::fmt::Debug for S3Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Options")
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl S3Credentials {
    /// Reads lines such as `access_key_id = …`, `secret_access_key = …`, `session_token = …`.
    ///
    /// # Errors
    /// A sentence without anything of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let of = |wanted: &str| {
            let pairs = text.lines().filter_map(|line| line.split_once('='));
            let found = pairs.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty())
        };
        match (of("access_key_id"), of("secret_access_key")) {
            (Some(id), Some(key)) => Ok(Self {
                access_key_id: id,
                secret_access_key: Secret::new(key),
                session_token: of("session_token").map(Secret::new),
            }),
            _ => Err("expected the lines access_key_id = … and secret_access_key = …".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // STO-8
    fn credentials_are_read_and_never_shown() {
        let read = S3Credentials::parse("access_key_id = AKIA\nsecret_access_key= geheim=\n").unwrap();
        assert_eq!((read.access_key_id.as_str(), read.secret_access_key.expose().as_str()), ("AKIA", "geheim="));
        let error = S3Credentials::parse("secret_access_key = geheim").err().unwrap();
        assert!(error.contains("access_key_id") && !error.contains("geheim"));
        let options = S3Options {
            bucket: "b".to_owned(),
            region: String::new(),
            endpoint: String::new(),
            prefix: String::new(),
            ca_file: None,
            allow_http: false,
            credentials: Arc::new(read),
        };
        assert!(!format!("{options:?}").contains("geheim"));
    }
}
