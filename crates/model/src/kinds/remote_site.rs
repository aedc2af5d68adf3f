//! A partner: addresses, roles, limits, login, keys (objects.md section 3, protocol-sftp.md section 1).

use base::{Alias, ObjectId, TransferId};

use super::addresses::HostPort;
use super::real_folder::{
    DONE_MARKER, FILE_MODE, FILE_OWNER, FOLDER, FolderPlace, NAME_PATTERN, REAL_PATH, folder_place, name_pattern,
};
use super::store_limits::{MAX_STORED, MAX_STORED_FILES, RETENTION, StoreLimits, store_limits};
use crate::field::{COMMENTS, Field, FieldKind, GROUP, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::RemoteSite,
    title: "remote site",
    about: "A partner: how to reach it, how it logs in, what it may do.",
    name_field: Field::text("alias", 31, "name of the site").shorts(&["a"]).aliases(&["s_alias", "name"]).required(),
    name_rule: NameRule::Word { max: 31 },
    fields: FIELDS,
    group_field: Some(GROUP.aliases(&["s_group"])),
    state_field: Some(STATE.aliases(&["s_state"])),
    summary: &["protocol", "dest_address", "login_ident", "ssh_profile", "group", "state"],
};

static FIELDS: &[Field] = &[
    Field { aliases: &["s_comments"], ..COMMENTS },
    Field::choice("protocol", &["SFTP", "FTP", FOLDER], "protocol spoken with the partner")
        .shorts(&["pr"])
        .aliases(&["s_protocol"])
        .default("SFTP")
        .detail("FOLDER is a folder of this machine where files are put for the business side"),
    Field::text("username", 31, "owner of transfers made on behalf of the site")
        .shorts(&["un"])
        .aliases(&["s_username"]),
    Field::new("partner_loc_alias", FieldKind::Ref(Kind::LocalSite), "local site for this partner")
        .shorts(&["pla"])
        .aliases(&["s_partner_loc_alias"]),
    Field::flag("template", "N", "a pattern for dynamic sites, without address").aliases(&["s_template"]),
    Field::flag("init_sender", "Y", "we may call and send").aliases(&["s_init_sender"]),
    Field::flag("init_receiver", "Y", "we may call and receive").aliases(&["s_init_receiver"]),
    Field::flag("resp_sender", "Y", "the partner may call and fetch").aliases(&["s_resp_sender"]),
    Field::flag("resp_receiver", "Y", "the partner may call and send").aliases(&["s_resp_receiver"]),
    Field::flag("init_mode", "Y", "calls to the partner start with the gateway").aliases(&["s_init_mode"]),
    Field::flag("resp_mode", "Y", "calls of the partner are taken from the start").aliases(&["s_resp_mode"]),
    Field::int("init_conn_max", (0, 999), "", "connections to the partner at a time")
        .aliases(&["s_init_conn_max"])
        .default("1"),
    Field::int("resp_conn_max", (0, 999), "", "connections of the partner at a time")
        .aliases(&["s_resp_conn_max"])
        .default("10")
        .detail("SFTP clients open several at once, so ours is 10 where the documented default is 1"),
    Field::int("retry_count_max", (0, 999), "", "tries to connect again").aliases(&["s_retry_count_max"]).default("10"),
    Field::int("retry_delay_min", (1, 9999), "seconds", "wait before the second try; doubles each time")
        .aliases(&["s_retry_delay_min"])
        .default("10"),
    Field::int("retry_delay_max", (1, 9999), "seconds", "longest wait between tries")
        .aliases(&["s_retry_delay_max"])
        .default("600"),
    Field::text("dest_address", 261, "host/port of the partner").aliases(&["s_dest_address"]),
    Field::text("dest_address_1", 261, "host/port, tried second").aliases(&["s_dest_address_1"]),
    Field::text("dest_address_2", 261, "host/port, tried third").aliases(&["s_dest_address_2"]),
    Field::text("dest_address_3", 261, "host/port, tried fourth").aliases(&["s_dest_address_3"]),
    Field::choice(
        "network_security_option",
        &["NONE", "TLS", "SSH"],
        "security of the connection; SFTP takes SSH only",
    )
    .shorts(&["nsopt"])
    .aliases(&["s_network_security_option"])
    .default("SSH"),
    Field::new("ssh_profile", FieldKind::Ref(Kind::SshProfile), "CLIENT profile; SFTP_OUT where none is named")
        .shorts(&["sshprf"])
        .aliases(&["s_ssh_profile"]),
    Field::text("login_ident", 63, "user name we send").shorts(&["l_id"]).aliases(&["s_login_ident"]),
    Field::new("login_password", FieldKind::Secret { max: 127 }, "password we send")
        .shorts(&["l_pswd"])
        .aliases(&["s_login_password"]),
    Field::new("local_private_key_alias", FieldKind::Ref(Kind::Key), "key we log in with; wins over the profile's")
        .shorts(&["lprvka"])
        .aliases(&["s_local_private_key_alias"]),
    Field::text("check_login_ident", 63, "user name the partner logs in with")
        .shorts(&["chkl_id"])
        .aliases(&["s_check_login_ident"]),
    Field::new(
        "remote_public_key_alias",
        FieldKind::RefList(Kind::Key, 8),
        "keys of the partner: only these are accepted",
    )
    .shorts(&["rpubka"])
    .aliases(&["s_remote_public_key_alias"]),
    Field::text("remote_public_key_group", 31, "group of the partner's keys, and of captured ones")
        .shorts(&["rpubkg"])
        .aliases(&["s_remote_public_key_group"]),
    Field::new(
        "bound_keys",
        FieldKind::RefList(Kind::Key, 16),
        "captured keys that a person has enabled for this partner",
    )
    .aliases(&["s_bound_keys"])
    .detail("set by quarantine enable; unlike remote_public_key_alias they leave room for a new key to be captured"),
    Field::text("dir_path", 127, "virtual folder for files fetched from the partner")
        .shorts(&["dp"])
        .aliases(&["s_dir_path"]),
    Field::text("dir_name", 255, "folder at the partner for files delivered to it")
        .shorts(&["dn"])
        .aliases(&["remote_dir_name", "s_dir_name"])
        .detail("empty: the folder the login begins in; for a FOLDER one below real_path"),
    NAME_PATTERN,
    REAL_PATH,
    DONE_MARKER,
    FILE_MODE,
    FILE_OWNER,
    Field::text("temporary_name", 127, "name at the partner while a file is on its way")
        .aliases(&["s_temporary_name"])
        .default("&(file_name).&(local_ident).part")
        .detail("a rename gives the final name; NONE writes under the final name at once"),
    Field::choice("rename_policy", &["REPLACE", "KEEP", "NUMBER"], "when the final name is taken at the partner")
        .aliases(&["s_rename_policy"])
        .default("REPLACE")
        .detail("REPLACE puts the new file in its place, KEEP leaves it and fails; NUMBER (FOLDER only) takes NAME_1"),
    Field::choice("verify_policy", &["ASK", "RESEND", "ACCEPT"], "when nothing tells whether a delivery arrived")
        .aliases(&["s_verify_policy"])
        .default("ASK")
        .detail("ASK waits for a person, RESEND may double a file, ACCEPT may lose one"),
    Field::int("check_window", (0, 255), "requests", "requests on their way at a time; 0 means 1")
        .aliases(&["s_check_window"])
        .default("64"),
    Field::text("route_remote_agent", 63, "site that gets files received from this partner")
        .shorts(&["rra"])
        .aliases(&["s_route_remote_agent"])
        .detail("&(destination) and $(LOGIN_USER) are replaced"),
    Field::int("max_upload_file_size", (0, 1_000_000_000), "MB", "largest file the partner may send; 0 for any")
        .aliases(&["s_max_upload_file_size"])
        .default("0"),
    MAX_STORED_FILES,
    MAX_STORED,
    RETENTION,
];

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
    /// `SFTP`, or [`FOLDER`].
    pub protocol: String,
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
    /// CLIENT profile; `SFTP_OUT` where none is named.
    pub ssh_profile: Option<Alias>,
    /// User name we send.
    pub login: Option<String>,
    /// Whether a password to send is stored, as secret `login_password`.
    pub has_password: bool,
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
    /// Site that gets files received from it.
    pub route_remote_agent: Option<String>,
    /// Largest file it may send, in octets.
    pub max_upload_octets: Option<u64>,
    /// How much of it is stored, and how long.
    pub stored: StoreLimits,
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
        if folder.is_none() && !r.text_or_empty("network_security_option").eq_ignore_ascii_case("SSH") {
            let fix = "set it to SSH"; // OBJ-10: never in clear by mistake
            r.error("network_security_option", "SFTP runs over SSH only", fix);
        }
        let addresses = addresses(r);
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
            username: r.text("username"),
            local_site: r.text("partner_loc_alias"),
            template,
            roles: roles(r),
            init_conn_max: r.int("init_conn_max"),
            resp_conn_max: r.int("resp_conn_max"),
            retry: retry(r),
            addresses,
            ssh_profile: r.alias("ssh_profile"),
            login: r.text("login_ident"),
            has_password: r.secret("login_password"),
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
            route_remote_agent: r.text("route_remote_agent"),
            max_upload_octets: (max_mb > 0).then(|| max_mb.saturating_mul(1_000_000)),
            stored: store_limits(r),
        }
    }
}

const RENAME: &[(&str, RenamePolicy)] =
    &[("REPLACE", RenamePolicy::Replace), ("KEEP", RenamePolicy::Keep), ("NUMBER", RenamePolicy::Number)];
const VERIFY: &[(&str, VerifyPolicy)] =
    &[("ASK", VerifyPolicy::Ask), ("RESEND", VerifyPolicy::Resend), ("ACCEPT", VerifyPolicy::Accept)];

fn addresses(r: &mut Reader<'_>) -> Vec<HostPort> {
    let mut found = Vec::new();
    for field in ["dest_address", "dest_address_1", "dest_address_2", "dest_address_3"] {
        match r.text(field).map(|text| HostPort::parse(&text)) {
            None => {}
            Some(Ok(address)) => found.push(address),
            Some(Err(wrong)) => r.error(field, wrong, "give host name or IP address, a slash, and the port"),
        }
    }
    found
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
