//! How much of each partner is stored. Triggers keep the sums (migration 3): reading one is one look into an index, and
//! no writer can forget them.

use crate::sql::{Columns, args};
use crate::{Db, DbError};

/// Whose sums.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UsageScope {
    /// A site, static or dynamic.
    Site,
    /// The gate that admitted the uploads.
    Gate,
}

impl UsageScope {
    const fn letter(self) -> &'static str {
        match self {
            Self::Site => "S",
            Self::Gate => "G",
        }
    }
}

/// Sums of one partner.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Files received from it that are stored.
    pub in_files: i64,
    /// Their octets.
    pub in_octets: i64,
    /// Files for it that are stored, sent or not.
    pub out_files: i64,
    /// Their octets.
    pub out_octets: i64,
    /// Those among them that wait at its disposal.
    pub disposal_files: i64,
    /// Their octets.
    pub disposal_octets: i64,
}

/// Usage of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Usages<'a>(pub(crate) &'a Db);

impl Usages<'_> {
    /// The sums of one partner; zeros for one that nothing is stored of.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn of(self, scope: UsageScope, name: &str) -> Result<Usage, DbError> {
        let row = self.0.read().row(ONE, args![scope.letter(), name]).await?;
        row.map_or(Ok(Usage::default()), |mut row| sums(&mut row))
    }

    /// Everybody's, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn all(self, scope: UsageScope) -> Result<Vec<(String, Usage)>, DbError> {
        let rows = self.0.read().rows(ALL, args![scope.letter()]).await?;
        rows.into_iter().map(|mut row| Ok((row.text()?, sums(&mut row)?))).collect()
    }

    /// Sums up the differences that the nodes of a PostgreSQL wrote, so that reading stays cheap. To be done now and then.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn fold(self) -> Result<(), DbError> {
        if !self.0.read().is_postgres() {
            return Ok(());
        }
        self.0
            .write(|conn| {
                Box::pin(async move {
                    // Two nodes must not take each other's rows in another order.
                    conn.exclusive().await?;
                    conn.run(FOLD, Vec::new()).await.map(drop)
                })
            })
            .await
    }

    /// The sums counted anew, by name, to compare: a look at every transfer.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn counted(self, scope: UsageScope) -> Result<Vec<(String, Usage)>, DbError> {
        let rows = self.0.read().rows(COUNTED, args![scope.letter()]).await?;
        rows.into_iter().map(|mut row| Ok((row.text()?, sums(&mut row)?))).collect()
    }
}

fn sums(row: &mut Columns) -> Result<Usage, DbError> {
    Ok(Usage {
        in_files: row.int()?,
        in_octets: row.int()?,
        out_files: row.int()?,
        out_octets: row.int()?,
        disposal_files: row.int()?,
        disposal_octets: row.int()?,
    })
}

macro_rules! sums {
    () => {
        "CAST(COALESCE(SUM(in_files), 0) AS BIGINT), CAST(COALESCE(SUM(in_octets), 0) AS BIGINT), \
         CAST(COALESCE(SUM(out_files), 0) AS BIGINT), CAST(COALESCE(SUM(out_octets), 0) AS BIGINT), \
         CAST(COALESCE(SUM(disposal_files), 0) AS BIGINT), CAST(COALESCE(SUM(disposal_octets), 0) AS BIGINT)"
    };
}
macro_rules! pairs {
    () => {
        "name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets"
    };
}

const ONE: &str = concat!(
    "SELECT ",
    sums!(),
    " FROM (SELECT ",
    pairs!(),
    " FROM usage WHERE scope = $1 AND name = $2 UNION ALL SELECT ",
    pairs!(),
    " FROM usage_delta WHERE scope = $1 AND name = $2) AS both_kinds"
);
const ALL: &str = concat!(
    "SELECT name, ",
    sums!(),
    " FROM (SELECT ",
    pairs!(),
    " FROM usage WHERE scope = $1 UNION ALL SELECT ",
    pairs!(),
    " FROM usage_delta WHERE scope = $1) AS both_kinds GROUP BY name ORDER BY name"
);
const FOLD: &str = concat!(
    "WITH gone AS (DELETE FROM usage_delta RETURNING *) \
     INSERT INTO usage (scope, name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets) \
     SELECT scope, name, ",
    sums!(),
    " FROM gone GROUP BY scope, name ON CONFLICT (scope, name) DO UPDATE SET \
       in_files = usage.in_files + excluded.in_files, in_octets = usage.in_octets + excluded.in_octets, \
       out_files = usage.out_files + excluded.out_files, out_octets = usage.out_octets + excluded.out_octets, \
       disposal_files = usage.disposal_files + excluded.disposal_files, \
       disposal_octets = usage.disposal_octets + excluded.disposal_octets"
);
/// The same facts as the triggers keep, from the transfers themselves.
const COUNTED: &str = concat!(
    "SELECT name, ",
    sums!(),
    " FROM usage_of_transfer WHERE scope = $1 \
     GROUP BY name ORDER BY name"
);
