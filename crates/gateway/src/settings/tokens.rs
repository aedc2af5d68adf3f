//! `[pkcs11.NAME]` and `[master_key]`: the libraries of tokens, and the key of one that wraps the master key. Only this file
//! names libraries: to load one is to run it. `[keys]`: which keys are taken.

use std::path::PathBuf;
use std::sync::Arc;

use keys::token::{ModuleSettings, PinSource, TokenUri, Tokens};
use keys::{MasterKeeper, RSA_BITS_MAX, SizeLimits};
use serde::{Deserialize, Serialize};

use super::Settings;
use crate::system::credential;

/// `[pkcs11.NAME]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Module {
    /// File of the library, absolute.
    library: PathBuf,
    /// File whose first line is the PIN; empty for the credential `gatehouse.pin_NAME` of the service manager.
    #[serde(default)]
    pin_file: String,
    /// Variable of the environment that holds the PIN, instead of a file.
    #[serde(default)]
    pin_env: String,
    /// Sessions that may be open at once.
    #[serde(default = "sessions")]
    sessions: u32,
}

const fn sessions() -> u32 {
    8
}

/// `[master_key]`
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Master {
    /// The AES key of a token that wraps the master key, as PKCS#11 URI; empty for none.
    token_key: String,
}

/// `[keys]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Keys {
    /// Largest RSA key that is taken without a certificate, in bits (KEY-2).
    rsa_bits_max: u32,
}

impl Default for Keys {
    fn default() -> Self {
        Self { rsa_bits_max: SizeLimits::default().rsa_max }
    }
}

impl Keys {
    /// Sizes that are taken.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub(crate) fn sizes(&self) -> Result<SizeLimits, String> {
        let usual = SizeLimits::default();
        let bits = self.rsa_bits_max;
        if !(usual.rsa_min..=RSA_BITS_MAX).contains(&bits) {
            let min = usual.rsa_min;
            return Err(format!("gatehouse.toml: [keys] rsa_bits_max is {bits}: {min} to {RSA_BITS_MAX} are possible"));
        }
        Ok(SizeLimits { rsa_max: bits, ..usual })
    }
}

impl Settings {
    /// Who reads and makes the files of master keys, with the tokens. Nothing is loaded yet.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub(crate) fn keeper(&self) -> Result<MasterKeeper, String> {
        let told = |e: keys::token::TokenError| format!("gatehouse.toml: {e}");
        let modules = self.pkcs11.iter().map(|(name, module)| module.settings(name));
        let tokens = Tokens::new(modules.collect::<Result<_, _>>()?).map_err(told)?;
        let wrap_by = match self.master_key.token_key.as_str() {
            "" => None,
            text => {
                let uri: TokenUri = text.parse().map_err(|e| format!("gatehouse.toml: [master_key] token_key: {e}"))?;
                if !tokens.names().any(|name| name == uri.module()) {
                    let name = uri.module();
                    return Err(format!("gatehouse.toml: [master_key] token_key: there is no [pkcs11.{name}]"));
                }
                Some(uri)
            }
        };
        Ok(MasterKeeper::new(Arc::new(tokens), wrap_by))
    }
}

impl Module {
    fn settings(&self, name: &str) -> Result<ModuleSettings, String> {
        let pin = match (self.pin_file.as_str(), self.pin_env.as_str()) {
            ("", "") => credential(&format!("pin_{name}")).map_or(PinSource::Nowhere, PinSource::File),
            (file, "") => PinSource::File(file.into()),
            ("", variable) => PinSource::Environment(variable.to_owned()),
            _ => return Err(format!("gatehouse.toml: [pkcs11.{name}] give pin_file or pin_env, not both")),
        };
        Ok(ModuleSettings { name: name.to_owned(), library: self.library.clone(), pin, sessions: self.sessions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // KEY-2
    fn large_rsa_keys_are_taken_by_a_setting() {
        let max = |bits: u32| Settings::read(&format!("[keys]\nrsa_bits_max = {bits}\n")).map(|s| s.keys.sizes());
        assert_eq!(Settings::default().keys.sizes().unwrap().rsa_max, 4096);
        assert_eq!(max(8192).unwrap().unwrap().rsa_max, 8192);
        for bits in [0, 2047, 8193] {
            let wrong = max(bits).and_then(|sizes| sizes.map(drop)).unwrap_err();
            assert!(wrong.contains("[keys] rsa_bits_max") && wrong.contains("2048 to 8192"), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let read = |text: &str| Settings::read(text).map(drop);
        let module = "[pkcs11.hsm]\nlibrary = \"/usr/lib/x.so\"\n";
        let key =
            |module: &str| format!("[master_key]\ntoken_key = \"pkcs11:token=t;object=o?module-name={module}\"\n");
        read(module).unwrap();
        read(&(module.to_owned() + &key("hsm"))).unwrap();
        for (text, why) in [
            (module.to_owned() + &key("other"), "no [pkcs11.other]"),
            (module.to_owned() + "pin_file = \"/a\"\npin_env = \"B\"\n", "not both"),
            (module.to_owned() + "sessions = 0\n", "1 to 64"),
            (module.to_owned() + "pin = \"1234\"\n", "unknown field"),
            (module.to_owned() + "[pkcs11.two]\nlibrary = \"/usr/lib/x.so\"\n", "name it once"),
            ("[master_key]\ntoken_key = \"x\"\n".to_owned(), "begin with pkcs11:"),
            ("[pkcs11.\"a b\"]\nlibrary = \"/x\"\n".to_owned(), "letters, digits"),
        ] {
            let told = read(&text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
