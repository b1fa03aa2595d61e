-- Profiling runs. What lists and filters need has a column here; the long JSON is in run_text, so that no list
-- walks over it. decode_log_mean, _log_sd, _n: of the logs of the decode rates, for trends.
CREATE TABLE run (
    number            INTEGER PRIMARY KEY,
    id                TEXT    NOT NULL UNIQUE CHECK (length(id) = 32),
    kind              TEXT    NOT NULL,
    status            TEXT    NOT NULL
                      CHECK (status IN ('waiting', 'running', 'success', 'failed', 'cancelled', 'interrupted')),
    model             TEXT,
    quantization      TEXT,
    mode              TEXT,
    machine           TEXT,
    grade             TEXT,
    message           TEXT,
    series            TEXT,             -- equal for runs that may be compared: model, flags, machine
    created_ms        INTEGER NOT NULL,
    duration_s        REAL,
    tokens_per_second REAL,
    decode_tps        REAL,
    prefill_tps       REAL,
    ttft_ms           REAL,
    memory_bytes      REAL,
    decode_log_mean   REAL,
    decode_log_sd     REAL,
    decode_n          INTEGER NOT NULL DEFAULT 0,
    imported          INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX run_by_time ON run (created_ms DESC, id DESC);
CREATE INDEX run_by_series ON run (series, created_ms DESC, id DESC)
    WHERE series IS NOT NULL AND status = 'success' AND imported = 0;
CREATE INDEX run_open ON run (status) WHERE status IN ('waiting', 'running');

CREATE TABLE run_text (
    run     INTEGER PRIMARY KEY REFERENCES run (number) ON DELETE CASCADE,
    request TEXT,
    report  TEXT
) STRICT;
