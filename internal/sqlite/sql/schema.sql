-- Version 1 of the embedded file. Times are Unix milliseconds, money is in minor units.

-- The database's side: the authority.
CREATE TABLE IF NOT EXISTS sale (
  id          TEXT PRIMARY KEY,
  goods       TEXT NOT NULL,
  flash_price INTEGER NOT NULL CHECK (flash_price >= 0),
  starts      INTEGER NOT NULL,
  ends        INTEGER NOT NULL,
  per_user    INTEGER NOT NULL CHECK (per_user >= 1),
  seeded      INTEGER NOT NULL CHECK (seeded >= 0),
  stock_left  INTEGER NOT NULL CHECK (stock_left >= 0), -- the last line against overselling
  seq         INTEGER NOT NULL,
  epoch       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS orders (
  id      TEXT PRIMARY KEY,
  sale    TEXT NOT NULL,
  user    TEXT NOT NULL,
  units   INTEGER NOT NULL CHECK (units >= 1),
  price   INTEGER NOT NULL,
  status  TEXT NOT NULL CHECK (status IN ('pending', 'paid', 'cancelled', 'rejected')),
  reason  TEXT NOT NULL DEFAULT '',
  seq     INTEGER NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  updated INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_of_user ON orders (user, created DESC);
CREATE INDEX IF NOT EXISTS orders_unpaid ON orders (expires) WHERE status = 'pending';

CREATE TABLE IF NOT EXISTS buyer (
  sale  TEXT NOT NULL,
  user  TEXT NOT NULL,
  taken INTEGER NOT NULL CHECK (taken >= 0), -- units of the user's live orders
  PRIMARY KEY (sale, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS dead_letter (
  id      TEXT PRIMARY KEY,
  sale    TEXT NOT NULL,
  record  BLOB NOT NULL,
  reason  TEXT NOT NULL,
  detail  TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dead_letter_by_age ON dead_letter (created);

-- The gate's side: what may be reserved, what is held, who bought.
CREATE TABLE IF NOT EXISTS gate (
  sale     TEXT PRIMARY KEY,
  epoch    INTEGER NOT NULL,
  free     INTEGER NOT NULL,
  held     INTEGER NOT NULL CHECK (held >= 0), -- units in gate_order with held = 1
  starts   INTEGER NOT NULL,
  ends     INTEGER NOT NULL,
  per_user INTEGER NOT NULL,
  bound    INTEGER NOT NULL -- most units that may be held at once
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS gate_order (
  id    TEXT PRIMARY KEY,
  user  TEXT NOT NULL,
  units INTEGER NOT NULL,
  at    INTEGER NOT NULL,
  held  INTEGER NOT NULL -- 1 until it is decided; then the row only remembers the id
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS gate_buyer (
  sale  TEXT NOT NULL,
  user  TEXT NOT NULL,
  units INTEGER NOT NULL,
  prior TEXT NOT NULL, -- the latest order
  PRIMARY KEY (sale, user)
) STRICT, WITHOUT ROWID;

-- The queue. AUTOINCREMENT: a number is never used twice, so a late ack hits nobody.
CREATE TABLE IF NOT EXISTS queue (
  tag      INTEGER PRIMARY KEY AUTOINCREMENT,
  body     BLOB NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The shop's tables.
CREATE TABLE IF NOT EXISTS goods (
  id          TEXT PRIMARY KEY,
  title       TEXT NOT NULL,
  description TEXT NOT NULL,
  image       TEXT NOT NULL,
  price       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS users (
  id       TEXT PRIMARY KEY,
  mobile   TEXT NOT NULL UNIQUE,
  name     TEXT NOT NULL,
  password TEXT NOT NULL,
  role     TEXT NOT NULL,
  created  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS session (
  key     TEXT PRIMARY KEY, -- the hash of the token, never the token
  user    TEXT NOT NULL,
  role    TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  idle    INTEGER NOT NULL,
  seen    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_of_user ON session (user);
CREATE INDEX IF NOT EXISTS session_by_end ON session (expires);
