-- Conversations. The application id tells our database from any other SQLite file; times are milliseconds since
-- 1970, UTC. chat.messages and chat.bytes are kept beside the rows they count, in the same transaction, so that
-- limits and lists need not read the texts.
PRAGMA application_id = 0x4C4D6E64; -- "LMnd"

CREATE TABLE chat (
    number     INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE CHECK (length(id) = 32),
    title      TEXT,             -- NULL until somebody names it or the first question does
    model      TEXT,             -- the one it last asked for
    system     TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    messages   INTEGER NOT NULL DEFAULT 0,
    bytes      INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX chat_by_time ON chat (updated_ms DESC, number DESC);

-- extra: a JSON object of what goes with the text: reasoning, tool calls, timings.
CREATE TABLE message (
    chat       INTEGER NOT NULL REFERENCES chat (number) ON DELETE CASCADE,
    position   INTEGER NOT NULL CHECK (position >= 0),
    role       TEXT    NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
    text       TEXT    NOT NULL,
    extra      TEXT,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (chat, position)
) STRICT;
