//! What must be known of a partner before it can be added, and how it is asked for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base::Secret;
use keys::PublicKey;
use model::{HostPort, Value};

use super::keys_given::public_keys;
use crate::{Input, InputError, OpError};

/// Who does what: the partner or we; send or fetch.
pub(crate) const DIRECTIONS: &[&str] = &["THEY_SEND", "THEY_FETCH", "WE_SEND", "WE_FETCH"];
/// Ports of a partner's server where none is said: by protocol, and by the word before `://`.
const THEIR_PORTS: &[(&str, u16)] = &[("SFTP", 22), ("FTP", 21), ("FTPS", 990)];
/// Port that is opened where none is said: one that needs no right of the operating system.
const OUR_PORT: u16 = 2222;

/// Files move so. Who calls is whoever is named: `they_fetch` is the partner calling.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Directions {
    pub(crate) they_send: bool,
    pub(crate) they_fetch: bool,
    pub(crate) we_send: bool,
}

impl Directions {
    pub(crate) const fn inbound(self) -> bool {
        self.they_send || self.they_fetch
    }
}

/// A partner as it shall be.
pub(crate) struct Answers<'a> {
    pub(crate) name: String,
    pub(crate) directions: Directions,
    pub(crate) comments: Option<String>,
    pub(crate) inbound: Option<Inbound<'a>>,
    pub(crate) outbound: Option<Outbound<'a>>,
    /// Field of the local site and value.
    pub(crate) ours: Vec<(&'static str, Value)>,
}

/// How it comes in.
pub(crate) struct Inbound<'a> {
    pub(crate) login: String,
    pub(crate) keys: Vec<PublicKey>,
    pub(crate) capture: bool,
    pub(crate) password: Option<&'a Secret<String>>,
    pub(crate) folder: String,
    /// The folder was named, so that one that is there already is meant.
    pub(crate) folder_named: bool,
    /// Where to listen, if that was said.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) group: String,
    pub(crate) to_site: Option<String>,
}

/// How we reach it.
pub(crate) struct Outbound<'a> {
    pub(crate) protocol: String,
    /// What keeps it safe, where the protocol leaves that open, and the TLS profile.
    pub(crate) security: Option<(String, Option<String>)>,
    pub(crate) address: HostPort,
    pub(crate) login: String,
    pub(crate) key: Option<String>,
    pub(crate) password: Option<&'a Secret<String>>,
    pub(crate) host_keys: Vec<PublicKey>,
    pub(crate) dir_name: Option<String>,
    pub(crate) from_site: Option<String>,
    pub(crate) from_dir: Option<String>,
    pub(crate) pattern: Option<String>,
}

/// Something that is not known yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// The parameter that takes the answer.
    pub param: &'static str,
    /// What a person is asked.
    pub text: String,
    /// How it is given on the line.
    pub form: &'static str,
    /// What counts where nothing is answered.
    pub default: Option<String>,
    /// Nothing is an answer too.
    pub optional: bool,
}

/// Parameters that tell how a partner comes in, if no direction is given.
const OF_INBOUND: &[&str] = &["key", "key_line", "capture", "password", "login"];
/// Parameters that tell how a partner is called, if no direction is given.
const OF_OUTBOUND: &[&str] = &["address", "our_login", "our_password", "their_dir"];

fn directions(input: &Input) -> Directions {
    let Some(Value::List(words)) = input.value("directions") else {
        let any = |names: &[&str]| names.iter().any(|name| input.has(name));
        return Directions { they_send: any(OF_INBOUND), they_fetch: false, we_send: any(OF_OUTBOUND) };
    };
    let has = |word: &str| words.iter().any(|w| w == word);
    Directions { they_send: has("THEY_SEND"), they_fetch: has("THEY_FETCH"), we_send: has("WE_SEND") }
}

