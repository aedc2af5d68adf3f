//! The fields of a remote site, under their documented names.

use crate::field::{COMMENTS, Field, FieldKind};
use crate::kinds::real_folder::{DONE_MARKER, FILE_MODE, FILE_OWNER, FOLDER, NAME_PATTERN, REAL_PATH};
use crate::kinds::site_tls::{ISSUER_ALIAS, ISSUER_PATTERN, SUBJECT_ALIAS, SUBJECT_PATTERN, TLS_IN, TLS_OUT};
use crate::kinds::store_limits::{MAX_STORED, MAX_STORED_FILES, RETENTION};
use crate::kinds::transfer_rates::{DOWNLOAD_RATE, DOWNLOAD_REQUESTS, UPLOAD_RATE, UPLOAD_REQUESTS};
use crate::object::Kind;

const fn net_proxy(name: &'static str, help: &'static str) -> Field {
    Field::new(name, FieldKind::Ref(Kind::Proxy), help).detail("one of the protocol SOCKS4 or HTTPS")
}

const fn ft_proxy(name: &'static str, help: &'static str) -> Field {
    Field::new(name, FieldKind::Ref(Kind::Proxy), help)
        .detail("one of the protocol FTP; it reads all, so for calls in clear only")
}

pub(super) static FIELDS: &[Field] = &[
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
    net_proxy("net_proxy", "proxy for all connections to dest_address").aliases(&["s_net_proxy"]),
    net_proxy("net_proxy_1", "the same for dest_address_1").aliases(&["s_net_proxy_1"]),
    net_proxy("net_proxy_2", "the same for dest_address_2").aliases(&["s_net_proxy_2"]),
    net_proxy("net_proxy_3", "the same for dest_address_3").aliases(&["s_net_proxy_3"]),
    ft_proxy("ft_proxy", "FTP proxy that carries out commands at dest_address").aliases(&["s_ft_proxy"]),
    ft_proxy("ft_proxy_1", "the same at dest_address_1").aliases(&["s_ft_proxy_1"]),
    ft_proxy("ft_proxy_2", "the same at dest_address_2").aliases(&["s_ft_proxy_2"]),
    ft_proxy("ft_proxy_3", "the same at dest_address_3").aliases(&["s_ft_proxy_3"]),
    Field::choice("network_security_option", &["NONE", "TLS", "SSH"], "security of the connection")
        .shorts(&["nsopt"])
        .aliases(&["s_network_security_option"])
        .default("SSH")
        .detail("SFTP takes SSH only; FTP takes TLS, or NONE, which sends logins and files in clear"),
    Field::new("ssh_profile", FieldKind::Ref(Kind::SshProfile), "CLIENT profile; SFTP_OUT where none is named")
        .shorts(&["sshprf"])
        .aliases(&["s_ssh_profile"]),
    TLS_OUT,
    TLS_IN,
    SUBJECT_ALIAS,
    ISSUER_ALIAS,
    SUBJECT_PATTERN,
    ISSUER_PATTERN,
    Field::text("login_ident", 63, "user name we send").shorts(&["l_id"]).aliases(&["s_login_ident"]),
    Field::new("login_password", FieldKind::Secret { max: 127 }, "password we send")
        .shorts(&["l_pswd"])
        .aliases(&["s_login_password"]),
    Field::new("password2", FieldKind::Secret { max: 15 }, "account we send where the partner asks for one (FTP ACCT)")
        .shorts(&["pswd2"])
        .aliases(&["s_password2"]),
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
    Field::choice("ftp_passive_mode", &["NONE", "INIT", "RESP", "BOTH"], "FTP: who opens data connections")
        .aliases(&["s_ftp_passive_mode"])
        .default("BOTH")
        .detail("INIT and BOTH: we do when we call (PASV, EPSV); NONE and RESP: the partner does, to a port of ours"),
    Field::flag("restart_allowed", "Y", "FTP: a file is gone on with where an earlier try ended")
        .aliases(&["s_restart_allowed"]),
    Field::flag("change_data_addr", "N", "FTP: data may come from, and go to, another address than commands")
        .aliases(&["s_change_data_addr"])
        .detail("N takes the address of the control connection, whatever the partner's server names"),
    Field::text("snd_msg", 512, "FTP: commands that the partner's server hears when a session begins")
        .aliases(&["s_snd_msg"])
        .detail("SITE text or QUOTE text, a line or ; between them; one that is refused ends the call"),
    Field::text("ftp_command", 255, "FTP: commands before and behind each file")
        .shorts(&["fcmd"])
        .aliases(&["s_ftp_command"])
        .detail(
            "as snd_msg; AE_SITE, AE_QUOTE behind the file, AC_SITE, AC_QUOTE too, and there a refusal is an error",
        ),
    Field::text("route_remote_agent", 63, "site that gets files received from this partner")
        .shorts(&["rra"])
        .aliases(&["s_route_remote_agent"])
        .detail("&(destination) and $(LOGIN_USER) are replaced"),
    Field::int("max_upload_file_size", (0, 1_000_000_000), "MB", "largest file the partner may send; 0 for any")
        .aliases(&["s_max_upload_file_size"])
        .default("0"),
    UPLOAD_RATE,
    UPLOAD_REQUESTS,
    DOWNLOAD_RATE,
    DOWNLOAD_REQUESTS,
    MAX_STORED_FILES,
    MAX_STORED,
    RETENTION,
];
