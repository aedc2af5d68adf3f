-- Times are UTC microseconds. Words in braces are filled in for each database: see migrate.rs.
-- No semicolon within a statement or comment: statements are divided at them.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL){PLAIN};

INSERT INTO meta (key, value) VALUES ('next_transfer_id', '1'), ('next_payload_id', '1'),
  ('audit_head', '0 0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE node (id TEXT PRIMARY KEY, name TEXT NOT NULL, beat_at BIGINT NOT NULL){PLAIN};

CREATE TABLE object (
  id {ID},
  uid TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  lower_name TEXT NOT NULL,
  grp TEXT NOT NULL,
  state TEXT NOT NULL,
  revision BIGINT NOT NULL,
  body_json TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (kind, lower_name)
);
CREATE UNIQUE INDEX object_name ON object (kind, name);
CREATE INDEX object_to_check ON object (kind) WHERE state = 'C';

CREATE TABLE object_ref (
  from_id BIGINT NOT NULL REFERENCES object (id) ON DELETE CASCADE,
  field TEXT NOT NULL,
  pos BIGINT NOT NULL,
  to_id BIGINT NOT NULL REFERENCES object (id),
  PRIMARY KEY (from_id, field, pos)
){PLAIN};
CREATE INDEX object_ref_to ON object_ref (to_id);

CREATE TABLE object_secret (
  object_id BIGINT NOT NULL REFERENCES object (id) ON DELETE CASCADE,
  field TEXT NOT NULL,
  sealed {BLOB} NOT NULL,
  PRIMARY KEY (object_id, field)
){PLAIN};

CREATE TABLE object_history (
  object_id BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  op TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  grp TEXT NOT NULL,
  state TEXT NOT NULL,
  body_json TEXT NOT NULL,
  PRIMARY KEY (object_id, revision)
){PLAIN};
CREATE INDEX object_history_name ON object_history (kind, name);

CREATE TABLE credential (
  object_id {KEY} REFERENCES object (id) ON DELETE CASCADE,
  class TEXT NOT NULL,
  alg TEXT NOT NULL,
  bits BIGINT NOT NULL,
  fingerprint {BLOB} NOT NULL,
  spki_sha256 {BLOB} NOT NULL,
  public_blob {BLOB} NOT NULL,
  private_sealed {BLOB}
);
CREATE INDEX credential_fingerprint ON credential (fingerprint);
CREATE INDEX credential_spki ON credential (spki_sha256);

CREATE TABLE capture (
  fingerprint {BLOB} NOT NULL,
  gate TEXT NOT NULL,
  object_id BIGINT NOT NULL REFERENCES object (id) ON DELETE CASCADE,
  login TEXT NOT NULL,
  source TEXT NOT NULL,
  at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  PRIMARY KEY (fingerprint, gate)
){PLAIN};
CREATE INDEX capture_source ON capture (source, at);
CREATE INDEX capture_gate ON capture (gate);
CREATE INDEX capture_object ON capture (object_id);

CREATE TABLE change (
  seq {ID},
  at BIGINT NOT NULL,
  object_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  op TEXT NOT NULL
);

CREATE TABLE audit (
  seq {KEY},
  tag BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  origin TEXT NOT NULL,
  action TEXT NOT NULL,
  result TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  before_json TEXT,
  after_json TEXT,
  prev {BLOB} NOT NULL,
  hash {BLOB} NOT NULL
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_name ON audit (kind, name);

CREATE TABLE transfer (
  id {KEY},
  type TEXT NOT NULL,
  mode TEXT NOT NULL,
  direction TEXT NOT NULL,
  protocol TEXT NOT NULL,
  local_site TEXT NOT NULL,
  site TEXT NOT NULL,
  gate TEXT NOT NULL,
  login TEXT NOT NULL,
  appli TEXT NOT NULL,
  dir_name TEXT{BINARY} NOT NULL,
  file_name TEXT{BINARY} NOT NULL,
  state TEXT NOT NULL,
  route_state TEXT NOT NULL,
  trade_state TEXT NOT NULL,
  priority BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 2),
  listed BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  not_before BIGINT,
  not_after BIGINT,
  next_try_at BIGINT NOT NULL,
  ended_at BIGINT,
  retries BIGINT NOT NULL,
  size BIGINT,
  done_octets BIGINT NOT NULL,
  payload_id BIGINT,
  route_from BIGINT,
  rule_id BIGINT NOT NULL,
  dest_gen BIGINT NOT NULL,
  master BIGINT,
  dup_from BIGINT,
  reply_to BIGINT,
  message_id TEXT,
  reason BIGINT NOT NULL,
  diag BIGINT NOT NULL,
  err TEXT NOT NULL,
  why_json TEXT NOT NULL,
  extra_json TEXT NOT NULL,
  node_id TEXT,
  lease_until BIGINT,
  revision BIGINT NOT NULL
);
CREATE INDEX transfer_site ON transfer (site, id);
CREATE INDEX transfer_state ON transfer (state, id) WHERE state <> 'E';
CREATE INDEX transfer_listed ON transfer (gate, dir_name, file_name, id DESC) WHERE listed = 1;
CREATE INDEX transfer_due ON transfer (site, priority, next_try_at, id)
  WHERE state IN ('B', 'R', 'D') AND mode = 'I';
CREATE INDEX transfer_to_route ON transfer (next_try_at, id) WHERE route_state = 'T';
CREATE INDEX transfer_message ON transfer (message_id, site) WHERE message_id IS NOT NULL;
CREATE INDEX transfer_master ON transfer (master, id) WHERE master IS NOT NULL;
CREATE UNIQUE INDEX transfer_route ON transfer (route_from, rule_id, site, dest_gen) WHERE route_from IS NOT NULL;

CREATE TABLE transfer_step (
  transfer_id BIGINT NOT NULL,
  n BIGINT NOT NULL,
  at BIGINT NOT NULL,
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (transfer_id, n)
){PLAIN};

CREATE TABLE payload (
  id {KEY},
  file_uuid TEXT UNIQUE,
  store TEXT NOT NULL,
  state TEXT NOT NULL,
  size BIGINT NOT NULL,
  sha256 {BLOB},
  inline_sealed {BLOB},
  durable_to BIGINT NOT NULL,
  hash_state {BLOB},
  refs BIGINT NOT NULL,
  purge_after BIGINT
);
CREATE INDEX payload_staging ON payload (id) WHERE state = 'STAGING';
CREATE INDEX payload_free ON payload (purge_after, id) WHERE purge_after IS NOT NULL;

CREATE TABLE seen (
  site TEXT NOT NULL,
  protocol TEXT NOT NULL,
  key_hash {BLOB} NOT NULL,
  transfer_id BIGINT NOT NULL,
  until BIGINT NOT NULL,
  PRIMARY KEY (site, protocol, key_hash)
){PLAIN};
CREATE INDEX seen_until ON seen (until);

CREATE TABLE login_block (
  gate TEXT NOT NULL,
  source TEXT NOT NULL,
  fails BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  until BIGINT NOT NULL,
  PRIMARY KEY (gate, source)
){PLAIN};
CREATE INDEX login_block_last ON login_block (last_at);

CREATE TABLE event_out (
  seq {ID},
  at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  json TEXT NOT NULL,
  sent_at BIGINT
);
CREATE INDEX event_out_unsent ON event_out (seq) WHERE sent_at IS NULL;
