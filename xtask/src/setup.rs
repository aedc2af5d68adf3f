//! `setup`: the programs that the tests need, from Debian's packages and PyPI.
//!
//! Without the right to install, or on another system, it says exactly what is missing. No service is started.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::run::{self, Failure, Workplace, answers, output, say};

/// Installs what is missing, or says what to install.
pub(crate) fn run(place: &Workplace) -> Result<(), Failure> {
    install_packages(place)?;
    unpack_packages(place)?;
    make_venv(place)
}

/// The folder with the programs of packages that can't be installed beside each other.
pub(crate) fn unpacked_folder(place: &Workplace) -> PathBuf {
    place.target.join("peers")
}

/// The folder of PostgreSQL's server programs, the newest version first.
pub(crate) fn postgres_folder() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.into_iter().rev().find(|folder| folder.join("initdb").exists())
}

/// True for the super-user.
pub(crate) fn is_root(place: &Workplace) -> bool {
    output("id", place.command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn install_packages(place: &Workplace) -> Result<(), Failure> {
    let missing: Vec<&str> = PACKAGES.iter().filter(|p| !p.is_there()).map(|p| p.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let advice = format!("install these Debian packages: {}", missing.join(" "));
    if !is_root(place) || !answers(Path::new("apt-get"), "--version") {
        return Err(Failure::new(format!("{advice}\n  sudo apt-get install {}", missing.join(" "))));
    }
    say(&format!("setup: installing {}", missing.join(" ")));
    let _quiet = NoServices::begin()?;
    output("apt-get update", place.command("apt-get").args(["-qq", "update"]))?;
    let mut install = place.command("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    install.args(["-qq", "-y", "-o", "Dpkg::Use-Pty=0", "install", "--no-install-recommends"]).args(&missing);
    output("apt-get install", &mut install).map(drop).map_err(|e| Failure::new(format!("{e}\n{advice}")))
}

/// Debian installs one FTP server at a time: further ones are only unpacked, which needs no right.
fn unpack_packages(place: &Workplace) -> Result<(), Failure> {
    let folder = unpacked_folder(place);
    let missing: Vec<&Package> = UNPACKED.iter().filter(|p| !folder.join(p.file).exists()).collect();
    if missing.is_empty() || !answers(Path::new("apt-get"), "--version") {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    for package in missing {
        say(&format!("setup: unpacking {}", package.name));
        let mut download = place.command("apt-get");
        output("apt-get download", download.current_dir(&folder).args(["-qq", "download", package.name]))?;
        for entry in fs::read_dir(&folder)?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                output("dpkg -x", place.command("dpkg").arg("-x").arg(&path).arg(&folder))?;
                fs::remove_file(&path)?;
            }
        }
    }
    Ok(())
}

fn make_venv(place: &Workplace) -> Result<(), Failure> {
    let wanted = fs::read_to_string(place.root.join(REQUIREMENTS))?;
    let stamp = place.target.join("venv/requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    let folder = place.target.join("venv");
    say("setup: making the Python environment of the tests");
    fs::create_dir_all(&place.target)?;
    let system = Path::new("/usr/bin/python3");
    let maker = if system.exists() { "/usr/bin/python3" } else { "python3" };
    run::run("python3 -m venv", place.command(maker).args(["-m", "venv", "--clear"]).arg(&folder))?;
    let python = place.python();
    let mut pip = place.command(&python.to_string_lossy());
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r", REQUIREMENTS]);
    run::run("pip install", &mut pip)?;
    fs::write(stamp, wanted)?;
    Ok(())
}

/// A Debian package and the file that shows it is there.
struct Package {
    name: &'static str,
    file: &'static str,
}

impl Package {
    fn is_there(&self) -> bool {
        match self.name {
            "postgresql" => postgres_folder().is_some(),
            _ => Path::new(self.file).exists(),
        }
    }
}

/// While this lives, Debian's packages start no service on installation.
struct NoServices {
    made: bool,
}

impl NoServices {
    fn begin() -> Result<Self, Failure> {
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(POLICY);
        match file {
            Ok(mut file) => {
                file.write_all(b"#!/bin/sh\nexit 101\n")?;
                Ok(Self { made: true })
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(Self { made: false }),
            Err(e) => Err(Failure::new(format!("{POLICY}: {e}"))),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.made {
            let _ = fs::remove_file(POLICY);
        }
    }
}

const POLICY: &str = "/usr/sbin/policy-rc.d";
const REQUIREMENTS: &str = "tests/interop/requirements.txt";
/// With the file below the folder that shows it is there.
const UNPACKED: &[Package] = &[
    Package { name: "vsftpd", file: "usr/sbin/vsftpd" },
    Package { name: "pure-ftpd", file: "usr/sbin/pure-ftpd" },
    Package { name: "pure-ftpd-common", file: "usr/bin/pure-pw" },
];
const PACKAGES: &[Package] = &[
    // What the unpacked ones need.
    Package { name: "libwrap0", file: "/usr/share/doc/libwrap0" },
    Package { name: "libsodium23", file: "/usr/share/doc/libsodium23" },
    Package { name: "openssh-client", file: "/usr/bin/sftp" },
    Package { name: "openssh-server", file: "/usr/sbin/sshd" },
    Package { name: "lftp", file: "/usr/bin/lftp" },
    // Key and certificate files of other programs, for the tests of the crate keys.
    Package { name: "openssl", file: "/usr/bin/openssl" },
    Package { name: "gnutls-bin", file: "/usr/bin/certtool" },
    Package { name: "putty-tools", file: "/usr/bin/puttygen" },
    Package { name: "default-jre-headless", file: "/usr/bin/keytool" },
    // Tokens for private keys and the master key.
    Package { name: "softhsm2", file: "/usr/bin/softhsm2-util" },
    Package { name: "opensc", file: "/usr/bin/pkcs11-tool" },
    // A server of FTP and FTPS, as partners have them; others are unpacked below.
    Package { name: "proftpd-core", file: "/usr/sbin/proftpd" },
    Package { name: "proftpd-mod-crypto", file: "/usr/lib/proftpd/mod_tls.so" },
    Package { name: "curl", file: "/usr/bin/curl" },
    Package { name: "python3-venv", file: "/usr/share/doc/python3-venv" },
    Package { name: "postgresql", file: "" },
    Package { name: "bash", file: "/usr/bin/bash" },
    Package { name: "zsh", file: "/usr/bin/zsh" },
    Package { name: "fish", file: "/usr/bin/fish" },
    Package { name: "man-db", file: "/usr/bin/man" },
    Package { name: "mandoc", file: "/usr/bin/mandoc" },
    Package { name: "systemd", file: "/usr/bin/systemd-analyze" },
    Package { name: "dpkg-dev", file: "/usr/bin/dpkg-shlibdeps" },
    Package { name: "lintian", file: "/usr/bin/lintian" },
    Package { name: "iproute2", file: "/usr/sbin/ip" },
];
