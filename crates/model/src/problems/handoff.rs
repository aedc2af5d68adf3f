//! Real folders of the business side that get in each other's way.

use super::Found;
use crate::kinds::vfd_dir::DirType;
use crate::object::Kind;
use crate::snapshot::Snapshot;

/// Drop folders, pick-up folders and mounts that lie in each other.
pub(super) fn folders(s: &Snapshot, found: &mut Found) {
    let drops: Vec<_> = s.drop_folders().collect();
    for (at, drop) in drops.iter().enumerate() {
        let own = (Kind::DropFolder, drop.name.as_str());
        for other in
            drops.iter().take(at).filter(|other| lies_in(&drop.path, &other.path) || lies_in(&other.path, &drop.path))
        {
            let text = format!("it lies in the folder of {}, or that in it", other.name);
            if drop.path == other.path {
                found.error(own, "real_path", format!("{} watches it too", other.name), "leave it to one of them");
            } else {
                found.warning(own, "real_path", text, "give each a folder of its own");
            }
        }
        for site in s.sites() {
            let Some(place) = site.folder.as_ref().filter(|place| place.path == drop.path) else { continue };
            let text = format!("files for site {} are put into {} too, and would come back", site.name, place.path);
            found.error(own, "real_path", text, "give each a folder of its own");
        }
        for dir in s.vfd_dirs() {
            let DirType::Mount(target) = &dir.dir_type else { continue };
            if lies_in(&drop.path, target) || lies_in(target, &drop.path) {
                let text = format!("partners see it as {}: they can change what is dropped", dir.path);
                found.warning(own, "real_path", text, "give the mount another folder");
            }
        }
        let to = drop.destination.as_deref().and_then(|name| s.site(name));
        if let Some(site) = to.filter(|site| site.template || !site.roles.init_sender) {
            found.warning(
                own,
                "dest_alias",
                format!("site {} is not sent files by us", site.name),
                "name another site",
            );
        }
        if to.is_some_and(|site| site.name == drop.site) {
            found.warning(own, "dest_alias", "files of the site would go back to it", "name another site");
        }
    }
}

/// Programs of hooks in folders that others fill: there is no folder whose content is executed.
pub(super) fn hooks(s: &Snapshot, found: &mut Found) {
    let mounts = s.vfd_dirs().filter_map(|dir| match &dir.dir_type {
        DirType::Mount(target) => Some((target.as_str(), format!("partners see as {}", dir.path))),
        DirType::Virtual => None,
    });
    let drops = s.drop_folders().map(|drop| (drop.path.as_str(), format!("is drop folder {}", drop.name)));
    let pickups =
        s.sites().filter_map(|site| Some((site.folder.as_ref()?.path.as_str(), format!("is site {}", site.name))));
    for (folder, what) in mounts.chain(drops).chain(pickups) {
        for hook in s.hooks().filter(|hook| lies_in(&hook.program, folder)) {
            let text = format!("the program lies in {folder}, which {what}");
            found.error((Kind::Hook, &hook.name), "program", text, "put it where only operators can write");
        }
    }
}

/// Whether `path` is `folder` or lies in it.
fn lies_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use crate::testing::object;
    use crate::{Kind, Snapshot};

    #[test]
    fn programs_in_folders_of_others_are_refused() {
        let hook = |program: &str| object(Kind::Hook, "H", &[("program", program), ("events", "RECEIVED")]);
        let drop = || object(Kind::DropFolder, "D", &[("real_path", "/srv/out")]);
        let mount = || object(Kind::VfdDir, "/m", &[("type", "MOUNT"), ("target", "/srv/m")]);
        for (program, refused) in [("/srv/out/x.sh", true), ("/srv/m/a/x.sh", true), ("/srv/bin/x.sh", false)] {
            let (_, problems) = Snapshot::build(vec![hook(program), drop(), mount()], vec![], 1);
            assert_eq!(problems.iter().any(|p| p.object == "HOOK H"), refused, "{program}");
        }
    }

    #[test]
    fn folders_in_each_other_are_told() {
        let drop = |name: &str, path: &str| object(Kind::DropFolder, name, &[("real_path", path)]);
        let erp = object(Kind::RemoteSite, "ERP", &[("protocol", "FOLDER"), ("real_path", "/srv/c")]);
        let mount = object(Kind::VfdDir, "/m", &[("type", "MOUNT"), ("target", "/srv")]);
        let all =
            vec![drop("A", "/srv/a"), drop("B", "/srv/a/b"), drop("C", "/srv/c"), drop("D", "/srv/a"), erp, mount];
        let (_, problems) = Snapshot::build(all, vec![], 1);
        let told: Vec<String> = problems.iter().map(ToString::to_string).filter(|p| p.contains("DROP")).collect();
        for text in ["A watches it too", "the folder of A", "files for site ERP", "partners see it as /m"] {
            assert!(told.iter().any(|t| t.contains(text)), "{text}: {told:#?}");
        }
        assert!(!super::lies_in("/srv/ab", "/srv/a") && super::lies_in("/srv/a", "/"));
    }
}
