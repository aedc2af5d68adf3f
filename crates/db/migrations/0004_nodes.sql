-- Several gateways on one PostgreSQL: nodes. One beat of a node renews the lease of everything that it works on, so a
-- transfer needs no lease of its own. The number of a node is new at each start, and after each lost lease: what it
-- began under an older number it can no longer end.

DROP TABLE node;
CREATE TABLE node (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  home TEXT NOT NULL,
  host TEXT NOT NULL,
  version TEXT NOT NULL,
  state TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  beat_at BIGINT NOT NULL,
  lease_us BIGINT NOT NULL
){PLAIN};

ALTER TABLE transfer DROP COLUMN lease_until;

-- The staging folder that holds an upload, by its mark.
ALTER TABLE payload ADD COLUMN holder TEXT;

-- What an operator asks of a delivery that another node is at work on.
CREATE TABLE transfer_ask (transfer_id {KEY}, action TEXT NOT NULL, at BIGINT NOT NULL);

-- Connections to a site at the same time, counted over all nodes: each takes a place.
CREATE TABLE site_place (
  site TEXT NOT NULL,
  place BIGINT NOT NULL,
  node_id TEXT NOT NULL,
  PRIMARY KEY (site, place)
){PLAIN};

-- Sites that an operator started or stopped since the first node came up.
CREATE TABLE site_switch (site TEXT PRIMARY KEY, active BIGINT NOT NULL, seq BIGINT NOT NULL, text TEXT NOT NULL){PLAIN};

-- Uploads to an object store that are not finished: written before their first part goes.
CREATE TABLE store_upload (
  file_uuid TEXT PRIMARY KEY,
  upload_id TEXT,
  node_id TEXT NOT NULL,
  at BIGINT NOT NULL
){PLAIN};
