-- What a run needs so that it goes on after a kill as it would have without: executions that failed since one went well, and the
-- number of the event that says with which context the last one began (0: none).
ALTER TABLE run_nodes ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run_nodes ADD COLUMN context_at INTEGER NOT NULL DEFAULT 0;
