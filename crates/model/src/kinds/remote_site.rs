//! A partner: addresses, roles, limits, login, keys (objects.md section 3, protocol-sftp.md section 1).

mod fields;

use base::{Alias, ObjectId, TransferId};

use super::addresses::HostPort;
use super::partner_commands::{CommandTime, PartnerCommand, partner_commands};
use super::real_folder::{FolderPlace, folder_place, name_pattern};
use super::site_tls::{SiteTls, site_tls};
use super::store_limits::{StoreLimits, store_limits};
use super::transfer_rates::TransferRates;
use crate::field::{Field, GROUP, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::RemoteSite,
    title: "remote site",
    about: "A partner: how to reach it, how it logs in, what it may do.",
    name_field: Field::text("alias", 31, "name of the site").shorts(&["a"]).aliases(&["s_alias", "name"]).required(),
    name_rule: NameRule::Word { max: 31 },
    fields: fields::FIELDS,
    group_field: Some(GROUP.aliases(&["s_group"])),
    state_field: Some(STATE.aliases(&["s_state"])),
    summary: &["protocol", "dest_address", "login_ident", "ssh_profile", "group", "state"],
};

/// What happens when the final name is taken at the partner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RenamePolicy {
    /// The new file takes its place.
    Replace,
    /// The old file stays and the delivery fails.
    Keep,
    /// The new file gets the first free name with a number; folders of this machine only.
    Number,
}

/// What happens when nothing tells whether a delivery arrived (DESIGN 1.18).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VerifyPolicy {
    /// A person decides.
    Ask,
    /// It is sent again.
    Resend,
    /// It counts as done.
    Accept,
}

/// A partner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteSite {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Name space.
    pub group: String,
    /// Whether it may be used.
    pub enabled: bool,
    /// Free text.
    pub comments: String,
    /// `SFTP`, `FTP`, or [`super::real_folder::FOLDER`].
    pub protocol: String,
    /// What keeps calls to it safe.
    pub security: CallSecurity,
    /// Owner of transfers made for it.
    pub username: Option<String>,
    /// Local site for it; the installation's where none is named.
    pub local_site: Option<String>,
    /// A pattern for dynamic sites.
    pub template: bool,
    /// Who may do what.
    pub roles: SiteRoles,
    /// Connections to it at a time.
    pub init_conn_max: u16,
    /// Connections of it at a time.
    pub resp_conn_max: u16,
    /// How connecting is tried again.
    pub retry: Retry,
    /// Where it is: MAIN, then ALT1 to ALT3 as far as given.
    pub addresses: Vec<HostPort>,
    /// What is between us and each of these.
    pub through: Vec<Through>,
    /// CLIENT profile; `SFTP_OUT` where none is named.
    pub ssh_profile: Option<Alias>,
    /// TLS with it.
    pub tls: SiteTls,
    /// User name we send.
    pub login: Option<String>,
    /// Whether a password to send is stored, as secret `login_password`.
    pub has_password: bool,
    /// Whether an account to send is stored, as secret `password2`.
    pub has_account: bool,
    /// Key we log in with.
    pub private_key: Option<Alias>,
    /// User name the partner logs in with.
    pub check_login: Option<String>,
    /// Keys of the partner: only these are accepted (OBJ-12).
    pub public_keys: Vec<Alias>,
    /// Captured keys that a person has enabled for it (DESIGN 1.5).
    pub bound_keys: Vec<Alias>,
    /// Group of its keys.
    pub public_key_group: Option<String>,
    /// Virtual folder for files fetched from it.
    pub dir_path: Option<String>,
    /// Folder at the partner; empty for the one its login begins in.
    pub dir_name: String,
    /// Pattern of names at the partner, where no model gives one.
    pub name_pattern: Option<String>,
    /// The folder that it is, if it is one of this machine.
    pub folder: Option<FolderPlace>,
    /// Pattern of temporary names at the partner; `None` writes under the final name.
    pub temporary_name: Option<String>,
    /// When the final name is taken.
    pub rename_policy: RenamePolicy,
    /// When nothing tells whether a delivery arrived.
    pub verify_policy: VerifyPolicy,
    /// Requests on their way at a time, from 1.
    pub check_window: u8,
    /// Connections for data, where the protocol has them.
    pub data: DataConnections,
    /// Commands of FTP that its server wants to hear.
    pub commands: SiteCommands,
    /// A file is gone on with where an earlier try ended.
    pub restart: bool,
    /// Site that gets files received from it.
    pub route_remote_agent: Option<String>,
    /// Largest file it may send, in octets.
    pub max_upload_octets: Option<u64>,
    /// How much in a minute.
    pub rates: TransferRates,
    /// How much of it is stored, and how long.
    pub stored: StoreLimits,
}

