//! Who carries events and alarms out of the house: the gateway, with its connections.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use model::Webhook;

/// Carries what is told to others.
#[async_trait]
pub trait Courier: Send + Sync + fmt::Debug + 'static {
    /// Posts to a webhook and gives its answer, or why there is none.
    async fn post(&self, parcel: Parcel) -> Result<Answer, String>;

    /// Hands a letter to the mail server; gives why not.
    async fn mail(&self, letter: Letter) -> Result<(), String>;

    /// Whether there is a mail server to hand letters to.
    fn has_mail(&self) -> bool;

    /// Posts a request to the collector of traces.
    async fn trace(&self, body: Vec<u8>) -> Result<Answer, String>;

    /// Whether there is a collector of traces.
    fn has_traces(&self) -> bool;
}

/// An event for a webhook.
#[derive(Clone)]
pub struct Parcel {
    /// Where it goes.
    pub hook: Arc<Webhook>,
    /// Its headers, some of which are secrets.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What a webhook said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Seconds after which it wants to be asked again.
    pub retry_after_s: Option<u64>,
    /// The beginning of its body, safe to show.
    pub text: String,
}

/// A letter to people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Letter {
    /// What it is about, one line.
    pub subject: String,
    /// What it says.
    pub text: String,
}
