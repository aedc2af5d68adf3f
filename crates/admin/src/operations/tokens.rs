//! Keys in PKCS#11 tokens: named by the command, found by the libraries that the operator's settings name.

use std::sync::Arc;

use base::ObjectId;
use keys::TokenKeyName;
use keys::token::{TOKEN_URI_OCTETS_MAX, TokenError, TokenUri, Tokens};
use model::Field;

use crate::{Cell, Context, Input, OpError, Output, Param, sealing};

/// Name of a key in its token.
pub(super) const TOKEN_KEY: Field = Field::text(
    "token_key",
    1024,
    "the private key is in a token, where it stays: pkcs11:token=LABEL;object=LABEL?module-name=NAME (RFC 7512)",
)
.shorts(&["tk"])
.detail("the module is the one that gatehouse.toml names so in [pkcs11.NAME]");
const _: () = assert!(TOKEN_URI_OCTETS_MAX == 1024);

const MODULE: Field = Field::text("module", 31, "only the tokens of this module").shorts(&["m"]);

pub(super) fn list_params() -> Vec<Param> {
    vec![Param::of(MODULE).positional()]
}

/// The name that was given, if one was.
pub(super) fn token_key(input: &Input) -> Result<Option<TokenUri>, OpError> {
    let uri = input.text("token_key").map(str::parse::<TokenUri>).transpose();
    uri.map_err(|e| OpError::Refused(e.to_string()))
}

/// Finds a key in its token; it proves that it is there.
pub(super) async fn find(context: &Context, uri: TokenUri) -> Result<TokenKeyName, OpError> {
    on_a_thread(context, move |tokens| tokens.find(&uri).map(|found| found.name())).await
}

/// A token may take its time: not on the threads of the network.
pub(super) async fn on_a_thread<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&Tokens) -> Result<T, TokenError> + Send + 'static,
) -> Result<T, OpError> {
    let tokens = Arc::clone(context.engine.options().keeper.tokens());
    let done = tokio::task::spawn_blocking(move || work(&tokens)).await;
    done.map_err(|e| OpError::Failed(e.to_string()))?.map_err(|e| OpError::Refused(e.to_string()))
}

/// The line of a display that says where a private key is.
pub(super) async fn shown(context: &Context, id: ObjectId, private: bool) -> Option<(String, Cell)> {
    if !private {
        return None;
    }
    // What can't be opened is still shown: that it can't is part of it.
    let text = match sealing::private_key(context, id).await {
        Ok(key) => key.as_ref().and_then(|key| key.token()).map(ToString::to_string),
        Err(error) => Some(error.to_string()),
    };
    text.map(|text| ("token_key".to_owned(), text.into()))
}

/// The private keys of the tokens, and as what they are registered.
pub(super) async fn list(context: &Context, input: &Input) -> Result<Output, OpError> {
    let names: Vec<String> = match input.text("module") {
        Some(name) => vec![name.to_owned()],
        None => context.engine.options().keeper.tokens().names().map(str::to_owned).collect(),
    };
    let snapshot = context.engine.snapshot();
    let mut rows = Vec::new();
    for name in names {
        let module = name.clone();
        let found = match on_a_thread(context, move |tokens| tokens.list(&module)).await {
            Ok(found) => found,
            // One that does not answer must not hide the others, unless it was asked for by name.
            Err(error) if input.text("module").is_none() => {
                let text = format!("{name}: {error}");
                rows.push(vec![text.into(), Cell::None, Cell::None, Cell::None]);
                continue;
            }
            Err(error) => return Err(error),
        };
        for key in found {
            let mut row = vec![Cell::from(key.uri.to_string())];
            match &key.public {
                Err(error) => row.extend([Cell::from(error.to_string()), Cell::None, Cell::None]),
                Ok(public) => {
                    let bare =
                        snapshot.key_by_fingerprint(&public.fingerprint().0).map(|entry| entry.alias.to_string());
                    let spki = public.spki_sha256();
                    let certificates =
                        snapshot.certificates().filter(|entry| entry.private && entry.spki_sha256 == spki);
                    let registered = bare.into_iter().chain(certificates.map(|entry| entry.name.clone())).collect();
                    let kind = format!("{} {}", public.algorithm(), public.bits());
                    row.extend([kind.into(), public.fingerprint().to_string().into(), Cell::List(registered)]);
                }
            }
            rows.push(row);
        }
    }
    let columns = ["token_key", "kind", "fingerprint", "registered_as"];
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows })
}