/// What keeps calls to a partner safe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CallSecurity {
    /// SSH.
    Ssh,
    /// TLS by this profile of type CLIENT.
    Tls(Alias),
    /// Nothing: logins and files travel in clear, as the site says.
    Clear,
    /// What is configured can't be meant; calls are refused, for this reason.
    Broken(String),
}

/// Proxies on the way to one address of a partner.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Through {
    /// Carries octets.
    pub net: Option<String>,
    /// Carries out commands of FTP.
    pub commands: Option<String>,
}

/// Connections for data beside the one for commands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DataConnections {
    /// We open them when we call; else the partner does.
    pub passive: bool,
    /// They may lead to another address.
    pub other_address: bool,
}

/// Commands that a partner's server wants beside those of a transfer (FTP-18).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SiteCommands {
    /// When the session begins.
    pub at_login: Vec<PartnerCommand>,
    /// Before and behind each file.
    pub at_file: Vec<PartnerCommand>,
}

/// Who may do what with a site.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SiteRoles {
    /// We may call and send.
    pub init_sender: bool,
    /// We may call and receive.
    pub init_receiver: bool,
    /// The partner may call and fetch.
    pub resp_sender: bool,
    /// The partner may call and send.
    pub resp_receiver: bool,
    /// Calls to it start with the gateway.
    pub init_mode: bool,
    /// Calls of it are taken from the start.
    pub resp_mode: bool,
}

/// How connecting is tried again: the wait doubles from the least to the most (OBJ-6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// Tries after the first.
    pub count_max: u16,
    /// First wait, in seconds.
    pub delay_min_s: u16,
    /// Longest wait, in seconds.
    pub delay_max_s: u16,
}

impl Retry {
    /// Seconds to wait after the failure number `failures` (from 1); `None` when no try is left.
    #[must_use]
    pub fn delay_s(self, failures: u32) -> Option<u16> {
        if failures > u32::from(self.count_max) {
            return None;
        }
        let doubled = u64::from(self.delay_min_s).checked_shl(failures.saturating_sub(1).min(32)).unwrap_or(u64::MAX);
        Some(u16::try_from(doubled).unwrap_or(u16::MAX).min(self.delay_max_s.max(self.delay_min_s)))
    }
}

/// The longest file name most systems take, in octets.
const NAME_OCTETS_MAX: usize = 255;

impl RemoteSite {
    /// Whether we call it, to send or to receive.
    #[must_use]
    pub const fn is_called(&self) -> bool {
        self.roles.init_sender || self.roles.init_receiver
    }

    /// The stable temporary name of `file_name` at the partner, at most 255 octets; `None` if there is none.
    #[must_use]
    pub fn temporary_name(&self, file_name: &str, transfer: TransferId) -> Option<String> {
        let pattern = self.temporary_name.as_ref()?;
        let whole = |file: &str| pattern.replace("&(local_ident)", &transfer.to_string()).replace("&(file_name)", file);
        let mut file = file_name;
        while whole(file).len() > NAME_OCTETS_MAX {
            let shorter = file.char_indices().next_back().and_then(|(at, _)| file.get(..at));
            file = shorter?;
        }
        Some(whole(file))
    }

    /// Whether we can bring files to it: it has an address, or is a folder of this machine.
    #[must_use]
    pub const fn is_reachable(&self) -> bool {
        self.folder.is_some() || !self.addresses.is_empty()
    }

    /// Name of its CLIENT profile (OBJ-11).
    #[must_use]
    pub fn ssh_profile_name(&self) -> &str {
        self.ssh_profile.as_ref().map_or(crate::SFTP_OUT, Alias::as_str)
    }
}

