-- Proofs: runs that try one recommendation of another run. What they found is kept beside the row, so that the run
-- that was proved can show it without reading whole reports. `proves` is no foreign key: a proof says in itself what it
-- tried, and outlives the run that it was about.
ALTER TABLE run ADD COLUMN proves TEXT;   -- id of the run whose recommendation was tried
ALTER TABLE run ADD COLUMN proof  TEXT;   -- JSON: recommendation, verdict, interval (profile/proof.h); NULL: no verdict

CREATE INDEX run_by_proves ON run (proves, created_ms DESC, id DESC) WHERE proves IS NOT NULL;
