-- Programs that are told what happened to transfers. Triggers note it in the transaction that makes it happen, whatever
-- writes it, so that a crash in between loses nothing; they do so only while a hook wants to know.

CREATE TABLE hook_event (
  seq {ID},
  transfer_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  at BIGINT NOT NULL
);

-- W waits, P runs, E done, F given up.
CREATE TABLE hook_run (
  id {ID},
  hook TEXT NOT NULL,
  kind TEXT NOT NULL,
  transfer_id BIGINT NOT NULL,
  at BIGINT NOT NULL,
  state TEXT NOT NULL,
  tries BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  node_id TEXT,
  ended_at BIGINT,
  exit TEXT NOT NULL,
  output TEXT NOT NULL
);
CREATE INDEX hook_run_due ON hook_run (next_at, id) WHERE state IN ('W', 'P');
CREATE INDEX hook_run_transfer ON hook_run (transfer_id, id);
CREATE INDEX hook_run_ended ON hook_run (ended_at) WHERE ended_at IS NOT NULL;

-- only SQLite:
CREATE TRIGGER hook_step AFTER INSERT ON transfer_step
  WHEN NEW.to_state IN ('E', 'I', 'S', 'C') AND NEW.from_state <> NEW.to_state AND EXISTS (SELECT 1 FROM meta WHERE key = 'hooks')
BEGIN
  INSERT INTO hook_event (transfer_id, kind, at)
    SELECT id, CASE WHEN direction = 'I' THEN CASE NEW.to_state WHEN 'E' THEN 'RECEIVED' ELSE 'INTERRUPTED' END
      ELSE CASE NEW.to_state WHEN 'E' THEN 'DELIVERED' ELSE 'FAILED' END END, NEW.at
    FROM transfer WHERE id = NEW.transfer_id
      AND ((direction = 'I' AND NEW.to_state IN ('E', 'I')) OR (direction = 'O' AND NEW.to_state IN ('E', 'S', 'C')));
END;

CREATE TRIGGER hook_routed AFTER UPDATE OF route_state ON transfer
  WHEN NEW.route_state <> OLD.route_state AND NEW.route_state IN ('R', 'N', 'F')
    AND EXISTS (SELECT 1 FROM meta WHERE key = 'hooks')
BEGIN
  INSERT INTO hook_event (transfer_id, kind, at)
    VALUES (NEW.id, CASE NEW.route_state WHEN 'R' THEN 'ROUTED' WHEN 'N' THEN 'NOT_ROUTED' ELSE 'ROUTE_FAILED' END,
      COALESCE(NEW.ended_at, NEW.created_at));
END;

-- only PostgreSQL:
CREATE FUNCTION hook_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM meta WHERE key = 'hooks') THEN
    INSERT INTO hook_event (transfer_id, kind, at)
      SELECT id, CASE WHEN direction = 'I' THEN CASE NEW.to_state WHEN 'E' THEN 'RECEIVED' ELSE 'INTERRUPTED' END
        ELSE CASE NEW.to_state WHEN 'E' THEN 'DELIVERED' ELSE 'FAILED' END END, NEW.at
      FROM transfer WHERE id = NEW.transfer_id
        AND ((direction = 'I' AND NEW.to_state IN ('E', 'I')) OR (direction = 'O' AND NEW.to_state IN ('E', 'S', 'C')));
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION hook_routed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM meta WHERE key = 'hooks') THEN
    INSERT INTO hook_event (transfer_id, kind, at)
      VALUES (NEW.id, CASE NEW.route_state WHEN 'R' THEN 'ROUTED' WHEN 'N' THEN 'NOT_ROUTED' ELSE 'ROUTE_FAILED' END,
        COALESCE(NEW.ended_at, NEW.created_at));
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER hook_step AFTER INSERT ON transfer_step FOR EACH ROW
  WHEN (NEW.to_state IN ('E', 'I', 'S', 'C') AND NEW.from_state <> NEW.to_state)
  EXECUTE FUNCTION hook_step();

CREATE TRIGGER hook_routed AFTER UPDATE OF route_state ON transfer FOR EACH ROW
  WHEN (NEW.route_state <> OLD.route_state AND NEW.route_state IN ('R', 'N', 'F'))
  EXECUTE FUNCTION hook_routed();
