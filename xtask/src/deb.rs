//! `deb`: the Debian package, from the program and the files of `packaging/`.
//!
//! The program writes its own manual pages, completions and links, so that the package never lags behind it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::run::{self, Failure, Workplace, output, say};

/// The task.
pub(crate) fn run(place: &Workplace, arguments: &[&str]) -> Result<(), Failure> {
    let order = Order::read(place, arguments)?;
    let program = match &order.program {
        Some(path) => path.clone(),
        None => {
            let build = ["build", "--release", "--locked", "--package", "gatehouse"];
            run::run("cargo build", place.command("cargo").args(build))?;
            place.target.join("release/gatehouse")
        }
    };
    let package = Package::begin(place, &order)?;
    package.install_program(&program)?;
    package.install_files()?;
    package.install_manual(&program)?;
    package.install_links(&program)?;
    package.write_control()?;
    let file = package.pack(&order)?;
    say(&format!("deb: {}", file.display()));
    Ok(())
}

/// What the command line says.
struct Order {
    program: Option<PathBuf>,
    output: PathBuf,
    version: Option<String>,
    fast: bool,
}

impl Order {
    fn read(place: &Workplace, arguments: &[&str]) -> Result<Self, Failure> {
        let mut order = Self { program: None, output: place.target.join("deb"), version: None, fast: false };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .map(|value| (*value).to_owned())
                    .ok_or_else(|| Failure::new(format!("{word} needs a value")))
            };
            match *word {
                "--program" => order.program = Some(PathBuf::from(value()?)),
                "--output" => order.output = PathBuf::from(value()?),
                "--version" => order.version = Some(value()?),
                "--fast" => order.fast = true,
                other => return Err(Failure::new(format!("{other}: give --program, --output, --version or --fast"))),
            }
        }
        Ok(order)
    }
}

/// A package that is being put together.
struct Package<'a> {
    place: &'a Workplace,
    /// What becomes `/`.
    root: PathBuf,
    version: String,
    /// Time of the sources, for everything that carries a time (reproducible-builds.org).
    epoch: String,
}

impl<'a> Package<'a> {
    fn begin(place: &'a Workplace, order: &Order) -> Result<Self, Failure> {
        let root = order.output.join("root");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        make_folder(&root)?;
        let git = output("git log", place.command("git").args(["log", "-1", "--format=%ct"]));
        let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().or_else(|| git.ok().map(|text| text.trim().to_owned()));
        let version = order.version.clone().unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
        Ok(Self { place, root, version, epoch: epoch.unwrap_or_else(|| "0".to_owned()) })
    }

    /// A file of the sources under its name in the system.
    fn copy(&self, from: &str, to: &str) -> Result<(), Failure> {
        let text = fs::read(self.place.root.join(from)).map_err(|e| Failure::new(format!("{from}: {e}")))?;
        self.write(to, &text)
    }

    fn write(&self, to: &str, content: &[u8]) -> Result<(), Failure> {
        let path = self.root.join(to);
        path.parent().map_or(Ok(()), make_folder)?;
        fs::write(&path, content)?;
        mode(&path, 0o644)
    }

    /// The program, stripped.
    fn install_program(&self, program: &Path) -> Result<(), Failure> {
        let target = self.root.join("usr/bin/gatehouse");
        make_folder(&self.root.join("usr/bin"))?;
        fs::copy(program, &target).map_err(|e| Failure::new(format!("{}: {e}", program.display())))?;
        mode(&target, 0o755)?;
        let sections = ["--strip-unneeded", "--remove-section=.comment", "--remove-section=.note"];
        run::run("strip", self.place.command("strip").args(sections).arg(&target))?;
        Ok(())
    }

    /// A link for each documented name that is a command of this version: each has a manual page.
    fn install_links(&self, program: &Path) -> Result<(), Failure> {
        let scratch = self.root.join("links");
        make_folder(&scratch)?;
        run::run("gatehouse links", self.place.command(&program.to_string_lossy()).arg("links").arg(&scratch))?;
        let names = names_in(&scratch)?;
        fs::remove_dir_all(scratch)?;
        for name in names.iter().filter(|name| self.root.join(format!("usr/share/man/man1/{name}.1.gz")).exists()) {
            symlink("gatehouse", self.root.join("usr/bin").join(name))?;
            symlink("gatehouse", self.root.join("usr/share/bash-completion/completions").join(name))?;
            symlink("gatehouse.fish", self.root.join(format!("usr/share/fish/vendor_completions.d/{name}.fish")))?;
        }
        Ok(())
    }

    fn install_files(&self) -> Result<(), Failure> {
        for (from, to) in FILES {
            self.copy(from, to)?;
        }
        let date = output("date", self.place.command("date").args(["-u", "-R", "-d", &format!("@{}", self.epoch)]))?;
        let entry = format!(
            "gatehouse ({}) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n -- {MAINTAINER}  {}\n",
            self.version,
            date.trim()
        );
        self.write(&format!("{DOC}/changelog"), entry.as_bytes())?;
        for name in ["changelog", "CHANGELOG.md"] {
            self.compress(&self.root.join(DOC).join(name))?;
        }
        for page in names_in(&self.place.root.join("docs/manual"))?.iter().filter(|name| name.ends_with(".md")) {
            self.copy(&format!("docs/manual/{page}"), &format!("{DOC}/manual/{page}"))?;
        }
        Ok(())
    }