/// What is not known yet, in the order in which a person is asked.
#[must_use]
pub fn questions(input: &Input) -> Vec<Question> {
    let directions = directions(input);
    let mut open = Vec::new();
    let mut ask = |param, text: &str, form, default: Option<String>, optional| {
        open.push(Question { param, text: text.to_owned(), form, default, optional });
    };
    if directions == Directions::default() && !input.has("directions") {
        ask("directions", DIRECTIONS_TEXT, "-directions \"THEY_SEND WE_SEND\"", Some("1".to_owned()), false);
        return open;
    }
    if directions.inbound() {
        if !input.has("login") {
            ask("login", "Login name that they use", "-login NAME", default_login(input), false);
        }
        if !["key", "key_line", "capture", "password"].iter().any(|name| input.has(name)) {
            ask("key", PROOF_TEXT, "-key FILE, -key_line LINE, -capture or -password_from_file FILE", None, false);
        }
        if directions.they_send && !input.has("to_site") {
            ask("to_site", "Site that gets what they send (empty: it stays here)", "-to_site SITE", None, true);
        }
    }
    if directions.we_send {
        if !input.has("address") {
            ask("address", "Their server, as host or host:port", "-address HOST:PORT", None, false);
        }
        if !input.has("our_login") {
            ask("our_login", "Login name that they gave us", "-our_login NAME", None, false);
        }
        let over_ssh = protocol(input) == SSH_PROTOCOL;
        if !over_ssh && !input.has("tls_sprof_out") && !input.has("network_security_option") {
            let text = "TLS profile of type CLIENT (without TLS: -network_security_option NONE)";
            ask("tls_sprof_out", text, "-tls_sprof_out PROFILE, or -network_security_option NONE", None, false);
        }
        if !over_ssh && !input.has("our_password") {
            ask("our_password", "Password that they gave us", "-our_password_from_file FILE", None, false);
        }
        if over_ssh && !input.has("our_password") && !input.has("our_key") {
            ask(
                "our_password",
                "Password that they gave us (empty: we show our key)",
                "-our_password_from_file FILE",
                None,
                true,
            );
        }
        if !input.has("their_dir") {
            let text = "Folder at their server for our files (empty: where the login begins)";
            ask("their_dir", text, "-their_dir FOLDER", None, true);
        }
        if !input.has("from_site") && !input.has("from_dir") {
            let text = "Site whose files go to them (empty: none yet)";
            ask("from_site", text, "-from_site SITE", None, true);
        }
    }
    open
}

const DIRECTIONS_TEXT: &str = "Who calls, and what for? Several numbers are possible.\n  1  they call us and send files\n  \
                               2  they call us and fetch files\n  3  we call them and send files\n  (that we call and fetch \
                               is not in this version)\nNumbers";
const PROOF_TEXT: &str = "Their public key: a file, or the line itself. Without one: 'password', or empty for the next \
                          unknown key that this login shows, which you then check\nKey";

/// Whether a file or line holds public keys that can be taken.
///
/// # Errors
/// A sentence that says what was found.
pub fn check_keys(octets: &[u8]) -> Result<(), String> {
    public_keys(octets).map(drop)
}

/// Whether the answer to one question can be taken, as far as that can be told without the gateway.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_answer(input: &Input, param: &str) -> Result<(), String> {
    let Some(text) = input.text(param) else {
        return match input.value(param) {
            Some(Value::List(words)) if words.iter().any(|word| word == "WE_FETCH") => Err(WE_FETCH.to_owned()),
            _ => Ok(()),
        };
    };
    match param {
        "address" => address_in(text, &protocol(input)).map(drop).map_err(|e| e.to_string()),
        "login" | "our_login" if text.contains(|c: char| c.is_control() || c.is_whitespace()) => {
            Err("a login has neither blanks nor control characters".to_owned())
        }
        "login" if text.contains(['*', '?']) => Err("give one login, not a pattern".to_owned()),
        _ => Ok(()),
    }
}

/// What is said of a direction that is not there.
const WE_FETCH: &str = "that we call a partner and fetch files is not in this version: let them send (they_send), or fetch \
                        outside of the gateway";

fn default_login(input: &Input) -> Option<String> {
    input.text("name").map(str::to_lowercase)
}

impl<'a> Answers<'a> {
    /// Reads what was given.
    ///
    /// # Errors
    /// All that is missing, or what is wrong.
    pub(crate) fn read(input: &'a Input) -> Result<Self, OpError> {
        let name = input.text("name").ok_or(InputError::Absent("name"))?.to_owned();
        model::check_name(model::Kind::RemoteSite, &name).map_err(|p| OpError::Refused(p.to_string()))?;
        for param in ["directions", "login", "our_login"] {
            check_answer(input, param).map_err(OpError::Refused)?;
        }
        let missing: Vec<Question> = questions(input)
            .into_iter()
            .filter(|q| !q.optional && (q.default.is_none() || q.param == "directions"))
            .collect();
        if !missing.is_empty() {
            return Err(absent(&name, &missing));
        }
        let directions = directions(input);
        let text = |param: &str| input.text(param).filter(|text| !text.is_empty()).map(str::to_owned);
        let inbound = if directions.inbound() { Some(inbound(input, &name, directions)?) } else { None };
        let outbound = if directions.we_send { Some(outbound(input)?) } else { None };
        let ours = [("our_host", "host_name"), ("our_contact", "contact"), ("calls_from", "calls_from")];
        let ours = ours.iter().filter_map(|(param, field)| Some((*field, Value::Text(text(param)?)))).collect();
        Ok(Self { name, directions, comments: text("comments"), inbound, outbound, ours })
    }
}

