//! Files of virtual folders: which records a session may see under which name.

use base::TransferId;
use db::{Direction, EntryQuery, State, Transfer};
use model::DisplayOption;

use crate::engine::Engine;
use crate::error::TransferError;
use crate::limits::LIST_ENTRIES_MAX;
use crate::transfer::{db_error, is_unrouted};
use crate::vfd::path::same_look;
use crate::vfd::place::{Folder, View};

/// Rows read in one go.
const PAGE: u32 = 500;
/// Records of one name that are looked at.
const SAME_NAME_MAX: u32 = 32;

/// Scope word of a partner's files in listings (the record's `gate`): its site, whatever gate it came by.
pub(crate) fn scope(site: &str) -> String {
    site.to_owned()
}

/// What one name means to a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    /// Its newest whole upload that went nowhere.
    pub(crate) whole: Option<Transfer>,
    /// Its newest upload that is under way or interrupted.
    pub(crate) partial: Option<Transfer>,
    /// The newest file at its disposal.
    pub(crate) offered: Option<Transfer>,
}

impl Named {
    /// What a reader gets: the newer one.
    pub(crate) fn readable(&self) -> Option<&Transfer> {
        [self.whole.as_ref(), self.offered.as_ref()].into_iter().flatten().max_by_key(|t| t.id)
    }

    fn take(&mut self, t: Transfer) {
        let place = match kind(&t) {
            Some(Visible::Whole) => &mut self.whole,
            Some(Visible::Partial) => &mut self.partial,
            Some(Visible::Offered) => &mut self.offered,
            None => return,
        };
        if place.as_ref().is_none_or(|old| old.id < t.id) {
            *place = Some(t);
        }
    }

    fn is_empty(&self) -> bool {
        self.whole.is_none() && self.partial.is_none() && self.offered.is_none()
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Visible {
    Whole,
    Partial,
    Offered,
}

/// How a record shows in a folder.
fn kind(t: &Transfer) -> Option<Visible> {
    match (t.direction, t.state) {
        (Direction::In, State::Ended) if is_unrouted(t) => Some(Visible::Whole),
        (Direction::In, State::Created | State::Servicing | State::Interrupted) => Some(Visible::Partial),
        // A file that was being fetched when the gateway stopped is interrupted, and still there to be fetched.
        (Direction::Out, State::ToBegin | State::ToRestart | State::Servicing | State::Interrupted) => {
            Some(Visible::Offered)
        }
        _ => None,
    }
}

impl Engine {
    /// What `name` in `folder` means to this session. A name that no record has exactly may be meant in another Unicode
    /// form: the newest that looks equal is taken then.
    pub(crate) async fn named(&self, view: &View<'_>, folder: &Folder, name: &str) -> Result<Named, TransferError> {
        let (name, id) = undisplayed(folder.display(), name);
        let mut found = Named::default();
        let scope = scope(&view.who.site);
        for t in self.entries(&scope, folder, Some(name), None).await? {
            if id.is_none_or(|id| t.id == id) {
                found.take(t);
            }
        }
        if found.is_empty() && !name.is_ascii() {
            for t in self.all_entries(&scope, folder).await? {
                if same_look(&t.file_name, name) && id.is_none_or(|id| t.id == id) {
                    found.take(t);
                }
            }
        }
        Ok(found)
    }

    /// Whole files that the session may see in `folder`, with the names they are shown under.
    pub(crate) async fn listed(
        &self,
        view: &View<'_>,
        folder: &Folder,
    ) -> Result<Vec<(String, Transfer)>, TransferError> {
        let display = folder.display();
        let mut files: Vec<(String, Transfer)> = Vec::new();
        for t in self.all_entries(&scope(&view.who.site), folder).await? {
            let shown = match kind(&t) {
                Some(Visible::Whole) => true,
                Some(Visible::Offered) => view.file_rights(folder, &t.file_name).read,
                Some(Visible::Partial) | None => false,
            };
            if shown {
                files.push((displayed(display, &t), t));
            }
        }
        files.sort_by(|(a, s), (b, t)| a.cmp(b).then(t.id.cmp(&s.id)));
        files.dedup_by(|(later, _), (first, _)| later == first);
        Ok(files)
    }

    async fn all_entries(&self, scope: &str, folder: &Folder) -> Result<Vec<Transfer>, TransferError> {
        let mut all: Vec<Transfer> = Vec::new();
        let most = usize::try_from(LIST_ENTRIES_MAX).unwrap_or(usize::MAX);
        loop {
            let after = all.last().map(|t| t.file_name.clone());
            let page = self.entries(scope, folder, None, after).await?;
            let more = page.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
            all.extend(page);
            if !more || all.len() >= most {
                all.truncate(most);
                return Ok(all);
            }
        }
    }

    async fn entries(
        &self,
        scope: &str,
        folder: &Folder,
        name: Option<&str>,
        after: Option<String>,
    ) -> Result<Vec<Transfer>, TransferError> {
        let limit = if name.is_some() { SAME_NAME_MAX } else { PAGE };
        let query = EntryQuery {
            gate: scope.to_owned(),
            dir_name: folder.path.clone(),
            file_name: name.map(str::to_owned),
            after,
            limit,
        };
        self.db.transfers().entries(query).await.map_err(|e| db_error(&e))
    }
}

/// The name that a listing shows (`filename_display_option`).
fn displayed(option: DisplayOption, t: &Transfer) -> String {
    match option {
        DisplayOption::Standard => t.file_name.clone(),
        DisplayOption::Xfb => format!("s{}.{}", t.id, t.file_name),
    }
}

/// The name of the file behind a shown name, and the record it names.
fn undisplayed(option: DisplayOption, name: &str) -> (&str, Option<TransferId>) {
    let plain = (name, None);
    if option == DisplayOption::Standard {
        return plain;
    }
    let Some((id, file)) = name.strip_prefix('s').and_then(|rest| rest.split_once('.')) else { return plain };
    match id.parse() {
        Ok(id) => (file, Some(TransferId(id))),
        Err(_) => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_names_lead_back_to_their_record() {
        let xfb = DisplayOption::Xfb;
        assert_eq!(undisplayed(xfb, "s12.a.b"), ("a.b", Some(TransferId(12))));
        assert_eq!(undisplayed(xfb, "s.a"), ("s.a", None));
        assert_eq!(undisplayed(xfb, "sx.a"), ("sx.a", None));
        assert_eq!(undisplayed(DisplayOption::Standard, "s12.a"), ("s12.a", None));
    }
}
