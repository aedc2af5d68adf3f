//! No statement that this crate can send reads a whole table that grows with the traffic: all of them are gathered while the
//! contract tests run, and the database is asked how it would find their rows.

use std::collections::BTreeSet;
use std::path::Path;

use base::{TransferId, UtcMicros};
use db::{AuditFilter, AuditResult, Db, Direction, Mode, Planned, Plans, State, TransferFilter};

use crate::house::{Body, House, NOW};
use crate::{audit, captures, care, hooks, nodes, objects, small, transfers, usage, watch, writing};

/// Tables whose size is that of the configuration, not of the traffic.
const SMALL: &[(&str, &str)] = &[
    ("object", "configured objects, all in memory anyway"),
    ("object_ref", "references between objects"),
    ("object_secret", "secrets of objects"),
    ("credential", "keys of objects"),
    ("capture", "captured keys, as many as their limits allow"),
    ("meta", "a few marks"),
    ("node", "as many rows as there are gateways, and those of the last week"),
    ("site_place", "connections to partners that are open now"),
    ("site_switch", "sites that an operator stopped or started"),
    ("event_want", "what webhooks want: as many rows as their patterns have codes"),
    ("webhook_state", "one row for each webhook"),
    ("migration", "one row for each step of the schema"),
    ("transfer_ask", "what an operator asks of deliveries at other nodes"),
    ("store_upload", "uploads into an object store that are under way"),
];

/// Statements that may read a whole table: a part of the text, the table, why.
const EXCUSED: &[(&str, &str, &str)] = &[
    ("FROM transfer WHERE 1 = 1 ORDER BY id DESC LIMIT", "transfer", "the newest page walks the numbers backwards"),
    ("FROM transfer WHERE created_at + 0", "transfer", "bounded by the numbers that the times have (Transfers::list)"),
    ("FROM usage_of_transfer WHERE scope", "transfer", "counts everything anew, to compare: only tests ask for it"),
    (
        "FROM change WHERE seq <= $1 GROUP BY object_id",
        "change",
        "all objects as of a point: every change before it counts",
    ),
    ("FROM change WHERE seq <= $1 GROUP BY object_id", "object_history", "as above"),
    ("(SELECT COUNT(*) FROM change AS e", "change", "the newest changes, walked backwards from the end"),
    ("COALESCE(MAX(seq), 0)", "change", "the end of the index of numbers"),
    ("FROM usage WHERE scope = $1 UNION ALL", "usage", "everybody's sums are asked for"),
    ("FROM usage WHERE scope = $1 UNION ALL", "usage_delta", "differences since the last half minute"),
    ("FROM usage_of_transfer GROUP BY scope, name", "transfer", "a step of the schema, once"),
    ("FROM alarm ORDER BY id DESC LIMIT", "alarm", "the newest alarms, walked backwards"),
    ("FROM hook_event ORDER BY seq LIMIT", "hook_event", "a bounded number of the oldest, walked from the beginning"),
    ("AS newest WHERE file_name", "transfer", "a bounded number of the newest, walked backwards"),
    ("DELETE FROM usage_delta RETURNING", "usage_delta", "all differences are summed up"),
];

/// SQL in the source that no contract test sends, and why that is well.
const NOT_SENT: &[(&str, &str)] = &[
    ("md5(current_schema())", "asks for a name, no rows"),
    ("FROM payload WHERE state = 'COMMITTED' AND inline_sealed IS NULL", "reads a copy, not the database"),
    ("SELECT COUNT(*) FROM transfer", "counts in a copy"),
    ("FROM migration", "reads a copy, or the few rows of the schema"),
    ("gateway_id", "reads a copy"),
    ("sqlite_master", "before the schema is brought up to date"),
    ("t.payload_id WHERE p.file_uuid", "reads a copy"),
    ("DELETE FROM meta WHERE key = $1", "a writer of PostgreSQL that ends: the process may be gone before"),
];