    /// Manual pages, and completions for every name.
    fn install_manual(&self, program: &Path) -> Result<(), Failure> {
        let gatehouse = || {
            let mut command = self.place.command(&program.to_string_lossy());
            command.env("SOURCE_DATE_EPOCH", &self.epoch);
            command
        };
        let manual = self.root.join("usr/share/man");
        run::run("gatehouse man", gatehouse().arg("man").arg(&manual))?;
        for section in names_in(&manual)? {
            for page in names_in(&manual.join(&section))? {
                self.compress(&manual.join(&section).join(page))?;
            }
        }
        for (shell, to) in COMPLETIONS {
            let script = output("gatehouse completion", gatehouse().args(["completion", shell]))?;
            self.write(to, script.as_bytes())?;
        }
        Ok(())
    }

    fn compress(&self, path: &Path) -> Result<(), Failure> {
        run::run("gzip", self.place.command("gzip").args(["-9nf"]).arg(path))
    }

    fn write_control(&self) -> Result<(), Failure> {
        let size = output("du", self.place.command("du").args(["-sk", "--apparent-size"]).arg(&self.root))?;
        let architecture = output("dpkg", self.place.command("dpkg").arg("--print-architecture"))?;
        let template = fs::read_to_string(self.place.root.join("packaging/debian/control.in"))?;
        let control = template
            .replace("@VERSION@", &self.version)
            .replace("@ARCHITECTURE@", architecture.trim())
            .replace("@SIZE@", size.split_whitespace().next().unwrap_or("0"))
            .replace("@DEPENDS@", &self.libraries()?)
            .replace("@MAINTAINER@", MAINTAINER);
        let sums = self.sums()?;
        self.write("DEBIAN/control", control.as_bytes())?;
        self.write("DEBIAN/md5sums", sums.as_bytes())?;
        self.copy("packaging/debian/conffiles", "DEBIAN/conffiles")?;
        for script in ["postinst", "prerm", "postrm"] {
            self.copy(&format!("packaging/debian/{script}"), &format!("DEBIAN/{script}"))?;
            mode(&self.root.join("DEBIAN").join(script), 0o755)?;
        }
        Ok(())
    }

    /// Packages of the libraries that the program is linked with.
    fn libraries(&self) -> Result<String, Failure> {
        let scratch = self.root.with_file_name("shlibdeps");
        make_folder(&scratch.join("debian"))?;
        fs::write(scratch.join("debian/control"), "Source: gatehouse\n\nPackage: gatehouse\nArchitecture: any\n")?;
        let program = self.root.join("usr/bin/gatehouse").canonicalize()?;
        let mut ask = self.place.command("dpkg-shlibdeps");
        let found = output("dpkg-shlibdeps", ask.current_dir(&scratch).arg("-O").arg(program))?;
        let found = found.lines().find_map(|line| line.strip_prefix("shlibs:Depends=")).map(str::to_owned);
        found.ok_or_else(|| Failure::new("dpkg-shlibdeps found no library"))
    }

    fn sums(&self) -> Result<String, Failure> {
        let mut find = self.place.command("find");
        find.current_dir(&self.root).args(["usr", "lib", "-type", "f", "-exec", "md5sum", "{}", "+"]);
        let mut lines: Vec<String> = output("md5sum", &mut find)?.lines().map(str::to_owned).collect();
        lines.sort_by(|a, b| a.get(34..).cmp(&b.get(34..)));
        Ok(lines.join("\n") + "\n")
    }

    fn pack(&self, order: &Order) -> Result<PathBuf, Failure> {
        let mut pack = self.place.command("dpkg-deb");
        pack.env("SOURCE_DATE_EPOCH", &self.epoch).arg("--root-owner-group");
        pack.args(if order.fast { ["-Zgzip", "-z1"] } else { ["-Zxz", "-z6"] });
        run::run(
            "dpkg-deb",
            pack.arg("--build").arg(&self.root).arg(&order.output).stdout(std::process::Stdio::null()),
        )?;
        let mut made = names_in(&order.output)?
            .into_iter()
            .filter(|name| name.starts_with(&format!("gatehouse_{}_", self.version)));
        made.next_back().map(|name| order.output.join(name)).ok_or_else(|| Failure::new("dpkg-deb made no package"))
    }
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())))
}

fn mode(path: &Path, mode: u32) -> Result<(), Failure> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

/// Names in a folder, in order.
fn names_in(folder: &Path) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(folder).map_err(|e| Failure::new(format!("{}: {e}", folder.display())))?;
    let mut names: Vec<String> =
        entries.map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned())).collect::<Result<_, _>>()?;
    names.sort();
    Ok(names)
}

const MAINTAINER: &str = "Gatehouse maintainers <maintainers@gatehouse.invalid>";
const DOC: &str = "usr/share/doc/gatehouse";
/// Files of the sources and their names in the system.
const FILES: &[(&str, &str)] = &[
    ("packaging/debian/gatehouse.toml", "etc/gatehouse/gatehouse.toml"),
    ("packaging/systemd/gatehouse.service", "lib/systemd/system/gatehouse.service"),
    ("packaging/systemd/gatehouse.sysusers", "usr/lib/sysusers.d/gatehouse.conf"),
    ("packaging/systemd/gatehouse.tmpfiles", "usr/lib/tmpfiles.d/gatehouse.conf"),
    ("packaging/systemd/gatehouse.socket", "usr/share/doc/gatehouse/examples/gatehouse.socket"),
    ("packaging/restore-drill", "usr/share/doc/gatehouse/examples/restore-drill"),
    ("packaging/debian/copyright", "usr/share/doc/gatehouse/copyright"),
    ("CHANGELOG.md", "usr/share/doc/gatehouse/CHANGELOG.md"),
];
/// Where shells look for completions.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions/gatehouse"),
    ("zsh", "usr/share/zsh/vendor-completions/_gatehouse"),
    ("fish", "usr/share/fish/vendor_completions.d/gatehouse.fish"),
];