impl Meant for RemoteSite {
    fn read(r: &mut Reader<'_>) -> Self {
        let template = r.flag("template");
        let folder = folder_place(r);
        let (addresses, through): (Vec<_>, Vec<_>) = addresses(r).into_iter().unzip();
        let tls = site_tls(r);
        let security = security(r, folder.is_some(), !addresses.is_empty(), tls.outgoing.clone());
        if folder.is_some() {
            no_connection(r, template, &addresses);
        }
        if template && !addresses.is_empty() {
            let fix = "clear the addresses, or clear the template flag";
            r.error("dest_address", "a template site has no address: partners call, we do not", fix);
        }
        let max_mb: u64 = r.int("max_upload_file_size");
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            group: r.object.group.clone(),
            enabled: r.enabled(),
            comments: r.text_or_empty("comments"),
            protocol: r.text_or_empty("protocol").to_ascii_uppercase(),
            security,
            username: r.text("username"),
            local_site: r.text("partner_loc_alias"),
            template,
            roles: roles(r),
            init_conn_max: r.int("init_conn_max"),
            resp_conn_max: r.int("resp_conn_max"),
            retry: retry(r),
            addresses,
            through,
            ssh_profile: r.alias("ssh_profile"),
            tls,
            login: r.text("login_ident"),
            has_password: r.secret("login_password"),
            has_account: r.secret("password2"),
            private_key: r.alias("local_private_key_alias"),
            check_login: r.text("check_login_ident"),
            public_keys: r.aliases("remote_public_key_alias"),
            bound_keys: r.aliases("bound_keys"),
            public_key_group: r.text("remote_public_key_group"),
            dir_path: virtual_folder(r, "dir_path"),
            dir_name: r.text_or_empty("dir_name"),
            name_pattern: name_pattern(r, "file_name_pattern"),
            temporary_name: temporary_name(r, folder.is_some()),
            rename_policy: rename_policy(r, folder.is_some()),
            folder,
            verify_policy: r.choice("verify_policy", VERIFY, VerifyPolicy::Ask),
            check_window: r.int::<u8>("check_window").max(1),
            data: DataConnections {
                passive: matches!(r.text_or_empty("ftp_passive_mode").to_ascii_uppercase().as_str(), "INIT" | "BOTH"),
                other_address: r.flag("change_data_addr"),
            },
            commands: commands(r),
            restart: r.flag("restart_allowed"),
            route_remote_agent: r.text("route_remote_agent"),
            rates: TransferRates::read(r),
            max_upload_octets: (max_mb > 0).then(|| max_mb.saturating_mul(1_000_000)),
            stored: store_limits(r),
        }
    }
}

const RENAME: &[(&str, RenamePolicy)] =
    &[("REPLACE", RenamePolicy::Replace), ("KEEP", RenamePolicy::Keep), ("NUMBER", RenamePolicy::Number)];
const VERIFY: &[(&str, VerifyPolicy)] =
    &[("ASK", VerifyPolicy::Ask), ("RESEND", VerifyPolicy::Resend), ("ACCEPT", VerifyPolicy::Accept)];

fn addresses(r: &mut Reader<'_>) -> Vec<(HostPort, Through)> {
    let mut found = Vec::new();
    for (field, net, commands) in [
        ("dest_address", "net_proxy", "ft_proxy"),
        ("dest_address_1", "net_proxy_1", "ft_proxy_1"),
        ("dest_address_2", "net_proxy_2", "ft_proxy_2"),
        ("dest_address_3", "net_proxy_3", "ft_proxy_3"),
    ] {
        let through = Through { net: r.text(net), commands: r.text(commands) };
        match r.text(field).map(|text| HostPort::parse(&text)) {
            None => {}
            Some(Ok(address)) => found.push((address, through)),
            Some(Err(wrong)) => r.error(field, wrong, "give host name or IP address, a slash, and the port"),
        }
    }
    found
}

/// OBJ-10: never in clear by mistake. A site that is not called has its calls judged by the network profile.
fn security(r: &mut Reader<'_>, is_folder: bool, is_called: bool, profile: Option<Alias>) -> CallSecurity {
    let over_ssh = is_folder || r.text_or_empty("protocol").eq_ignore_ascii_case("SFTP");
    let option = r.text_or_empty("network_security_option").to_ascii_uppercase();
    let wrong = match (over_ssh, option.as_str(), profile) {
        (true, ..) if is_folder => return CallSecurity::Ssh,
        (true, "SSH", profile) => {
            if profile.is_some() {
                r.warning("tls_sprof_out", "ignored, since SFTP runs over SSH only", "clear it");
            }
            return CallSecurity::Ssh;
        }
        (true, ..) => ("network_security_option", "SFTP runs over SSH only", "set it to SSH"),
        (false, "TLS", Some(profile)) => return CallSecurity::Tls(profile),
        (false, "NONE", None) => return CallSecurity::Clear,
        (false, "NONE", Some(_)) => {
            ("tls_sprof_out", "calls are in clear, as network_security_option says", "clear it, or set that to TLS")
        }
        (false, "TLS", None) => ("tls_sprof_out", "TLS needs a profile", "name a TLS profile of type CLIENT"),
        (false, ..) => {
            let fix = "set it to TLS and name a profile in tls_sprof_out; NONE sends logins and files in clear";
            ("network_security_option", "FTP does not run over SSH", fix)
        }
    };
    let (field, text, fix) = wrong;
    if over_ssh || is_called {
        r.error(field, text, fix);
    }
    CallSecurity::Broken(format!("{text}: {fix}"))
}

