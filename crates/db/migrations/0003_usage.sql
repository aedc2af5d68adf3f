-- How much of each partner is stored, kept exact by the database itself: whatever writes a transfer, the sums follow in
-- the same transaction. Scope S is a site, G the gate that admitted the upload. Three pairs: received and stored, for the
-- partner and stored, at its disposal.
-- Nodes of a PostgreSQL must not wait for each other's rows, so there they only add differences, which are summed up now
-- and then. Parts for one database begin with a line that migrate.rs knows.

CREATE TABLE usage (
  scope TEXT NOT NULL,
  name TEXT NOT NULL,
  in_files BIGINT NOT NULL,
  in_octets BIGINT NOT NULL,
  out_files BIGINT NOT NULL,
  out_octets BIGINT NOT NULL,
  disposal_files BIGINT NOT NULL,
  disposal_octets BIGINT NOT NULL,
  PRIMARY KEY (scope, name)
){PLAIN};

CREATE TABLE usage_delta (
  seq {ID},
  scope TEXT NOT NULL,
  name TEXT NOT NULL,
  in_files BIGINT NOT NULL,
  in_octets BIGINT NOT NULL,
  out_files BIGINT NOT NULL,
  out_octets BIGINT NOT NULL,
  disposal_files BIGINT NOT NULL,
  disposal_octets BIGINT NOT NULL
);
CREATE INDEX usage_delta_name ON usage_delta (scope, name);

-- What one transfer adds.
CREATE VIEW usage_of_transfer AS
  SELECT id, 'S' AS scope, site AS name,
    CASE WHEN direction = 'I' THEN 1 ELSE 0 END AS in_files,
    CASE WHEN direction = 'I' THEN size ELSE 0 END AS in_octets,
    CASE WHEN direction = 'O' THEN 1 ELSE 0 END AS out_files,
    CASE WHEN direction = 'O' THEN size ELSE 0 END AS out_octets,
    CASE WHEN direction = 'O' AND mode = 'R' AND state IN ('B', 'R', 'D', 'F', 'V', 'I', 'S') THEN 1 ELSE 0 END
      AS disposal_files,
    CASE WHEN direction = 'O' AND mode = 'R' AND state IN ('B', 'R', 'D', 'F', 'V', 'I', 'S') THEN size ELSE 0 END
      AS disposal_octets
  FROM transfer WHERE payload_id IS NOT NULL AND size IS NOT NULL AND state <> 'Z' AND site <> ''
  UNION ALL
  SELECT id, 'G', {GATE}, 1, size, 0, 0, 0, 0
  FROM transfer WHERE payload_id IS NOT NULL AND size IS NOT NULL AND state <> 'Z' AND direction = 'I'
    AND extra_json LIKE '{"gate":"%';

INSERT INTO usage (scope, name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets)
  SELECT scope, name, CAST(SUM(in_files) AS BIGINT), CAST(SUM(in_octets) AS BIGINT),
    CAST(SUM(out_files) AS BIGINT), CAST(SUM(out_octets) AS BIGINT),
    CAST(SUM(disposal_files) AS BIGINT), CAST(SUM(disposal_octets) AS BIGINT)
  FROM usage_of_transfer GROUP BY scope, name;

-- Retention looks for what ended long ago.
CREATE INDEX transfer_ended ON transfer (ended_at, id) WHERE ended_at IS NOT NULL;

-- only SQLite:
CREATE TRIGGER usage_inserted AFTER INSERT ON transfer
  WHEN NEW.payload_id IS NOT NULL
BEGIN
  INSERT INTO usage (scope, name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets)
    SELECT scope, name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets
    FROM usage_of_transfer WHERE id = NEW.id
    ON CONFLICT (scope, name) DO UPDATE SET in_files = in_files + excluded.in_files,
      in_octets = in_octets + excluded.in_octets, out_files = out_files + excluded.out_files,
      out_octets = out_octets + excluded.out_octets, disposal_files = disposal_files + excluded.disposal_files,
      disposal_octets = disposal_octets + excluded.disposal_octets;
END;

CREATE TRIGGER usage_to_change BEFORE UPDATE OF state, size, payload_id ON transfer
  WHEN NEW.payload_id IS NOT NULL AND (OLD.payload_id IS NULL OR COALESCE(NEW.size, -1) <> COALESCE(OLD.size, -1)
    OR (NEW.state <> OLD.state AND (NEW.state = 'Z' OR (NEW.mode = 'R' AND NEW.direction = 'O'))))
