"""Many records as a busy gateway has them after a month, made by bulk SQL in the schema's own words, for both databases.

Partners are skewed (the largest of 300 has about a seventh of all), every second record is the delivery of the one before,
names are mostly fresh and some come again and again, nearly all have ended, some failed, some wait, a few were running when
the power went.
"""

import time

COLUMNS = """id, type, mode, direction, protocol, local_site, site, gate, login, appli, dir_name, file_name, state, route_state,
    trade_state, priority, listed, created_at, next_try_at, ended_at, retries, size, done_octets, payload_id, route_from,
    rule_id, dest_gen, message_id, reason, diag, err, why_json, extra_json, node_id, revision, not_after"""

# Numbers that look random: h1 to h3 are from 0 to 999 and do not follow each other. `site` has the skew of a cube.
FACTS = """
    SELECT n, n * 2654435761 % 1000003 % 1000 AS h1, n * 40503 % 65537 % 1000 AS h2, n * 69069 % 999983 % 1000 AS h3,
      {begin} + n * {step} AS at
    FROM ({numbers}) AS numbers
"""
WAYS = f"""
    SELECT n, h1, h2, h3, at, n % 2 AS is_in, CASE WHEN n % 2 = 0 AND h3 >= 850 THEN 1 ELSE 0 END AS is_offer,
      300 * (h2 * h2 / 1000) * h2 / 1000000 AS site,
      CASE
        WHEN n % 2 = 0 AND n > {{count}} - 200 AND h1 < 60 THEN 'P'
        WHEN n % 2 = 1 AND n > {{count}} - 200 AND h1 < 60 THEN 'V'
        WHEN n % 2 = 0 AND n > {{count}} * 9 / 10 AND h1 < 40 THEN 'B'
        WHEN n % 2 = 0 AND n > {{count}} * 9 / 10 AND h1 < 60 THEN 'R'
        WHEN n % 2 = 0 AND h1 >= 996 THEN 'S'
        WHEN n % 2 = 1 AND h1 >= 998 THEN 'I'
        WHEN h1 >= 988 AND h1 < 994 THEN 'C'
        WHEN n % 2 = 1 AND h1 >= 994 AND h1 < 998 THEN 'Z'
        WHEN n % 2 = 0 AND h1 >= 994 AND h1 < 996 THEN 'X'
        ELSE 'E' END AS state
    FROM ({FACTS}) AS facts
"""
TRANSFERS = f"""
  INSERT INTO transfer ({COLUMNS})
  SELECT {{first}} + n, 'TRANS', CASE WHEN is_in = 1 OR is_offer = 1 THEN 'R' ELSE 'I' END,
    CASE WHEN is_in = 1 THEN 'I' ELSE 'O' END, 'SFTP', '', 's' || site,
    CASE WHEN is_in = 1 OR is_offer = 1 THEN 'g' || site ELSE '' END, CASE WHEN is_in = 1 THEN 'user' || site ELSE '' END, '',
    CASE WHEN is_in = 1 THEN '/in' ELSE '/out' END,
    CASE WHEN h3 % 10 < 3 THEN 'ORDERS' || (h3 / 10) || '.xml' ELSE 'invoice-' || (n - n % 2) || '.edi' END,
    state,
    CASE WHEN is_in = 0 OR state <> 'E' THEN 'E' WHEN n > {{count}} - 300 THEN 'T' WHEN h1 < 5 THEN 'F' WHEN h1 < 30 THEN 'N'
      ELSE 'R' END,
    'E', h1 % 3, CASE WHEN is_offer = 1 AND state IN ('B', 'R') THEN 1 WHEN is_in = 1 AND h1 < 30 THEN 1 ELSE 0 END,
    at, at, CASE WHEN state IN ('E', 'C', 'Z', 'X') THEN at + 2500000 END,
    CASE WHEN state IN ('R', 'S') THEN h1 % 9 ELSE 0 END, CASE WHEN state NOT IN ('V', 'I') THEN 900 + h2 * 40 END,
    CASE WHEN state = 'E' THEN 900 + h2 * 40 ELSE 0 END,
    CASE WHEN state NOT IN ('V', 'Z', 'I') THEN {{payload}} + (n + is_in) / 2 END,
    CASE WHEN is_in = 0 AND is_offer = 0 THEN {{first}} + n - 1 END, CASE WHEN is_in = 0 THEN 7 ELSE 0 END, 0, NULL,
    CASE WHEN state IN ('S', 'X') THEN 3 ELSE 0 END, 0,
    CASE WHEN state IN ('R', 'S', 'X') THEN 'the partner did not answer: connection refused' ELSE '' END,
    CASE WHEN is_in = 1 THEN {{why}} ELSE '' END, CASE WHEN is_in = 1 THEN {{extra}} ELSE '{{{{}}}}' END,
    CASE WHEN state IN ('P', 'V') THEN 'main' END, 3,
    CASE WHEN state = 'B' AND h2 < 300 THEN at + 90000000000 END
  FROM ({WAYS}) AS ways
"""
# Made, taken, over: three steps of one that has ended, one of each that waits.
STEPS = """
  INSERT INTO transfer_step (transfer_id, n, at, from_state, to_state, note)
  SELECT t.id, k.n, t.created_at + k.n * 800000,
    CASE k.n WHEN 1 THEN '' WHEN 2 THEN CASE t.direction WHEN 'I' THEN 'V' ELSE 'B' END ELSE 'P' END,
    CASE k.n WHEN 1 THEN CASE t.direction WHEN 'I' THEN 'V' ELSE 'B' END WHEN 2 THEN CASE t.direction WHEN 'I' THEN 'E' ELSE 'P' END
      ELSE t.state END, ''
  FROM transfer AS t CROSS JOIN (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) AS k
  WHERE t.id > {first} AND (t.ended_at IS NOT NULL OR k.n = 1)
"""
# Two in three are small enough to stand in the database.
PAYLOADS = """
  INSERT INTO payload (id, file_uuid, store, state, size, sha256, inline_sealed, durable_to, refs, purge_after)
  SELECT {payload} + n, CASE WHEN n % 3 = 0 THEN {uuid} END, CASE WHEN n % 3 = 0 THEN 'local' ELSE '' END, 'COMMITTED', 900,
    {digest}, CASE WHEN n % 3 = 0 THEN NULL ELSE {sealed} END, 900, 2, NULL
  FROM ({numbers}) AS numbers
"""
AUDIT = """
  INSERT INTO audit (seq, tag, at, actor, origin, action, result, kind, name, before_json, after_json, prev, hash)
  SELECT {audit} + n, {audit} + n - n % 2, {begin} + n * {step}, 'uid:' || (n % 7), 'local socket',
    CASE n % 3 WHEN 0 THEN 'peltrans' WHEN 1 THEN 'pelctl control_trans' ELSE 'LOGIN' END,
    CASE n % 2 WHEN 0 THEN 'ATTEMPT' ELSE 'SUCCESS' END, 'TRANSFER', '' || n, NULL, '{{"dest_alias": "s1"}}', {digest}, {digest}
  FROM ({numbers}) AS numbers
"""


