-- One row: who this database speaks as. Every start is a new holder with a higher epoch.
CREATE TABLE source (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    id    TEXT NOT NULL,
    epoch BIGINT NOT NULL
);

-- What an AgentEndpoint object would carry in a cluster beside its spec.
CREATE TABLE endpoints (
    namespace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    uid        TEXT NOT NULL,
    created_at BIGINT NOT NULL, -- unix seconds
    generation BIGINT NOT NULL,
    spec       TEXT NOT NULL,   -- JSON: another one is another generation
    status     TEXT,            -- JSON of domain::Status
    PRIMARY KEY (namespace, name)
);
