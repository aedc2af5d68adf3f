-- Lists by direction and mode alone: four ways, not those of every state (transfer_rows.rs).
CREATE INDEX transfer_way ON transfer (direction, mode, id);
