//! The same with FTPS: a file that came by SSH goes out by TLS, and one that comes by TLS goes out by SSH.

use std::net::SocketAddr;

use base::hex;

use super::STEP_MAX;
use super::cast::{self, Gateway, free_address, operate, operate_with_file, until_open};
use super::show::Show;

/// Octets of the file.
const FILE_OCTETS: usize = 8 << 20;
/// Login of one gateway at the other.
const LOGIN: &str = "gateway";
/// Where a gateway puts what comes by FTPS.
const FOLDER: &str = "/by_ftps";
/// The site of the other gateway.
const PARTNER: &str = "PARTNER_C";
/// The certificate that a gateway shows.
const CERTIFICATE: &str = "GATEWAY_TLS";

/// The commands that an operator would give.
const STAGE: &[&str] = &[
    "gatehouse secadm create_cert -ctfn GATEWAY_TLS -csn CN=gateway.example -csa DNS:gateway.example",
    "gatehouse secadm create_sprof -spn FTPS_IN -spt SERVER -user_local_certificate GATEWAY_TLS -ft_sec_option explicit -client_auth_policy TLS_AUT_ANONYMOUS",
    "gatehouse secadm create_netprof -nprof_name FTPS -sec_opt TLS -sprof_name FTPS_IN -da '*/2221'",
    "gatehouse listener add FTPS -protocol FTP -port 2221",
    "gatehouse secadm import_cert -ctfn PARTNER_C -ctff partner-c.pem",
    "gatehouse secadm create_sprof -spn FTPS_OUT -spt CLIENT -ft_sec_option explicit -client_auth_policy TLS_AUT_ANONYMOUS",
    "gatehouse peladm create_site -alias PARTNER_C -protocol FTP -dest_address c.example/21 -network_security_option TLS -tls_sprof_out FTPS_OUT -login_ident gateway",
    "gatehouse route add TO_C -from_dir /to_c -to PARTNER_C",
    "gatehouse route add FROM_C -from_dir /by_ftps -to PARTNER_B",
];

/// Partner C, whose server speaks FTPS, gets a file of A, and sends it back for B.
pub(super) async fn play(show: &Show, (ours, c): (&Gateway, &Gateway), a: &cast::Partner) -> Result<(), String> {
    show.title("Partner C speaks FTPS")?;
    let password = hex(&base::random::<16>().map_err(|e| e.to_string())?);
    let (our_door, door) = (open(ours, &password).await?, open(c, &password).await?);
    know((ours, c), (door, &password)).await?;
    know((c, ours), (our_door, &password)).await?;
    operate(ours, "vfdadm create_dir", &[("dir_name", "/to_c")]).await?;
    let rights = [("name", "PARTNER"), ("vfd_right", "/:*:R:L:Y;/in:*:RWD:L:Y;/to_c:*:RWD:L:Y")];
    operate(ours, "peladm update_cgate", &rights).await?;
    for (on, name, from, to) in
        [(ours, "TO_C", "/to_c", PARTNER), (c, "BACK", FOLDER, PARTNER), (ours, "FROM_C", FOLDER, "PARTNER_B")]
    {
        operate(on, "route add", &[("name", name), ("from_dir", from), ("to", to)]).await?;
    }
    show.step("certificates, TLS profiles and routes are configured; the commands would be:")?;
    for line in STAGE {
        show.command(line)?;
    }
    there_and_back(show, (ours, c), a).await
}