fn commands(r: &mut Reader<'_>) -> SiteCommands {
    let takes_commands = r.text_or_empty("protocol").eq_ignore_ascii_case("FTP");
    let mut read = |field: &'static str| {
        let text = r.text_or_empty(field);
        if !text.is_empty() && !takes_commands {
            r.error(field, "only FTP has such commands", "clear it");
        }
        partner_commands(&text).unwrap_or_else(|wrong| {
            r.error(field, wrong, "write SITE LRECL=80;QUOTE TYPE A");
            Vec::new()
        })
    };
    let (at_login, at_file) = (read("snd_msg"), read("ftp_command"));
    if at_login.iter().any(|command| command.time != CommandTime::Before) {
        r.error("snd_msg", "no file stands before these commands", "write them without AE_ and AC_, or in ftp_command");
    }
    SiteCommands { at_login, at_file }
}

fn roles(r: &mut Reader<'_>) -> SiteRoles {
    SiteRoles {
        init_sender: r.flag("init_sender"),
        init_receiver: r.flag("init_receiver"),
        resp_sender: r.flag("resp_sender"),
        resp_receiver: r.flag("resp_receiver"),
        init_mode: r.flag("init_mode"),
        resp_mode: r.flag("resp_mode"),
    }
}

fn retry(r: &mut Reader<'_>) -> Retry {
    let retry = Retry {
        count_max: r.int("retry_count_max"),
        delay_min_s: r.int("retry_delay_min"),
        delay_max_s: r.int("retry_delay_max"),
    };
    if retry.delay_max_s < retry.delay_min_s {
        r.error("retry_delay_max", "it is shorter than retry_delay_min", "raise it, or lower retry_delay_min");
    }
    retry
}

/// A folder of this machine is not called.
fn no_connection(r: &mut Reader<'_>, template: bool, addresses: &[HostPort]) {
    if template {
        r.error("template", "a FOLDER is no pattern for sites", "clear it");
    }
    if !addresses.is_empty() {
        r.error("dest_address", "a FOLDER has no address", "clear it, and give real_path");
    }
}

fn rename_policy(r: &mut Reader<'_>, is_folder: bool) -> RenamePolicy {
    let policy = r.choice("rename_policy", RENAME, RenamePolicy::Replace);
    if policy == RenamePolicy::Number && !is_folder {
        r.error("rename_policy", "only a FOLDER can number files", "use REPLACE or KEEP");
    }
    policy
}

fn virtual_folder(r: &mut Reader<'_>, name: &'static str) -> Option<String> {
    let path = r.text(name)?;
    super::check_folder(r, name, &path);
    Some(path)
}

