-- What an operator looks at: sums by hour, alarms, and events on their way to others.

-- Hours since 1970. WHAT is received, delivered, failed or refused.
CREATE TABLE tally (
  what TEXT NOT NULL,
  hour BIGINT NOT NULL,
  site TEXT NOT NULL,
  cause TEXT NOT NULL,
  times BIGINT NOT NULL,
  octets BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  last_transfer BIGINT,
  last_text TEXT NOT NULL,
  PRIMARY KEY (what, hour, site, cause)
){PLAIN};

-- TO_MAIL is O for an alarm that opened, C for one that closed, empty when mail has told it.
CREATE TABLE alarm (
  id {ID},
  rule TEXT NOT NULL,
  subject TEXT NOT NULL,
  node TEXT NOT NULL,
  severity TEXT NOT NULL,
  cause TEXT NOT NULL,
  effect TEXT NOT NULL,
  next_step TEXT NOT NULL,
  times BIGINT NOT NULL,
  opened_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  closed_at BIGINT,
  acknowledged_at BIGINT,
  acknowledged_by TEXT,
  to_mail TEXT NOT NULL
);
CREATE UNIQUE INDEX alarm_open ON alarm (rule, subject, node) WHERE closed_at IS NULL;
CREATE INDEX alarm_closed ON alarm (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX alarm_opened ON alarm (opened_at, id) WHERE closed_at IS NULL;
CREATE INDEX alarm_to_mail ON alarm (updated_at, id) WHERE to_mail <> '';

-- The table of the first schema was never written to. Now each webhook has its own row of an event.
DROP TABLE event_out;

CREATE TABLE event_out (
  seq {ID},
  webhook TEXT NOT NULL,
  at BIGINT NOT NULL,
  code TEXT NOT NULL,
  subject TEXT NOT NULL,
  json TEXT NOT NULL,
  tries BIGINT NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL DEFAULT 0,
  parked BIGINT NOT NULL DEFAULT 0,
  answer TEXT NOT NULL DEFAULT ''
);
CREATE INDEX event_out_webhook ON event_out (webhook, parked, seq);

-- Which webhook wants which event: made from the webhooks whenever the configuration changes. A code of a transfer is S
-- with the letter of a state, or R with that of a route state.
CREATE TABLE event_want (code TEXT NOT NULL, webhook TEXT NOT NULL, PRIMARY KEY (code, webhook)){PLAIN};

CREATE TABLE webhook_state (
  webhook TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  held_until BIGINT NOT NULL,
  sent BIGINT NOT NULL,
  dropped BIGINT NOT NULL,
  last_ok_at BIGINT,
  last_error_at BIGINT,
  last_error TEXT NOT NULL
){PLAIN};

-- Every change of a transfer that a webhook wants, in the transaction that makes it.
-- only SQLite:
CREATE TRIGGER event_of_new AFTER INSERT ON transfer
  WHEN EXISTS (SELECT 1 FROM event_want)
BEGIN
  INSERT INTO event_out (webhook, at, code, subject, json)
    SELECT w.webhook, NEW.created_at, w.code, CAST(NEW.id AS TEXT), json_object('from', '', 'to', NEW.state,
      'route', NEW.route_state, 'site', NEW.site, 'gate', NEW.gate, 'login', NEW.login, 'protocol', NEW.protocol,
      'direction', NEW.direction, 'mode', NEW.mode, 'type', NEW.type, 'appli', NEW.appli, 'dir', NEW.dir_name,
      'file', NEW.file_name, 'size', NEW.size, 'done', NEW.done_octets, 'priority', NEW.priority,
      'created_at', NEW.created_at, 'not_before', NEW.not_before, 'not_after', NEW.not_after, 'ended_at', NEW.ended_at,
      'retries', NEW.retries, 'route_from', NEW.route_from, 'message_id', NEW.message_id, 'reason', NEW.reason,
      'diag', NEW.diag, 'err', NEW.err, 'local', NEW.local_site, 'n', NEW.revision, 'note', '')
    FROM event_want AS w WHERE w.code = 'S' || NEW.state;
END;

CREATE TRIGGER event_of_change AFTER UPDATE OF state, route_state ON transfer
  WHEN (NEW.state <> OLD.state OR NEW.route_state <> OLD.route_state) AND EXISTS (SELECT 1 FROM event_want)
BEGIN
  INSERT INTO event_out (webhook, at, code, subject, json)
    SELECT w.webhook, COALESCE(s.at, NEW.created_at), w.code, CAST(NEW.id AS TEXT), json_object('from', OLD.state,
      'to', NEW.state, 'route', NEW.route_state, 'site', NEW.site, 'gate', NEW.gate, 'login', NEW.login,
      'protocol', NEW.protocol, 'direction', NEW.direction, 'mode', NEW.mode, 'type', NEW.type, 'appli', NEW.appli,
      'dir', NEW.dir_name, 'file', NEW.file_name, 'size', NEW.size, 'done', NEW.done_octets, 'priority', NEW.priority,
      'created_at', NEW.created_at, 'not_before', NEW.not_before, 'not_after', NEW.not_after, 'ended_at', NEW.ended_at,
      'retries', NEW.retries, 'route_from', NEW.route_from, 'message_id', NEW.message_id, 'reason', NEW.reason,
      'diag', NEW.diag, 'err', NEW.err, 'local', NEW.local_site, 'n', NEW.revision, 'note', COALESCE(s.note, ''))
    FROM event_want AS w LEFT JOIN transfer_step AS s ON s.transfer_id = NEW.id AND s.n = NEW.revision
    WHERE (NEW.state <> OLD.state AND w.code = 'S' || NEW.state)
      OR (NEW.route_state <> OLD.route_state AND w.code = 'R' || NEW.route_state);
END;

-- only PostgreSQL:
CREATE FUNCTION event_of_transfer() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  old_state TEXT := '';
  old_route TEXT := 'E';
  step RECORD;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM event_want) THEN RETURN NULL; END IF;
  IF TG_OP = 'UPDATE' THEN
    old_state := OLD.state;
    old_route := OLD.route_state;
  END IF;
  SELECT at, note INTO step FROM transfer_step WHERE transfer_id = NEW.id AND n = NEW.revision;
  INSERT INTO event_out (webhook, at, code, subject, json)
    SELECT w.webhook, COALESCE(step.at, NEW.created_at), w.code, CAST(NEW.id AS TEXT), json_build_object(
      'from', old_state, 'to', NEW.state, 'route', NEW.route_state, 'site', NEW.site, 'gate', NEW.gate,
      'login', NEW.login, 'protocol', NEW.protocol, 'direction', NEW.direction, 'mode', NEW.mode, 'type', NEW.type,
      'appli', NEW.appli, 'dir', NEW.dir_name, 'file', NEW.file_name, 'size', NEW.size, 'done', NEW.done_octets,
      'priority', NEW.priority, 'created_at', NEW.created_at, 'not_before', NEW.not_before, 'not_after', NEW.not_after,
      'ended_at', NEW.ended_at, 'retries', NEW.retries, 'route_from', NEW.route_from, 'message_id', NEW.message_id,
      'reason', NEW.reason, 'diag', NEW.diag, 'err', NEW.err, 'local', NEW.local_site, 'n', NEW.revision,
      'note', COALESCE(step.note, ''))::text
    FROM event_want AS w
    WHERE (NEW.state <> old_state AND w.code = 'S' || NEW.state)
      OR (TG_OP = 'UPDATE' AND NEW.route_state <> old_route AND w.code = 'R' || NEW.route_state);
  RETURN NULL;
END $$;

CREATE TRIGGER event_of_new AFTER INSERT ON transfer FOR EACH ROW EXECUTE FUNCTION event_of_transfer();

CREATE TRIGGER event_of_change AFTER UPDATE OF state, route_state ON transfer FOR EACH ROW
  WHEN (NEW.state <> OLD.state OR NEW.route_state <> OLD.route_state)
  EXECUTE FUNCTION event_of_transfer();
