//! How often and how much a partner may transfer in a while: what guards against hammering (FTP-14, SFTP-13).
//!
//! A partner who has had its share finds new transfers refused until enough of the window has passed; one that is under way
//! is finished, and counts. Each node counts what comes by it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::TransferRate;

use super::Admitted;
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::sync::lock;

/// Parts that a window is counted in: so finely it slides.
const PARTS: u32 = 60;
/// Partners whose windows are kept before those that are empty are looked for.
const KEPT: usize = 1024;

/// What a partner does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Way {
    /// It sends.
    Upload,
    /// It fetches.
    Download,
}

impl Way {
    /// Words for people, and the two fields.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Upload => ("uploads", "max_upload_requests_rate", "max_upload_rate"),
            Self::Download => ("downloads", "max_download_requests_rate", "max_download_rate"),
        }
    }
}

/// What partners did of late, by site.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<(String, Way), Shared>>);

/// A window in which transfers that are under way count.
type Shared = Arc<Mutex<Window>>;

/// What one partner did of late in one direction, by parts of the window, the newest last.
#[derive(Debug, Default)]
struct Window(VecDeque<Part>);

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// Which part of time it is.
    number: u128,
    files: u64,
    octets: u64,
}

impl Window {
    /// Forgets what is too old. The part that goes on now comes on top, so that a window is never taken too short.
    fn slide(&mut self, now: u128) {
        while self.0.front().is_some_and(|part| part.number + u128::from(PARTS) < now) {
            self.0.pop_front();
        }
    }

    fn add(&mut self, now: u128, files: u64, octets: u64) {
        self.slide(now);
        if self.0.back().is_none_or(|part| part.number < now) {
            self.0.push_back(Part { number: now, ..Part::default() });
        }
        if let Some(part) = self.0.back_mut() {
            part.files = part.files.saturating_add(files);
            part.octets = part.octets.saturating_add(octets);
        }
    }

    fn sums(&self) -> (u64, u64) {
        let sum = |(files, octets): (u64, u64), part: &Part| {
            (files.saturating_add(part.files), octets.saturating_add(part.octets))
        };
        self.0.iter().fold((0, 0), sum)
    }
}

/// Counts the octets of one transfer.
#[derive(Debug, Default)]
pub(crate) struct Meter(Option<Shared>);

impl Engine {
    /// Lets a partner begin a transfer, which counts from now on; its octets are told by [`Engine::moved`].
    ///
    /// # Errors
    /// [`Cause::Quota`], to be tried again, if its share of the window is used up.
    pub(crate) fn begin_paced(&self, who: &Admitted, way: Way) -> Result<Meter, TransferError> {
        let most = match way {
            Way::Upload => who.rates.uploads,
            Way::Download => who.rates.downloads,
        };
        let Some(now) = self.part_of_window().filter(|_| most != TransferRate::default()) else {
            return Ok(Meter(None));
        };
        let window = self.rates.of(&who.site, way, now);
        {
            let mut window = lock(&window);
            window.slide(now);
            self.has_share((&who.site, way), window.sums(), most)?;
            window.add(now, 1, 0);
        }
        Ok(Meter(Some(window)))
    }

    /// Octets of a transfer that came or went.
    pub(crate) fn moved(&self, meter: &Meter, octets: usize) {
        if let (Meter(Some(window)), Some(now)) = (meter, self.part_of_window()) {
            lock(window).add(now, 0, u64::try_from(octets).unwrap_or(u64::MAX));
        }
    }

    fn has_share(
        &self,
        (site, way): (&str, Way),
        (files, octets): (u64, u64),
        most: TransferRate,
    ) -> Result<(), TransferError> {
        let minutes = self.options.quota_window.as_secs() / 60;
        let (word, of_files, of_octets) = way.words();
        let used = |max: Option<u64>, sum: u64| max.is_some_and(|max| sum >= max.saturating_mul(minutes));
        let found = if used(most.files, files) {
            format!("{files} {word} began, as many as {of_files} allows")
        } else if used(most.octets, octets) {
            format!("{octets} octets went in {word}, as many as {of_octets} allows")
        } else {
            return Ok(());
        };
        let site = base::Shown::from(site);
        Err(TransferError::retry(
            Cause::Quota,
            format!(
                "site {site}: {found} in {minutes} minutes: it has to wait, or raise the quota of the site or its gate"
            ),
        ))
    }

    /// The part of time that goes on now; none where nothing is counted (FTP-15).
    fn part_of_window(&self) -> Option<u128> {
        let part = self.options.quota_window / PARTS;
        self.clock.monotonic().as_nanos().checked_div(part.as_nanos())
    }
}

impl Rates {
    fn of(&self, site: &str, way: Way, now: u128) -> Shared {
        let mut all = lock(&self.0);
        if all.len() >= KEPT {
            all.retain(|_, window| {
                let mut inside = lock(window);
                inside.slide(now);
                // One that a transfer under way counts in stays.
                !inside.0.is_empty() || Arc::strong_count(window) > 1
            });
        }
        Arc::clone(all.entry((site.to_owned(), way)).or_default())
    }
}

/// The window in use where the settings say nothing.
pub(crate) const QUOTA_WINDOW: Duration = Duration::from_secs(10 * 60);
