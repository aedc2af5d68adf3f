-- With a million transfers every question still finds its rows by an index, in the order in which they are asked for: lists
-- by state, direction and mode, alone and with a site, are put together from the newest of each of these (transfer_rows.rs).

DROP INDEX transfer_state;
CREATE INDEX transfer_state ON transfer (state, direction, mode, id);
CREATE INDEX transfer_site_state ON transfer (site, state, direction, mode, id);
-- The columns behind the number are looked at here, not in the record: some names come every day.
CREATE INDEX transfer_file ON transfer (file_name, id, site, state, direction, mode);
-- The first number of a moment.
CREATE INDEX transfer_created ON transfer (created_at, id);
-- What has a latest date and is not over.
CREATE INDEX transfer_not_after ON transfer (not_after, id) WHERE not_after IS NOT NULL AND ended_at IS NULL;

-- Contents whose file is gone, to be forgotten.
CREATE INDEX payload_purged ON payload (id) WHERE state = 'PURGED';

DROP INDEX audit_name;
CREATE INDEX audit_name ON audit (name, seq);
CREATE INDEX audit_kind ON audit (kind, seq);
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_action ON audit (action, seq);

CREATE INDEX change_object ON change (object_id, seq);