async fn there_and_back(show: &Show, (ours, c): (&Gateway, &Gateway), a: &cast::Partner) -> Result<(), String> {
    let file = cast::random_file(FILE_OCTETS)?;
    let sent = hex(&cast::sha256(&file));
    let (mut events, mut arrivals) = (ours.running.engine.events(), c.running.engine.events());
    a.upload(ours, "/to_c/orders.dat", file).await?;
    show.step(&format!("A uploads orders.dat, {} MiB, over SSH", FILE_OCTETS >> 20))?;
    let delivered = cast::wait_for(&mut events, "delivered", STEP_MAX).await?;
    show.step(&format!("delivered to C over TLS as transfer {delivered}"))?;
    show.fact("its TLS", &cast::tls_of(ours, delivered).await?)?;
    let at_c = cast::wait_for(&mut arrivals, "received", STEP_MAX).await?;
    show.fact("SHA-256 at C", &cast::stored_sha256(c, at_c).await?)?;
    let back = cast::wait_for(&mut events, "received", STEP_MAX).await?;
    show.step(&format!("C sends it back over TLS: received as transfer {back}"))?;
    let delivered = cast::wait_for(&mut events, "delivered", STEP_MAX).await?;
    show.step(&format!("delivered to B over SSH as transfer {delivered}"))?;
    let at_b = cast::wait_for(&mut arrivals, "received", STEP_MAX).await?;
    let arrived = cast::stored_sha256(c, at_b).await?;
    show.fact("SHA-256 at B", &arrived)?;
    match arrived == sent {
        true => show.step("the same as at A"),
        false => Err("the file at B is not the file of A".to_owned()),
    }
}

/// A listener for FTPS with a certificate of its own, a folder, and a gate for the other gateway.
async fn open(on: &Gateway, password: &str) -> Result<SocketAddr, String> {
    let address = free_address().map_err(|e| e.to_string())?;
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let (called, name) = (format!("*/{port}"), format!("IP:{ip}"));
    let certificate = [("certificate_name", CERTIFICATE), ("subject_name", "CN=gateway"), ("subject_alt_name", &name)];
    operate(on, "secadm create_cert", &certificate).await?;
    let profile = [
        ("sprof_name", "FTPS_IN"),
        ("type", "SERVER"),
        ("user_local_certificate", CERTIFICATE),
        ("ft_sec_option", "explicit"),
        ("client_auth_policy", "TLS_AUT_ANONYMOUS"),
    ];
    operate(on, "secadm create_sprof", &profile).await?;
    let netprof =
        [("nprof_name", "FTPS"), ("security_option", "TLS"), ("sprof_name", "FTPS_IN"), ("dest_address", &called)];
    operate(on, "secadm create_netprof", &netprof).await?;
    let before = on.running.listening.borrow().len();
    let listener = [("name", "FTPS"), ("address", &*ip), ("port", &port), ("protocol", "FTP")];
    operate(on, "listener add", &listener).await?;
    operate(on, "vfdadm create_dir", &[("dir_name", FOLDER)]).await?;
    operate(on, "peladm create_site", &[("alias", "BY_FTPS"), ("template", "Y"), ("protocol", "FTP")]).await?;
    let group = [("name", "FTP_PARTNERS"), ("template_site", "BY_FTPS"), ("protocol", "FTP")];
    operate(on, "peladm create_cgategroup", &group).await?;
    let gate = [
        ("name", "FTP_PARTNER"),
        ("cgategroup", "FTP_PARTNERS"),
        ("login_user", LOGIN),
        ("login_password", password),
        ("home_dir", FOLDER),
        ("root_dir", FOLDER),
        ("vfd_right", "/by_ftps:*:RWD:L:Y"),
    ];
    operate(on, "peladm create_cgate", &gate).await?;
    until_open(on, before + 1).await?;
    Ok(address)
}

/// `on` trusts the certificate of `other`, and knows its FTPS server as a site.
async fn know((on, other): (&Gateway, &Gateway), (door, password): (SocketAddr, &str)) -> Result<(), String> {
    let snapshot = other.running.engine.snapshot();
    let shown = snapshot.certificate(CERTIFICATE).ok_or("the certificate is gone")?;
    let file = ("certificate_file", shown.der.to_vec());
    operate_with_file(on, "secadm import_cert", &[("certificate_name", PARTNER)], file).await?;
    let profile = [
        ("sprof_name", "FTPS_OUT"),
        ("type", "CLIENT"),
        ("ft_sec_option", "explicit"),
        ("client_auth_policy", "TLS_AUT_ANONYMOUS"),
    ];
    operate(on, "secadm create_sprof", &profile).await?;
    let address = format!("{}/{}", door.ip(), door.port());
    let site = [
        ("alias", PARTNER),
        ("protocol", "FTP"),
        ("dest_address", &*address),
        ("network_security_option", "TLS"),
        ("tls_sprof_out", "FTPS_OUT"),
        ("login_ident", LOGIN),
        ("login_password", password),
    ];
    operate(on, "peladm create_site", &site).await
}