/// Bodies that start processes of their own.
const ALONE: &[&str] = &["many_writers_in_two_processes"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_a_whole_table_that_grows() {
    Plans::remember();
    let groups: [&[(&str, Body)]; 11] = [
        audit::BODIES,
        captures::BODIES,
        care::BODIES,
        hooks::BODIES,
        nodes::BODIES,
        objects::BODIES,
        small::BODIES,
        transfers::BODIES,
        usage::BODIES,
        watch::BODIES,
        writing::BODIES,
    ];
    for (name, body) in groups.into_iter().flatten().filter(|(name, _)| !ALONE.contains(name)) {
        for house in House::all(&format!("plan_{name}")).await {
            body(house).await;
        }
    }
    let mut findings = Vec::new();
    let houses = House::all("plans").await;
    let with_postgres = houses.len() > 1;
    for house in houses {
        let db = house.open().await;
        list_in_all_ways(&db).await;
        fill(&house).await;
        let known = known(&house).await;
        let plans = db.plans().explain().await.unwrap();
        assert!(plans.len() > 100, "only {} statements were gathered", plans.len());
        for plan in &plans {
            findings.extend(full_reads(plan, &known));
        }
        db.close().await;
    }
    findings.extend(never_sent(&Plans::sent(), with_postgres));
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// Every criterion of `peldsp status_trans` and `audit list`, alone and in pairs.
async fn list_in_all_ways(db: &Db) {
    type Set<T> = fn(&mut T);
    let criteria: &[Set<TransferFilter>] = &[
        |f| f.states = vec![State::ToBegin, State::Ended],
        |f| f.site = Some("A".to_owned()),
        |f| f.direction = Some(Direction::In),
        |f| f.mode = Some(Mode::Initiator),
        |f| f.file_name = Some("f".to_owned()),
        |f| f.from = Some(NOW),
        |f| f.until = Some(UtcMicros(NOW.0 + 1)),
        |f| f.below = Some(TransferId(50)),
        |f| f.route_from = Some(TransferId(1)),
        |f| f.master = Some(TransferId(1)),
        |f| f.message_id = Some("m".to_owned()),
    ];
    for one in criteria {
        for other in criteria {
            let mut filter = TransferFilter::default();
            one(&mut filter);
            other(&mut filter);
            db.transfers().list(filter, 50).await.unwrap();
        }
    }
    let criteria: &[Set<AuditFilter>] = &[
        |f| f.actor = Some("a".to_owned()),
        |f| f.kind = Some("KEY".to_owned()),
        |f| f.name = Some("k".to_owned()),
        |f| f.action = Some("CREATE".to_owned()),
        |f| f.newest = true,
    ];
    for one in criteria {
        for other in criteria {
            let mut filter = AuditFilter { result: Some(AuditResult::Success), ..AuditFilter::default() };
            one(&mut filter);
            other(&mut filter);
            db.audit().list(filter, 50).await.unwrap();
        }
    }
}

/// PostgreSQL plans by what it counts in the tables, so there has to be something. SQLite plans by the schema alone.
async fn fill(house: &House) {
    if !house.url.starts_with("postgres") {
        return;
    }
    for sql in [
        "INSERT INTO transfer (id, type, mode, direction, protocol, local_site, site, gate, login, appli, dir_name, file_name,
           state, route_state, trade_state, priority, listed, created_at, next_try_at, ended_at, retries, done_octets,
           payload_id, rule_id, dest_gen, route_from, master, message_id, reason, diag, err, why_json, extra_json, revision)
         SELECT n, 'TRANS', CASE WHEN n % 2 = 0 THEN 'I' ELSE 'R' END, CASE WHEN n % 2 = 0 THEN 'O' ELSE 'I' END, 'SFTP', '',
           'site' || n % 90, 'gate' || n % 90, '', '', '/in', 'file' || n, CASE WHEN n % 50 = 0 THEN 'B' ELSE 'E' END,
           CASE WHEN n % 99 = 0 THEN 'T' ELSE '' END, '', 1, n % 2, n * 1000, n * 1000,
           CASE WHEN n % 50 = 0 THEN NULL ELSE n * 1000 END, 0, 0, n, 1, 0, CASE WHEN n % 2 = 0 THEN n - 1 END,
           CASE WHEN n % 70 = 0 THEN n - 1 END, CASE WHEN n % 3 = 0 THEN 'm' || n END, 0, 0, '', '', '', 3
         FROM generate_series(100001, 130000) AS n",
        "INSERT INTO transfer_step (transfer_id, n, at, from_state, to_state, note)
         SELECT t, n, n, '', 'B', '' FROM generate_series(100001, 130000) AS t, generate_series(1, 3) AS n",
        "INSERT INTO payload (id, store, state, size, durable_to, refs, purge_after)
         SELECT n, '', 'COMMITTED', 1, 1, 1, CASE WHEN n % 99 = 0 THEN n END FROM generate_series(100001, 130000) AS n",
        "INSERT INTO audit (seq, tag, at, actor, origin, action, result, kind, name, prev, hash)
         SELECT n, n, n, 'uid:' || n % 9, '', 'act' || n % 9, 'SUCCESS', 'KEY', 'k' || n, '', ''
         FROM generate_series(100001, 130000) AS n",
        "INSERT INTO change (seq, at, object_id, kind, op)
         SELECT n, n, n / 9, 'KEY', 'UPDATE' FROM generate_series(100001, 130000) AS n",
        "INSERT INTO object_history (object_id, revision, at, actor, op, kind, name, grp, state, body_json)
         SELECT n / 9, n % 9, n, '', 'UPDATE', 'KEY', 'k' || n / 9, '', 'V', '{}' FROM generate_series(100001, 130000) AS n",
        "INSERT INTO seen (site, protocol, key_hash, transfer_id, until)
         SELECT 's', 'AS2', decode(md5(n::text), 'hex'), n, n FROM generate_series(100001, 130000) AS n",
        "INSERT INTO event_out (seq, webhook, at, code, subject, json, parked)
         SELECT n, 'w' || n % 9, n, 'SE', n, '', n % 2 FROM generate_series(100001, 130000) AS n",
        "INSERT INTO login_block (gate, source, fails, last_at, until)
         SELECT 'g', 's' || n, 1, n, n FROM generate_series(100001, 130000) AS n",
        "ANALYZE",
    ] {
        house.tamper(sql).await;
    }
}

/// What the schema says.
struct Known {
    tables: BTreeSet<String>,
    /// Indexes that hold a few rows of their table only: reading one whole is no full read.
    partial: BTreeSet<String>,
}

async fn known(house: &House) -> Known {
    let [tables, partial] = if house.url.starts_with("postgres") {
        [
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
            "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND indexdef LIKE '% WHERE %'",
        ]
    } else {
        [
            "SELECT name FROM sqlite_master WHERE type = 'table'",
            "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'",
        ]
    };
    Known {
        tables: house.texts(tables).await.into_iter().collect(),
        partial: house.texts(partial).await.into_iter().collect(),
    }
}

/// Tables that a statement reads whole, though they grow.
fn full_reads(plan: &Planned, known: &Known) -> Vec<String> {
    let mut found = Vec::new();
    for (n, step) in plan.steps.iter().enumerate() {
        let condition =
            plan.steps.iter().skip(n + 1).take_while(|next| !next.contains("->")).any(|s| s.contains("Index Cond"));
        let Some((table, index)) = whole(step).filter(|_| !condition) else { continue };
        let table = real_name(&plan.statement, &table);
        // Results of the statement's own parts have names, too.
        let grows = known.tables.contains(&table) && !SMALL.iter().any(|(name, _)| *name == table);
        let excused = EXCUSED.iter().any(|(part, of, _)| *of == table && normal(&plan.statement).contains(part));
        if grows && !excused && !index.is_some_and(|index| known.partial.contains(&index)) {
            found.push(format!("reads all of {table}: {}\n    {}", plan.statement, plan.steps.join("\n    ")));
        }
    }
    found
}

/// The table that a step of a plan reads from end to end, and by which index, if by one.
fn whole(step: &str) -> Option<(String, Option<String>)> {
    let words: Vec<&str> = step.trim_start_matches([' ', '-', '>']).split_whitespace().collect();
    let after =
        |word: &str| words.iter().position(|w| *w == word).and_then(|at| words.get(at + 1)).map(|w| (*w).to_owned());
    match words.as_slice() {
        ["SCAN", name, rest @ ..] => {
            Some(((*name).to_owned(), if rest.contains(&"INDEX") { after("INDEX") } else { None }))
        }
        ["Seq", "Scan", "on", name, alias @ ..] => Some(((*alias.first().unwrap_or(name)).to_owned(), None)),
        ["Index", "Only", "Scan", ..] | ["Index", "Scan", ..] => {
            let (index, table) = (after("using")?, after("on")?);
            let alias = words.iter().position(|w| *w == table).and_then(|at| words.get(at + 1));
            Some((alias.map_or(table, |alias| (*alias).to_owned()), Some(index)))
        }
        _ => None,
    }
}

/// The table behind a name of a statement: the name itself, or what it stands for (`transfer AS t`).
fn real_name(statement: &str, name: &str) -> String {
    let text = normal(statement);
    let words: Vec<&str> = text.split([' ', '(', ')', ',']).filter(|word| !word.is_empty()).collect();
    let stands_for = words.windows(3).find(|w| w[1] == "AS" && w[2] == name).map(|w| w[0]);
    stands_for.unwrap_or(name).to_owned()
}

fn normal(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// SQL of the source that no test sends.
fn never_sent(sent: &[String], with_postgres: bool) -> Vec<String> {
    let sent: Vec<String> = sent.iter().map(|text| normal(text)).collect();
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if ["faults.rs", "plans.rs", "migrate.rs"].contains(&name.as_str()) {
            continue;
        }
        for piece in literals(&std::fs::read_to_string(&path).unwrap()).iter().flat_map(|text| pieces(text)) {
            let for_postgres =
                piece.contains("FOR UPDATE") || piece.contains("pg_") || piece.contains("usage_delta RETURNING");
            let excused = NOT_SENT.iter().any(|(part, _)| piece.contains(part)) || (for_postgres && !with_postgres);
            if !excused && !sent.iter().any(|text| text.contains(&piece)) {
                missing.push(format!("{name}: no contract test sends {piece:?}"));
            }
        }
    }
    missing
}

/// Parts of a text that stand in one statement as they are, if it is SQL.
fn pieces(literal: &str) -> Vec<String> {
    let fixed = literal.split(';').flat_map(|statement| statement.split(['{', '}']).step_by(2));
    let sql = |piece: &String| {
        ["SELECT ", "UPDATE ", "DELETE FROM ", "INSERT INTO ", " WHERE ", " FROM "].iter().any(|w| piece.contains(w))
    };
    fixed.map(normal).filter(sql).filter(|piece| piece.split(' ').count() > 3).collect()
}

/// The string literals of a source, before its tests.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod ").next().unwrap();
    let (mut found, mut chars) = (Vec::new(), source.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => while chars.next().is_some_and(|c| c != '\n') {},
            // A character in quotes, not a lifetime.
            '\'' if chars.peek() == Some(&'"') => drop(chars.next()),
            '"' => {
                let mut text = String::new();
                loop {
                    match chars.next() {
                        None | Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                            Some(c) => text.push(c),
                            None => break,
                        },
                        Some(c) => text.push(c),
                    }
                }
                found.push(text);
            }
            _ => {}
        }
    }
    found
}

