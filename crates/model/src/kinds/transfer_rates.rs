//! How often and how much a partner may transfer in a minute, in sites, gates and their groups (objects.md 7.1, FTP-14).

use crate::field::Field;
use crate::read::Reader;

const REQUESTS_MAX: i64 = 1_000_000;
const KB_MAX: i64 = 1_000_000_000;
const NEAREST: &str = "counted over quota_window_min of the settings; of gates and groups the value nearest the root wins, and \
    the site's holds beside it";

pub(crate) const UPLOAD_RATE: Field =
    Field::int("max_upload_rate", (0, KB_MAX), "KB/min", "octets that a partner may send; 0 for any")
        .aliases(&["s_max_upload_rate", "cg_max_upload_rate", "cgg_max_upload_rate"])
        .detail(NEAREST);
pub(crate) const DOWNLOAD_RATE: Field =
    Field::int("max_download_rate", (0, KB_MAX), "KB/min", "octets that a partner may fetch; 0 for any")
        .aliases(&["s_max_download_rate", "cg_max_download_rate", "cgg_max_download_rate"])
        .detail(NEAREST);
pub(crate) const UPLOAD_REQUESTS: Field =
    Field::int("max_upload_requests_rate", (0, REQUESTS_MAX), "files/min", "files that a partner may send; 0 for any")
        .aliases(&["s_max_upload_requests_rate", "cg_max_upload_requests_rate", "cgg_max_upload_requests_rate"])
        .detail(NEAREST);
pub(crate) const DOWNLOAD_REQUESTS: Field = Field::int(
    "max_download_requests_rate",
    (0, REQUESTS_MAX),
    "files/min",
    "files that a partner may fetch; 0 for any",
)
.aliases(&["s_max_download_requests_rate", "cg_max_download_requests_rate", "cgg_max_download_requests_rate"])
.detail(NEAREST);

/// How much a minute, one direction. Where an object says it, `Some(0)` stands for any; merged there is none of these.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TransferRate {
    /// Files.
    pub files: Option<u64>,
    /// Octets.
    pub octets: Option<u64>,
}

/// How much a minute, both directions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TransferRates {
    /// What the partner sends.
    pub uploads: TransferRate,
    /// What the partner fetches.
    pub downloads: TransferRate,
}

impl TransferRates {
    pub(crate) fn read(r: &mut Reader<'_>) -> Self {
        let octets = |r: &mut Reader<'_>, name| r.int_given::<u64>(name).map(|kb| kb.saturating_mul(1000));
        Self {
            uploads: TransferRate {
                files: r.int_given("max_upload_requests_rate"),
                octets: octets(r, "max_upload_rate"),
            },
            downloads: TransferRate {
                files: r.int_given("max_download_requests_rate"),
                octets: octets(r, "max_download_rate"),
            },
        }
    }

    /// What holds for a login: `gates` from the root on, and the site.
    pub(crate) fn merged<'a>(gates: impl Iterator<Item = &'a Self> + Clone, site: &Self) -> Self {
        let one = |said: fn(&Self) -> Option<u64>| {
            let gate = gates.clone().find_map(said);
            [gate, said(site)].into_iter().flatten().filter(|most| *most > 0).min()
        };
        Self {
            uploads: TransferRate { files: one(|r| r.uploads.files), octets: one(|r| r.uploads.octets) },
            downloads: TransferRate { files: one(|r| r.downloads.files), octets: one(|r| r.downloads.octets) },
        }
    }
}