BEGIN
  INSERT INTO usage (scope, name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets)
    SELECT scope, name, -in_files, -in_octets, -out_files, -out_octets, -disposal_files, -disposal_octets
    FROM usage_of_transfer WHERE id = OLD.id
    ON CONFLICT (scope, name) DO UPDATE SET in_files = in_files + excluded.in_files,
      in_octets = in_octets + excluded.in_octets, out_files = out_files + excluded.out_files,
      out_octets = out_octets + excluded.out_octets, disposal_files = disposal_files + excluded.disposal_files,
      disposal_octets = disposal_octets + excluded.disposal_octets;
END;

CREATE TRIGGER usage_changed AFTER UPDATE OF state, size, payload_id ON transfer
  WHEN NEW.payload_id IS NOT NULL AND (OLD.payload_id IS NULL OR COALESCE(NEW.size, -1) <> COALESCE(OLD.size, -1)
    OR (NEW.state <> OLD.state AND (NEW.state = 'Z' OR (NEW.mode = 'R' AND NEW.direction = 'O'))))
BEGIN
  INSERT INTO usage (scope, name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets)
    SELECT scope, name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets
    FROM usage_of_transfer WHERE id = NEW.id
    ON CONFLICT (scope, name) DO UPDATE SET in_files = in_files + excluded.in_files,
      in_octets = in_octets + excluded.in_octets, out_files = out_files + excluded.out_files,
      out_octets = out_octets + excluded.out_octets, disposal_files = disposal_files + excluded.disposal_files,
      disposal_octets = disposal_octets + excluded.disposal_octets;
END;

CREATE TRIGGER usage_to_delete BEFORE DELETE ON transfer
  WHEN OLD.payload_id IS NOT NULL
BEGIN
  INSERT INTO usage (scope, name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets)
    SELECT scope, name, -in_files, -in_octets, -out_files, -out_octets, -disposal_files, -disposal_octets
    FROM usage_of_transfer WHERE id = OLD.id
    ON CONFLICT (scope, name) DO UPDATE SET in_files = in_files + excluded.in_files,
      in_octets = in_octets + excluded.in_octets, out_files = out_files + excluded.out_files,
      out_octets = out_octets + excluded.out_octets, disposal_files = disposal_files + excluded.disposal_files,
      disposal_octets = disposal_octets + excluded.disposal_octets;
END;

-- only PostgreSQL:
CREATE FUNCTION usage_add() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_delta (scope, name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets)
    SELECT scope, name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets
    FROM usage_of_transfer WHERE id = NEW.id;
  RETURN NULL;
END $$;

CREATE FUNCTION usage_take() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_delta (scope, name, in_files, in_octets, out_files, out_octets, disposal_files, disposal_octets)
    SELECT scope, name, -in_files, -in_octets, -out_files, -out_octets, -disposal_files, -disposal_octets
    FROM usage_of_transfer WHERE id = OLD.id;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER usage_inserted AFTER INSERT ON transfer FOR EACH ROW
  WHEN (NEW.payload_id IS NOT NULL)
  EXECUTE FUNCTION usage_add();

CREATE TRIGGER usage_to_change BEFORE UPDATE OF state, size, payload_id ON transfer FOR EACH ROW
  WHEN (NEW.payload_id IS NOT NULL AND (OLD.payload_id IS NULL OR COALESCE(NEW.size, -1) <> COALESCE(OLD.size, -1)
    OR (NEW.state <> OLD.state AND (NEW.state = 'Z' OR (NEW.mode = 'R' AND NEW.direction = 'O')))))
  EXECUTE FUNCTION usage_take();

CREATE TRIGGER usage_changed AFTER UPDATE OF state, size, payload_id ON transfer FOR EACH ROW
  WHEN (NEW.payload_id IS NOT NULL AND (OLD.payload_id IS NULL OR COALESCE(NEW.size, -1) <> COALESCE(OLD.size, -1)
    OR (NEW.state <> OLD.state AND (NEW.state = 'Z' OR (NEW.mode = 'R' AND NEW.direction = 'O')))))
  EXECUTE FUNCTION usage_add();

CREATE TRIGGER usage_to_delete BEFORE DELETE ON transfer FOR EACH ROW
  WHEN (OLD.payload_id IS NOT NULL)
  EXECUTE FUNCTION usage_take();
