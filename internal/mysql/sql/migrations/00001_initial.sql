-- Times are Unix milliseconds by the database's clock, money is in minor units. Ids
-- are compared byte by byte: they are base64url, where case matters. IF NOT EXISTS,
-- because no transaction holds these statements together: a server that dies between
-- two of them leaves some of the tables, and the next start makes the others.

-- +goose Up
CREATE TABLE IF NOT EXISTS sale (
  id          VARCHAR(32)  NOT NULL PRIMARY KEY,
  goods       VARCHAR(128) NOT NULL,
  flash_price BIGINT       NOT NULL CHECK (flash_price >= 0),
  starts      BIGINT       NOT NULL,
  ends        BIGINT       NOT NULL,
  per_user    INT          NOT NULL CHECK (per_user >= 1),
  seeded      BIGINT       NOT NULL CHECK (seeded >= 0),
  stock_left  BIGINT       NOT NULL CHECK (stock_left >= 0), -- the last line against overselling
  seq         BIGINT       NOT NULL, -- of the newest row of stock_log
  epoch       BIGINT       NOT NULL, -- raised by each reconciliation
  fences      BIGINT       NOT NULL DEFAULT 0, -- how many have been drawn: the number of the newest
  fenced      BIGINT       NOT NULL DEFAULT 0 -- the highest that came through the queue
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS orders (
  id      VARCHAR(128) NOT NULL PRIMARY KEY,
  sale    VARCHAR(32)  NOT NULL,
  user    VARCHAR(128) NOT NULL,
  units   INT          NOT NULL CHECK (units >= 1),
  price   BIGINT       NOT NULL,
  status  VARCHAR(16)  NOT NULL CHECK (status IN ('pending', 'paid', 'cancelled', 'rejected')),
  reason  VARCHAR(32)  NOT NULL DEFAULT '',
  seq     BIGINT       NOT NULL, -- of the batch that decided it
  created BIGINT       NOT NULL,
  expires BIGINT       NOT NULL,
  updated BIGINT       NOT NULL,
  KEY orders_of_user (user, created),
  KEY orders_of_sale (sale, seq),
  KEY orders_unpaid (status, expires)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS buyer (
  sale  VARCHAR(32)  NOT NULL,
  user  VARCHAR(128) NOT NULL,
  taken INT          NOT NULL CHECK (taken >= 0), -- units of the user's live orders
  PRIMARY KEY (sale, user)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS stock_log (
  sale       VARCHAR(32) NOT NULL,
  seq        BIGINT      NOT NULL, -- 1, 2, 3, ... without gaps
  epoch      BIGINT      NOT NULL,
  left_after BIGINT      NOT NULL,
  starts     BIGINT      NOT NULL, -- the window after this entry
  ends       BIGINT      NOT NULL,
  decisions  LONGTEXT    NOT NULL, -- JSON: [{"kind","order","user","units"}, ...]
  PRIMARY KEY (sale, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS dead_letter (
  id      VARCHAR(128) NOT NULL PRIMARY KEY,
  sale    VARCHAR(32)  NOT NULL, -- empty when it is not known
  record  LONGBLOB     NOT NULL,
  reason  VARCHAR(32)  NOT NULL,
  detail  TEXT         NOT NULL,
  created BIGINT       NOT NULL,
  KEY dead_letter_by_age (created),
  KEY dead_letter_of_sale (sale)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS event (
  id       BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
  kind     VARCHAR(32)  NOT NULL,
  sale     VARCHAR(32)  NOT NULL,
  order_id VARCHAR(128) NOT NULL,
  user     VARCHAR(128) NOT NULL,
  units    BIGINT       NOT NULL,
  seq      BIGINT       NOT NULL,
  at       BIGINT       NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS audit (
  id     BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
  at     BIGINT      NOT NULL,
  sale   VARCHAR(32) NOT NULL,
  epoch  BIGINT      NOT NULL,
  action VARCHAR(64) NOT NULL,
  detail TEXT        NOT NULL,
  KEY audit_of_sale (sale, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS goods (
  id          VARCHAR(128) NOT NULL PRIMARY KEY,
  title       TEXT         NOT NULL,
  description TEXT         NOT NULL,
  image       TEXT         NOT NULL,
  price       BIGINT       NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS users (
  id       VARCHAR(128) NOT NULL PRIMARY KEY,
  mobile   VARCHAR(32)  NOT NULL,
  name     VARCHAR(255) NOT NULL,
  password VARCHAR(255) NOT NULL, -- PHC string
  role     VARCHAR(32)  NOT NULL,
  created  BIGINT       NOT NULL,
  UNIQUE KEY users_mobile (mobile)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE IF EXISTS users, goods, audit, event, dead_letter, stock_log, buyer, orders, sale;
