//! The chain of the audit: each entry's hash covers every column and the hash before; the last number and hash stand in
//! `meta` beside it, so that a cut end is found as well.

use base::{UtcMicros, hex, unhex};
use sha2::{Digest, Sha256};

use crate::audit::{Actor, AuditFault, AuditFilter, AuditReport, AuditResult, AuditRow, Entry};
use crate::sql::{Args, Columns, Conn, Value, args};
use crate::{Db, DbError};

const COLUMNS: &str = "seq, tag, at, actor, origin, action, result, kind, name, before_json, after_json, prev, hash";
/// Entries read at a time when the chain is verified.
const PAGE: i64 = 1000;

/// Number and hash of the last entry.
struct Head {
    seq: i64,
    hash: [u8; 32],
}

/// Writes an entry behind the last one; returns its number.
pub(crate) async fn append(conn: &mut Conn, entry: Entry, now: UtcMicros) -> Result<i64, DbError> {
    conn.exclusive().await?;
    let head = head(conn.row(HEAD, Vec::new()).await?)?;
    let seq = head.seq.saturating_add(1);
    let mut row = AuditRow {
        seq,
        tag: entry.tag.unwrap_or(seq),
        at: now,
        actor: entry.actor,
        action: entry.action,
        result: entry.result,
        kind: entry.kind,
        name: entry.name,
        before_json: entry.before_json,
        after_json: entry.after_json,
        prev: head.hash,
        hash: [0; 32],
    };
    row.hash = hash(&row);
    let head = format!("{seq} {}", hex(&row.hash));
    let mut args = args(row);
    args.push(Value::from(head));
    conn.script(APPEND, args).await?;
    Ok(seq)
}

const HEAD: &str = "SELECT value FROM meta WHERE key = 'audit_head'";
const APPEND: &str = "\
    INSERT INTO audit (seq, tag, at, actor, origin, action, result, kind, name, before_json, after_json, prev, hash) \
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13); \
    UPDATE meta SET value = $14 WHERE key = 'audit_head'";

fn args(row: AuditRow) -> Args {
    args![
        row.seq,
        row.tag,
        row.at,
        row.actor.name,
        row.actor.origin,
        row.action,
        row.result.as_str(),
        row.kind,
        row.name,
        row.before_json,
        row.after_json,
        row.prev,
        row.hash,
    ]
}

fn head(row: Option<Columns>) -> Result<Head, DbError> {
    let text = row.map(|mut row| row.text()).transpose()?.unwrap_or_default();
    let read = || {
        let (seq, hash) = text.split_once(' ')?;
        Some(Head { seq: seq.parse().ok()?, hash: unhex(hash)?.try_into().ok()? })
    };
    read().ok_or_else(|| DbError::Corrupt { what: format!("{text:?} as the end of the audit") })
}

/// SHA-256 over the hash before and every column, each with its length, so that no two rows look alike.
fn hash(row: &AuditRow) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update(row.prev);
    for number in [row.seq, row.tag, row.at.0] {
        h.update(number.to_be_bytes());
    }
    let always = [&row.actor.name, &row.actor.origin, &row.action, row.result.as_str(), &row.kind, &row.name];
    let texts =
        always.map(|t: &str| Some(t)).into_iter().chain([row.before_json.as_deref(), row.after_json.as_deref()]);
    for text in texts {
        match text {
            None => h.update([0]),
            Some(text) => {
                h.update([1]);
                h.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                h.update(text.as_bytes());
            }
        }
    }
    h.finalize().into()
}

/// Reads a row of [`COLUMNS`].
pub(crate) fn row(mut row: Columns) -> Result<AuditRow, DbError> {
    let row = &mut row;
    Ok(AuditRow {
        seq: row.int()?,
        tag: row.int()?,
        at: UtcMicros(row.int()?),
        actor: Actor { name: row.text()?, origin: row.text()? },
        action: row.text()?,
        result: crate::transfer_rows::letter(row, AuditResult::parse)?,
        kind: row.text()?,
        name: row.text()?,
        before_json: row.opt_text()?,
        after_json: row.opt_text()?,
        prev: octets(row.blob()?)?,
        hash: octets(row.blob()?)?,
    })
}