fn absent(name: &str, missing: &[Question]) -> OpError {
    let forms: Vec<String> = missing.iter().map(|q| format!("  {}", q.form)).collect();
    let more = if missing.iter().any(|q| q.param == "directions") {
        "\nwith they_send and they_fetch a key or password as well, with we_send -address and -our_login"
    } else {
        ""
    };
    OpError::Syntax(InputError::Together(format!(
        "of partner {name} is still to be said (here, in a file with -file, or at a terminal):\n{}{more}",
        forms.join("\n")
    )))
}

fn inbound<'a>(input: &'a Input, name: &str, directions: Directions) -> Result<Inbound<'a>, OpError> {
    let text = |param: &str| input.text(param).filter(|text| !text.is_empty()).map(str::to_owned);
    let keys = given_keys(input, "key", "key_line")?;
    let capture = input.is_set("capture");
    if capture && !keys.is_empty() {
        return Err(together("give either their key, or -capture to take the next unknown one"));
    }
    if !directions.they_send && text("to_site").is_some() {
        return Err(together("-to_site is for files that they send: add THEY_SEND to -directions"));
    }
    let folder = text("folder");
    Ok(Inbound {
        login: text("login").or_else(|| default_login(input)).unwrap_or_default(),
        keys,
        capture,
        password: input.secret("password"),
        folder_named: folder.is_some(),
        folder: folder.unwrap_or_else(|| format!("/{}", name.to_lowercase())),
        listen: text("listen").map(|text| listen(&text)).transpose()?,
        group: text("cgategroup").unwrap_or_else(|| "PARTNERS".to_owned()),
        to_site: text("to_site"),
    })
}

fn outbound(input: &Input) -> Result<Outbound<'_>, OpError> {
    let text = |param: &str| input.text(param).filter(|text| !text.is_empty()).map(str::to_owned);
    let password = input.secret("our_password").filter(|secret| !secret.expose().is_empty());
    let protocol = protocol(input);
    let over_ssh = protocol == SSH_PROTOCOL;
    // Whoever gave us a password does not expect a key, unless we say so.
    let key = text("our_key").or_else(|| (over_ssh && password.is_none()).then(|| model::GATEHOUSE_KEY.to_owned()));
    if !over_ssh && ["our_key", "host_key", "host_key_line"].iter().any(|param| input.has(param)) {
        return Err(together("keys are of SSH: this protocol takes -our_password and -tls_sprof_out"));
    }
    let profile = text("tls_sprof_out");
    let option = text("network_security_option").unwrap_or_else(|| "TLS".to_owned());
    if over_ssh && (profile.is_some() || input.has("network_security_option")) {
        return Err(together("SFTP runs over SSH: leave -tls_sprof_out and -network_security_option out"));
    }
    if text("pattern").is_some() && text("from_site").is_none() && text("from_dir").is_none() {
        return Err(together("-pattern is for files of -from_site or -from_dir: give one of them"));
    }
    Ok(Outbound {
        address: address_in(&text("address").unwrap_or_default(), &protocol)?,
        security: (!over_ssh).then_some((option, profile)),
        protocol,
        login: text("our_login").unwrap_or_default(),
        key,
        password,
        host_keys: given_keys(input, "host_key", "host_key_line")?,
        dir_name: text("their_dir"),
        from_site: text("from_site"),
        from_dir: text("from_dir"),
        pattern: text("pattern"),
    })
}

/// Keys given as a file and as a line.
fn given_keys(input: &Input, file: &'static str, line: &'static str) -> Result<Vec<PublicKey>, OpError> {
    let of_file = input.file(file).map(|octets| (file, octets.expose().as_slice()));
    let of_line = input.text(line).map(|text| (line, text.as_bytes()));
    let mut keys = Vec::new();
    for (param, octets) in of_file.into_iter().chain(of_line) {
        keys.extend(public_keys(octets).map_err(|text| OpError::Refused(format!("-{param}: {text}")))?);
    }
    Ok(keys)
}

