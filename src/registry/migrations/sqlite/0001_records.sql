-- Times are unix milliseconds of the registry's own clock. A lease lives until lease_at (or its
-- source's renewed_at, whichever is later) plus ttl_seconds.
-- The names keep clear of the original registry's tables (agents, orchestrators), so that pointing
-- us at its file does not touch them.

-- What an agent says of itself. `ordinal` breaks ties of registered_at in lists.
CREATE TABLE agent_contributions (
    ordinal        INTEGER PRIMARY KEY,
    scope          TEXT   NOT NULL,
    agent_id       TEXT   NOT NULL,
    agent_name     TEXT   NOT NULL,
    host           TEXT   NOT NULL,
    port           BIGINT NOT NULL,
    metadata       TEXT,
    ttl_seconds    BIGINT NOT NULL,
    registered_at  BIGINT NOT NULL,
    last_heartbeat BIGINT NOT NULL,
    lease_at       BIGINT NOT NULL,
    UNIQUE (scope, agent_id)
);

-- One orchestrator, all its replicas. digest and count are kept item by item and always equal the
-- XOR and the number of its rows in orchestrator_contributions.
CREATE TABLE sources (
    scope              TEXT    NOT NULL,
    source             TEXT    NOT NULL,
    epoch              BIGINT  NOT NULL,
    seq                BIGINT  NOT NULL,
    digest             TEXT    NOT NULL,
    held               BIGINT  NOT NULL,
    renewed_at         BIGINT  NOT NULL,
    snapshot           TEXT,
    snapshot_mark      BIGINT  NOT NULL,
    snapshot_next_page BIGINT  NOT NULL,
    snapshot_complete  BOOLEAN NOT NULL,
    snapshot_held      BIGINT  NOT NULL,
    PRIMARY KEY (scope, source)
);

-- What an orchestrator says of an agent; at most one orchestrator for an id in a scope.
-- evidence: 1 the agent is there, -1 it does not answer, 0 neither.
CREATE TABLE orchestrator_contributions (
    scope         TEXT   NOT NULL,
    agent_id      TEXT   NOT NULL,
    source        TEXT   NOT NULL,
    digest        TEXT   NOT NULL,
    document      TEXT   NOT NULL,
    evidence      BIGINT NOT NULL,
    ttl_seconds   BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    renewed_at    BIGINT NOT NULL,
    lease_at      BIGINT NOT NULL,
    snapshot_mark BIGINT NOT NULL,
    PRIMARY KEY (scope, agent_id),
    FOREIGN KEY (scope, source) REFERENCES sources (scope, source)
);
CREATE INDEX orchestrator_contributions_of_source ON orchestrator_contributions (scope, source);

-- Orchestrators that registered themselves over the unversioned routes.
CREATE TABLE orchestrator_registrations (
    ordinal           INTEGER PRIMARY KEY,
    orchestrator_id   TEXT   NOT NULL UNIQUE,
    orchestrator_name TEXT   NOT NULL,
    orchestrator_type TEXT   NOT NULL,
    api_endpoint      TEXT   NOT NULL,
    ttl_seconds       BIGINT NOT NULL,
    registered_at     BIGINT NOT NULL,
    last_heartbeat    BIGINT NOT NULL,
    lease_at          BIGINT NOT NULL
);

-- One row. What was alive at last_running_at gets a fresh TTL at the next start.
CREATE TABLE registry_state (
    id              BIGINT PRIMARY KEY,
    last_running_at BIGINT NOT NULL
);
INSERT INTO registry_state (id, last_running_at) VALUES (1, 0);
