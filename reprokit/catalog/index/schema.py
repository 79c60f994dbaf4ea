"""The tables of the index.  Another `FORMAT` than that of the file there means: build it anew."""

from __future__ import annotations

FORMAT = 3

TABLES = """
CREATE TABLE runs(
  id INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL,
  root INTEGER NOT NULL,        -- id of the root run's row; of a root run its own
  parent_id TEXT,               -- NULL for a root run
  folder TEXT NOT NULL,         -- name below runs/
  kind TEXT NOT NULL,
  function TEXT,
  what TEXT NOT NULL,           -- the function or the command line
  status TEXT NOT NULL,
  started REAL NOT NULL,        -- seconds since the epoch
  duration REAL,                -- seconds; NULL without an end
  "commit" TEXT,
  config_hash TEXT,
  host TEXT, user TEXT, python TEXT,
  children INTEGER NOT NULL DEFAULT 0,
  reproduction_of TEXT,         -- id of the run that this one repeats
  repeats INTEGER NOT NULL,     -- whether it belongs to such a repetition
  reused_from TEXT,             -- id of the run whose result was given instead of calling the function
  reusable INTEGER NOT NULL,    -- whether its record says what its result depends on
  reused INTEGER NOT NULL DEFAULT 0,  -- how often its result was used again; this and what follows: see `hits`
  reused_at REAL,               -- when last; seconds since the epoch
  saved REAL);                  -- seconds that this saved
CREATE TABLE hits(              -- what the journals tell of results that were used again, summed up by the run that made them
  run_id TEXT PRIMARY KEY, times INTEGER NOT NULL, last REAL NOT NULL,
  saved INTEGER NOT NULL        -- microseconds: a sum that doesn't depend on the order
  ) WITHOUT ROWID;
CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE facts(             -- "config.lr", "value.rmse", "arg.window", "series.loss" (its last value)
  run INTEGER NOT NULL,
  name INTEGER NOT NULL,
  value,                        -- no affinity: a number stays a number, a text a text
  shown TEXT,                   -- JSON of the value where `value` alone does not tell it
  PRIMARY KEY(run, name)) WITHOUT ROWID;
CREATE TABLE artifacts(
  run INTEGER NOT NULL,
  role TEXT NOT NULL,           -- of ArtifactRecord, or "expected" for those of a run without an end
  path TEXT NOT NULL,
  name TEXT NOT NULL,           -- last part of the path
  digest BLOB,                  -- 32 bytes
  size INTEGER,
  "commit" TEXT,
  config_hash TEXT,
  seen INTEGER NOT NULL);
CREATE TABLE marks(run INTEGER NOT NULL, event TEXT NOT NULL, text TEXT NOT NULL);
CREATE VIEW repetitions AS            -- runs that were repeated: how that came out, and where
  SELECT original.id AS run, 'reproduced' AS event, marks.text || coalesce(' on ' || again.host, '') AS text
  FROM runs AS again JOIN runs AS original ON original.run_id = again.reproduction_of
  JOIN marks ON marks.run = again.id AND marks.event = 'verdict'
  WHERE again.reproduction_of IS NOT NULL;
CREATE TABLE problems(folder TEXT NOT NULL, problem TEXT NOT NULL);

-- How far it has read.
CREATE TABLE open_runs(folder TEXT PRIMARY KEY, steps INTEGER NOT NULL, process TEXT NOT NULL);  -- steps: bytes
CREATE TABLE journals(name TEXT PRIMARY KEY, read INTEGER NOT NULL, ended INTEGER NOT NULL);
CREATE TABLE progress(key TEXT PRIMARY KEY, value);
"""

# Made after the rows of a new index, which is faster than keeping them up to date with each.
INDEXES = """
CREATE INDEX runs_by_id ON runs(run_id);
CREATE INDEX runs_by_root ON runs(root);
CREATE INDEX runs_by_start ON runs(parent_id, started);
CREATE INDEX runs_by_duration ON runs(parent_id, duration);
CREATE INDEX runs_by_function ON runs(function, started);
CREATE INDEX runs_by_status ON runs(status, started);
CREATE INDEX runs_by_commit ON runs("commit");
CREATE INDEX runs_by_repeated ON runs(reproduction_of) WHERE reproduction_of IS NOT NULL;
CREATE INDEX runs_by_origin ON runs(reused_from) WHERE reused_from IS NOT NULL;
CREATE INDEX runs_by_config ON runs(config_hash);
CREATE INDEX runs_by_folder ON runs(folder);
CREATE INDEX facts_by_value ON facts(name, value, run);
CREATE INDEX artifacts_by_digest ON artifacts(digest);
CREATE INDEX artifacts_by_name ON artifacts(name);
CREATE INDEX artifacts_by_config ON artifacts(config_hash);
CREATE INDEX artifacts_by_run ON artifacts(run);
CREATE INDEX marks_by_run ON marks(run);
CREATE INDEX problems_by_folder ON problems(folder);
"""