/// The protocol that everything about partners means, if none is said.
const SSH_PROTOCOL: &str = super::way_in::PROTOCOL;

/// The protocol in which a partner is called: the one that is named, or the one before `://` in its address.
fn protocol(input: &Input) -> String {
    let named = input.text("protocol").map(str::to_ascii_uppercase);
    let of_address = || {
        let (word, _) = input.text("address")?.split_once("://")?;
        let word = word.trim().to_ascii_uppercase();
        if word == "FTPS" { Some("FTP".to_owned()) } else { Some(word) }
    };
    named
        .or_else(of_address)
        .filter(|p| THEIR_PORTS.iter().any(|(known, _)| known == p))
        .unwrap_or_else(|| SSH_PROTOCOL.to_owned())
}

/// An address in the usual protocol.
pub(crate) fn address(text: &str) -> Result<HostPort, OpError> {
    address_in(text, SSH_PROTOCOL)
}

/// `host`, `host:port`, `host/port`, `[v6]:port`, with or without `sftp://`, `ftp://` or `ftps://` before it.
pub(crate) fn address_in(text: &str, protocol: &str) -> Result<HostPort, OpError> {
    let bare = text.trim().trim_end_matches('/');
    let (scheme, bare) = bare.split_once("://").unwrap_or((protocol, bare));
    let usual =
        |name: &str| THEIR_PORTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, port)| *port);
    let port = usual(scheme).or_else(|| usual(protocol)).unwrap_or_default();
    let bracketed = bare.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let whole = match bracketed {
        Some((host, rest)) => format!("{host}/{}", rest.strip_prefix([':', '/']).unwrap_or(&port.to_string())),
        None if bare.parse::<IpAddr>().is_ok() => format!("{bare}/{port}"),
        None if !bare.contains(['/', ':']) => format!("{bare}/{port}"),
        None => bare.to_owned(),
    };
    HostPort::parse(&whole).map_err(|_| {
        OpError::Syntax(InputError::Together(format!(
            "{text:?} is no address: give a host name or address and perhaps a port, as {}.example.com:{port}",
            protocol.to_ascii_lowercase()
        )))
    })
}

/// `port` or `address:port`.
fn listen(text: &str) -> Result<SocketAddr, OpError> {
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    let port = port.map(|port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    let whole = text.parse::<SocketAddr>().ok().filter(|address| address.port() > 0);
    port.or(whole).ok_or_else(|| {
        together(&format!("-listen is {text:?}: give a port or ADDRESS:PORT, as 2222, 192.0.2.7:22 or [::]:22"))
    })
}

/// Where to listen if nobody said so and no listener is there.
pub(super) fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, OUR_PORT))
}

fn together(text: &str) -> OpError {
    OpError::Syntax(InputError::Together(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        for (text, host, port) in [
            ("sftp.b.example", "sftp.b.example", 22),
            ("sftp.b.example:2022", "sftp.b.example", 2022),
            ("sftp.b.example/2022", "sftp.b.example", 2022),
            ("sftp://b.example:24/", "b.example", 24),
            ("192.0.2.1", "192.0.2.1", 22),
            ("2001:db8::1", "2001:db8::1", 22),
            ("[2001:db8::1]", "2001:db8::1", 22),
            ("[2001:db8::1]:2022", "2001:db8::1", 2022),
        ] {
            let found = address(text).unwrap();
            assert_eq!((found.host.as_str(), found.port), (host, port), "{text}");
        }
        for (text, port) in [("ftp.b.example", 21), ("ftps://ftp.b.example", 990), ("ftp://ftp.b.example:2121", 2121)] {
            assert_eq!(address_in(text, "FTP").unwrap().port, port, "{text}");
        }
        assert_eq!(address_in("[2001:db8::1]", "FTPS").unwrap().port, 990);
        for text in ["", "b.example:0", "b.example:x", "b example", "b.example:22:23x", ":22"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn where_to_listen_is_a_port_or_an_address_with_one() {
        assert_eq!(listen("22").unwrap().to_string(), "0.0.0.0:22");
        assert_eq!(listen("[::]:2222").unwrap().to_string(), "[::]:2222");
        for text in ["0", "70000", "localhost:22", "127.0.0.1:0", "127.0.0.1"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }
}