class Bulk:
    """Fills one database. `run` sends a statement, `one` gives the first column of the first row."""

    def __init__(self, run, one, postgres):
        self.run, self.one, self.postgres = run, one, postgres

    def numbers(self, count):
        if self.postgres:
            return f"SELECT CAST(n AS BIGINT) AS n FROM generate_series(1, {count}) AS n"
        return f"WITH RECURSIVE all_numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM all_numbers WHERE n < {count}) SELECT n FROM all_numbers"

    def fill(self, count, why, extra):
        """`why` and `extra` are texts that the gateway itself wrote for a file that it routed."""
        first = int(self.one("SELECT value FROM meta WHERE key = 'next_transfer_id'"))
        payload = int(self.one("SELECT value FROM meta WHERE key = 'next_payload_id'"))
        audit = int(self.one("SELECT COALESCE(MAX(seq), 0) FROM audit"))
        month = 30 * 24 * 3600 * 1_000_000
        words = {
            "first": first, "payload": payload, "audit": audit, "count": count, "begin": int(time.time() * 1e6) - month,
            "step": month // count, "numbers": self.numbers(count), "why": quoted(why), "extra": quoted(extra),
            "uuid": "md5('' || n)" if self.postgres else "lower(hex(randomblob(16)))",
            "digest": "decode(md5('' || n) || md5('x' || n), 'hex')" if self.postgres else "randomblob(32)",
            "sealed": "decode(repeat(md5('' || n), 62), 'hex')" if self.postgres else "randomblob(1000)",
        }
        if self.postgres:
            # The sums of usage are made afterwards, as a change of the schema makes them.
            self.run("ALTER TABLE transfer DISABLE TRIGGER USER")
        self.run(TRANSFERS.format(**words))
        self.run(STEPS.format(**words))
        self.run(PAYLOADS.format(**words | {"numbers": self.numbers(count // 2)}))
        self.run(AUDIT.format(**words | {"numbers": self.numbers(count // 5), "step": month // count * 5}))
        last = audit + count // 5
        shown = "encode(hash, 'hex')" if self.postgres else "lower(hex(hash))"
        self.run(f"UPDATE meta SET value = '{last} ' || (SELECT {shown} FROM audit WHERE seq = {last}) WHERE key = 'audit_head'")
        if self.postgres:
            self.run("ALTER TABLE transfer ENABLE TRIGGER USER")
            names = "in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets"
            sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in names.split(", "))
            self.run(
                f"INSERT INTO usage (scope, name, {names}) SELECT scope, name, {sums} FROM usage_of_transfer "
                f"GROUP BY scope, name ON CONFLICT (scope, name) DO NOTHING"
            )
            self.run("ANALYZE")
        self.run(f"UPDATE meta SET value = '{first + count + 1}' WHERE key = 'next_transfer_id'")
        self.run(f"UPDATE meta SET value = '{payload + count + 1}' WHERE key = 'next_payload_id'")
        return first


def quoted(text):
    return "'" + text.replace("'", "''") + "'"