fn temporary_name(r: &mut Reader<'_>, is_folder: bool) -> Option<String> {
    let pattern = match r.text("temporary_name") {
        Some(pattern) if !pattern.eq_ignore_ascii_case("NONE") => pattern,
        _ => {
            if is_folder {
                r.error("temporary_name", "a FOLDER can always rename", "leave it out");
            }
            return None;
        }
    };
    // Without the transfer's number two deliveries of one name would write into each other.
    if !pattern.contains("&(local_ident)") || pattern.contains('/') {
        let fix = "write it as &(file_name).&(local_ident).part, or NONE";
        r.error("temporary_name", "it needs &(local_ident) and may have no '/'", fix);
    }
    // Programs that look for files in a folder of this machine must not see it.
    Some(if is_folder && !pattern.starts_with('.') { format!(".{pattern}") } else { pattern })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;
    use crate::testing::object;

    fn site(fields: &[(&str, &str)]) -> RemoteSite {
        let (site, problems) = read(&object(Kind::RemoteSite, "B", fields));
        assert_eq!(problems, []);
        site
    }

    fn refused(fields: &[(&str, &str)]) -> Vec<String> {
        let body = fields.iter().map(|(field, text)| ((*field).to_owned(), crate::Value::from(*text))).collect();
        let problems = crate::check_body(Kind::RemoteSite, &body).unwrap_err();
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let site = site(&[]);
        assert_eq!(site.retry, Retry { count_max: 10, delay_min_s: 10, delay_max_s: 600 });
        assert_eq!((site.init_conn_max, site.check_window), (1, 64));
        assert_eq!(site.ssh_profile_name(), "SFTP_OUT"); // SFTP-21
        assert!(site.roles.init_sender && site.roles.resp_mode && !site.template);
    }

    #[test]
    fn the_delay_doubles_and_ends() {
        // OBJ-6: with 10/30/10 the sequence is 10, 20, 30, 30 … ten times
        let retry = Retry { count_max: 10, delay_min_s: 10, delay_max_s: 30 };
        let delays: Vec<_> = (1..=11).map(|n| retry.delay_s(n)).collect();
        let expected = [10, 20, 30, 30, 30, 30, 30, 30, 30, 30].map(Some);
        assert_eq!(delays[..10], expected);
        assert_eq!(delays[10], None);
        assert_eq!(Retry { count_max: 999, delay_min_s: 9999, delay_max_s: 9999 }.delay_s(999), Some(9999));
    }

    #[test]
    fn four_addresses_in_order() {
        // OBJ-5
        let site = site(&[
            ("dest_address_2", "[2001:db8::1]/2222"),
            ("dest_address", "sftp.example.com/22"),
            ("dest_address_1", "192.0.2.1:22"),
        ]);
        let shown: Vec<String> = site.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["sftp.example.com/22", "192.0.2.1/22", "2001:db8::1/2222"]);
    }

    #[test]
    fn wrong_sites_are_refused() {
        for (fields, field) in [
            (&[("dest_address", "example.com")][..], "dest_address"),
            (&[("dest_address", "example.com/0")], "dest_address"),
            (&[("dest_address", "bad host/22")], "dest_address"),
            (&[("network_security_option", "NONE")], "network_security_option"), // OBJ-10
            (&[("template", "Y"), ("dest_address", "192.0.2.1/22")], "dest_address"),
            (&[("retry_delay_min", "100"), ("retry_delay_max", "10")], "retry_delay_max"),
            (&[("temporary_name", "fixed.tmp")], "temporary_name"),
            (&[("temporary_name", "tmp/&(local_ident)")], "temporary_name"),
            (&[("dir_path", "relative")], "dir_path"),
            (&[("check_window", "256")], "check_window"), // SFTP-11
        ] {
            assert_eq!(refused(fields), [field], "{fields:?}");
        }
    }

    #[test]
    fn a_call_is_as_safe_as_the_site_says() {
        // OBJ-10: never in clear by mistake
        let called = |fields: &[(&'static str, &'static str)]| {
            let base = [("protocol", "FTP"), ("dest_address", "192.0.2.1/21")];
            base.into_iter().chain(fields.iter().copied()).collect::<Vec<_>>()
        };
        let tls = Alias::try_from("OUT".to_owned()).unwrap();
        for (fields, expected) in [
            (&[("network_security_option", "NONE")][..], CallSecurity::Clear),
            (&[("network_security_option", "TLS"), ("tls_sprof_out", "OUT")], CallSecurity::Tls(tls)),
        ] {
            assert_eq!(site(&called(fields)).security, expected, "{fields:?}");
        }
        for (fields, field) in [
            (&[("template", "N")][..], "network_security_option"),
            (&[("network_security_option", "SSH")], "network_security_option"),
            (&[("network_security_option", "TLS")], "tls_sprof_out"),
            (&[("network_security_option", "NONE"), ("tls_sprof_out", "OUT")], "tls_sprof_out"),
        ] {
            assert_eq!(refused(&called(fields)), [field], "{fields:?}");
        }
        assert_eq!(site(&[]).security, CallSecurity::Ssh);
        assert!(matches!(site(&[("protocol", "FTP"), ("template", "Y")]).security, CallSecurity::Broken(_)));
    }

    #[test]
    fn who_opens_data_connections() {
        for (mode, passive) in [("NONE", false), ("INIT", true), ("RESP", false), ("BOTH", true)] {
            assert_eq!(site(&[("ftp_passive_mode", mode)]).data.passive, passive, "{mode}");
        }
        assert_eq!(site(&[]).data, DataConnections { passive: true, other_address: false });
    }

    #[test]
    fn temporary_names_are_stable_and_fit() {
        // DESIGN 1.18
        let name = |site: &RemoteSite, file: &str| site.temporary_name(file, TransferId(7));
        assert_eq!(name(&site(&[]), "a.txt").as_deref(), Some("a.txt.7.part"));
        assert_eq!(name(&site(&[("temporary_name", ".&(local_ident)")]), "a.txt").as_deref(), Some(".7"));
        assert_eq!(name(&site(&[("temporary_name", "none")]), "a.txt"), None);
        let long = name(&site(&[]), &"é".repeat(127)).unwrap();
        assert!(long.len() <= 255 && long.ends_with("é.7.part"), "{long}");
    }
}
