//! Faults on purpose: a statement that fails, a connection that breaks before or after one.
//!
//! Only tests can ask for one: without the feature `faults` a [`Hook`] is nothing and does nothing.

#[cfg(not(any(test, feature = "faults")))]
use crate::{
    DbError,
    sql::{Args, Sql},
};

#[cfg(any(test, feature = "faults"))]
pub use asked::{Fault, Faults};
#[cfg(any(test, feature = "faults"))]
pub(crate) use asked::{issued, note_issued};

/// A connection's place to look for faults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hook {
    #[cfg(any(test, feature = "faults"))]
    faults: Option<Faults>,
    #[cfg(any(test, feature = "faults"))]
    is_cut: bool,
}

#[cfg(not(any(test, feature = "faults")))]
impl Hook {
    #[expect(clippy::unused_self, reason = "with the feature it looks at itself")]
    pub(crate) const fn is_armed(&self) -> bool {
        false
    }
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "with the feature it may fail")]
    pub(crate) const fn before(&mut self, _statement: &str) -> Result<(), DbError> {
        Ok(())
    }
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "with the feature it may fail")]
    pub(crate) const fn after(&mut self) -> Result<(), DbError> {
        Ok(())
    }
    #[expect(clippy::unused_self, reason = "with the feature it remembers them")]
    pub(crate) const fn asked_for(&self, _sql: &Sql, _args: &Args, _postgres: bool) {}
}

#[cfg(any(test, feature = "faults"))]
mod asked {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::Hook;
    use crate::DbError;
    use crate::sql::{Args, Sql};

    /// Statements that this process sent to a database, with the parameters of the first time, once somebody asks for
    /// them: whether to PostgreSQL, and the text.
    type Issued = BTreeMap<(bool, String), Args>;

    static ISSUED: Mutex<Option<Issued>> = Mutex::new(None);

    /// From now on statements are remembered.
    pub(crate) fn note_issued() {
        ISSUED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
    }

    /// What was remembered.
    pub(crate) fn issued() -> Issued {
        ISSUED.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    /// What happens to a statement.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub enum Fault {
        /// It is not carried out and returns an error.
        Refused,
        /// The connection breaks before it.
        Cut,
        /// It is carried out, then the connection breaks before the answer.
        Unanswered,
    }

    /// The faults of one database. Clones are the same.
    #[derive(Clone, Debug, Default)]
    pub struct Faults(Arc<Mutex<Plan>>);

    #[derive(Debug, Default)]
    struct Plan {
        /// Statements to go, and what happens to the last of them.
        next: Option<(u64, Fault)>,
        /// Only statements that begin so are counted.
        word: &'static str,
        struck: Option<String>,
        commits: u64,
        is_away: bool,
    }

    impl Faults {
        /// Strikes at the statement number `n` from now of those that begin with `word`.
        pub fn strike(&self, word: &'static str, n: u64, fault: Fault) {
            self.plan(|plan| *plan = Plan { next: Some((n, fault)), word, commits: plan.commits, ..Plan::default() });
        }

        /// The database is away: every connection is cut, until it is told to be back.
        pub fn away(&self, is_away: bool) {
            self.plan(|plan| plan.is_away = is_away);
        }

        /// The statement that was struck since the last [`Faults::strike`].
        #[must_use]
        pub fn struck(&self) -> Option<String> {
            self.plan(|plan| plan.struck.clone())
        }

        /// Transactions that were to be committed so far.
        #[must_use]
        pub fn commits(&self) -> u64 {
            self.plan(|plan| plan.commits)
        }

        fn plan<T>(&self, work: impl FnOnce(&mut Plan) -> T) -> T {
            work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl Plan {
        /// What happens to this statement.
        fn count(&mut self, statement: &str) -> Option<Fault> {
            self.commits += u64::from(statement == "COMMIT");
            if self.is_away {
                return Some(Fault::Cut);
            }
            match &mut self.next {
                Some(_) if !statement.starts_with(self.word) => None,
                Some((1, fault)) => {
                    let fault = *fault;
                    self.struck = Some(statement.to_owned());
                    self.next = None;
                    Some(fault)
                }
                Some((left, _)) => {
                    *left = left.saturating_sub(1);
                    None
                }
                None => None,
            }
        }
    }

    impl Hook {
        pub(crate) fn of(faults: &Faults) -> Self {
            Self { faults: Some(faults.clone()), is_cut: false }
        }

        pub(crate) const fn is_armed(&self) -> bool {
            self.faults.is_some()
        }

        pub(crate) fn before(&mut self, statement: &str) -> Result<(), DbError> {
            let Some(faults) = &self.faults else { return Ok(()) };
            if self.is_cut {
                return Err(DbError::Sql("the connection was cut on purpose".to_owned()));
            }
            let fault = faults.plan(|plan| plan.count(statement));
            self.is_cut = matches!(fault, Some(Fault::Cut | Fault::Unanswered));
            match fault {
                None | Some(Fault::Unanswered) => Ok(()),
                Some(Fault::Refused) => Err(DbError::Sql("refused on purpose".to_owned())),
                Some(Fault::Cut) => Err(DbError::Sql("the connection is cut on purpose".to_owned())),
            }
        }

        pub(crate) fn after(&mut self) -> Result<(), DbError> {
            match self.is_cut {
                true => Err(DbError::Sql("the answer was lost on purpose".to_owned())),
                false => Ok(()),
            }
        }

        #[expect(clippy::unused_self, reason = "without the feature it does nothing")]
        pub(crate) fn asked_for(&self, sql: &Sql, args: &Args, postgres: bool) {
            if let Some(issued) = ISSUED.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                for statement in sql.statements() {
                    issued.entry((postgres, statement.to_owned())).or_insert_with(|| args.clone());
                }
            }
        }
    }
}