/// 32 octets.
pub(crate) fn octets(octets: Vec<u8>) -> Result<[u8; 32], DbError> {
    let len = octets.len();
    octets.try_into().map_err(|_| DbError::Corrupt { what: format!("a digest of {len} octets") })
}

/// The query of a list.
pub(crate) fn page(filter: &AuditFilter, limit: u32) -> (String, Args) {
    let mut sql = format!("SELECT {COLUMNS} FROM audit WHERE seq > $1");
    let mut args = args![filter.above];
    // The first of these that is asked for finds the entries by its index, in order; the others only look at them. It is
    // written as a range: of a column that has to be equal PostgreSQL guesses how many entries it names, and rather reads
    // the whole audit by number, where an actor who did little is never found.
    let mut by = None;
    for (column, value) in
        [("name", &filter.name), ("actor", &filter.actor), ("action", &filter.action), ("kind", &filter.kind)]
    {
        if let Some(value) = value {
            args.push(Value::from(value));
            let at = args.len();
            sql.push_str(&match by {
                None => format!(" AND ({column}, seq) > (${at}, $1) AND {column} <= ${at}"),
                Some(_) => format!(" AND {column} || '' = ${at}"),
            });
            by = by.or(Some(column));
        }
    }
    for (condition, value) in [
        ("at >=", filter.from.map(Value::from)),
        ("at <", filter.until.map(Value::from)),
        ("result =", filter.result.map(|r| Value::from(r.as_str()))),
    ] {
        if let Some(value) = value {
            args.push(value);
            sql.push_str(&format!(" AND {condition} ${}", args.len()));
        }
    }
    let order = if filter.newest { "DESC" } else { "ASC" };
    let by = by.map(|column| format!("{column} {order}, ")).unwrap_or_default();
    sql.push_str(&format!(" ORDER BY {by}seq {order} LIMIT {limit}"));
    (sql, args)
}

/// Reads the chain while others may append to it.
pub(crate) async fn verify(db: &Db) -> Result<AuditReport, DbError> {
    let mut last = Head { seq: 0, hash: [0; 32] };
    let mut entries: i64 = 0;
    let report = |entries, fault| Ok(AuditReport { entries, fault });
    let mut ended_at = None;
    loop {
        let sql = format!("SELECT {COLUMNS} FROM audit WHERE seq > $1 ORDER BY seq LIMIT {PAGE}");
        let rows = db.read().rows(sql, args![last.seq]).await?;
        if rows.is_empty() {
            // The end is read after the rows: it can only be further on. Then there must be more rows.
            let end = head(db.read().row(HEAD, Vec::new()).await?)?;
            match end_fault(&last, &end) {
                None => return report(entries, None),
                Some(AuditFault::Missing { .. }) if ended_at != Some(last.seq) => ended_at = Some(last.seq),
                fault => return report(entries, fault),
            }
            continue;
        }
        for columns in rows {
            let row = row(columns)?;
            if let Some(fault) = link_fault(&last, &row) {
                return report(entries, Some(fault));
            }
            entries = entries.saturating_add(1);
            last = Head { seq: row.seq, hash: row.hash };
        }
    }
}

fn link_fault(last: &Head, row: &AuditRow) -> Option<AuditFault> {
    let expected = last.seq.saturating_add(1);
    if row.seq != expected {
        return Some(AuditFault::Missing { from: expected, to: row.seq.saturating_sub(1) });
    }
    if hash(row) != row.hash {
        return Some(AuditFault::Changed { seq: row.seq });
    }
    (row.prev != last.hash).then_some(AuditFault::Order { seq: row.seq })
}

fn end_fault(last: &Head, end: &Head) -> Option<AuditFault> {
    match last.seq.cmp(&end.seq) {
        std::cmp::Ordering::Less => Some(AuditFault::Missing { from: last.seq.saturating_add(1), to: end.seq }),
        std::cmp::Ordering::Greater => Some(AuditFault::Added { seq: end.seq.saturating_add(1) }),
        std::cmp::Ordering::Equal => (last.hash != end.hash).then_some(AuditFault::Changed { seq: last.seq }),
    }
}