#[test]
fn what_reads_a_whole_table_is_seen() {
    let known = Known {
        tables: ["transfer", "payload", "object"].map(str::to_owned).into(),
        partial: ["few".to_owned()].into(),
    };
    let plan = |statement: &str, steps: &[&str]| {
        let steps = steps.iter().map(|s| (*s).to_owned()).collect();
        full_reads(&Planned { statement: statement.to_owned(), steps }, &known).len()
    };
    assert_eq!(plan("SELECT id FROM transfer AS t", &["SCAN t"]), 1);
    assert_eq!(plan("SELECT id FROM transfer AS t", &["SCAN t USING COVERING INDEX transfer_site"]), 1);
    assert_eq!(plan("SELECT id FROM transfer AS t", &["SEARCH t USING INDEX transfer_site (site=?)"]), 0);
    assert_eq!(plan("SELECT id FROM transfer", &["SCAN transfer USING INDEX few"]), 0);
    assert_eq!(plan("SELECT 1 FROM (VALUES (1)) AS p", &["SCAN 2 CONSTANT ROWS"]), 0);
    assert_eq!(plan("SELECT id FROM object", &["SCAN object"]), 0);
    assert_eq!(plan("SELECT id FROM payload", &["  ->  Seq Scan on payload", "        Filter: (refs = 0)"]), 1);
    let by_index = ["Limit", "  ->  Index Scan using a on payload", "        Index Cond: (id = 1)"];
    assert_eq!((plan("SELECT id FROM payload", &by_index), plan("SELECT id FROM payload", &by_index[..2])), (0, 1));
}
