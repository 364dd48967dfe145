package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// MariaDBConfig is how to start a MariaDB. The zero value is useful.
type MariaDBConfig struct {
	// Dir holds data and log. Default: a temporary folder, which Close removes.
	Dir string
	// Port on 127.0.0.1. Default: a free one.
	Port int
	// Args come last on the command line, so they win.
	Args []string
	// Detach lets the server outlive this process. It needs Dir.
	Detach bool
}

// MariaDB is one private MariaDB server. The user root has no password and comes in
// over 127.0.0.1 only. Every commit is synced to disk, the SQL mode is the strict
// default, the character set utf8mb4, and there is room for 1000 connections.
type MariaDB struct {
	server
	cfg MariaDBConfig
}

// StartMariaDB makes the data folder if it is new, starts the server, and returns
// when it answers.
func StartMariaDB(cfg MariaDBConfig) (*MariaDB, error) {
	binary, err := lookUp("mariadbd", "mariadb-server")
	if err != nil {
		return nil, err
	}
	if err := checkDetach(cfg.Detach, cfg.Dir); err != nil {
		return nil, err
	}
	folder, err := openFolder(cfg.Dir, "mariadb")
	if err != nil {
		return nil, err
	}
	m := &MariaDB{server: server{name: "mariadb", folder: folder}, cfg: cfg}
	if err := m.install(); err != nil {
		return nil, errors.Join(err, folder.remove())
	}
	m.parts = []part{{name: "mariadb", ready: m.ready, command: func() (command, error) {
		return command{path: binary, args: m.args(), dir: m.data(), detach: cfg.Detach}, nil
	}}}
	var choose func() error
	if cfg.Port == 0 {
		choose = func() error {
			ports, err := freePorts(1)
			if err == nil {
				m.cfg.Port = ports[0]
			}
			return err
		}
	}
	if err := m.startFirst(choose); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *MariaDB) data() string { return filepath.Join(m.Dir(), "data") }

// storage is what installation and server must agree on. The small pool and log
// make both start fast.
func (m *MariaDB) storage(data string) []string {
	args := []string{"--no-defaults", "--datadir=" + data,
		"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", "--skip-log-bin"}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root")
	}
	return args
}

// install makes the system tables. They are made beside the data folder and renamed,
// so that an interrupted installation is not taken for a whole one.
func (m *MariaDB) install() error {
	if err := os.MkdirAll(filepath.Join(m.Dir(), "tmp"), 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(m.data()); err == nil {
		return nil
	}
	binary, err := lookUp("mariadb-install-db", "mariadb-server")
	if err != nil {
		return err
	}
	fresh := filepath.Join(m.Dir(), "install")
	if err := errors.Join(os.RemoveAll(fresh), os.Mkdir(fresh, 0o700)); err != nil {
		return err
	}
	// By a link: the script breaks at a space in a path.
	links, err := os.MkdirTemp("", "flashgate-install-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(links)
	link := filepath.Join(links, "data")
	if err := os.Symlink(fresh, link); err != nil {
		return err
	}
	// Of its own: a server that starts removes the temporary tables of all others in /tmp.
	tmp := filepath.Join(links, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return err
	}
	args := append(m.storage(link), "--tmpdir="+tmp, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("servers: mariadb-install-db: %w:\n%s", err, out)
	}
	return os.Rename(fresh, m.data())
}

func (m *MariaDB) args() []string {
	return append(append(m.storage(m.data()),
		// Relative to the data folder: the path of a socket may be 107 bytes long.
		"--socket=mariadb.sock", "--pid-file=mariadb.pid",
		"--tmpdir="+filepath.Join(m.Dir(), "tmp"),
		"--port="+strconv.Itoa(m.cfg.Port), "--bind-address="+loopback, "--skip-name-resolve",
		"--innodb-flush-log-at-trx-commit=1", "--max-connections=1000", "--max-connect-errors=1000000",
		"--character-set-server=utf8mb4", "--performance-schema=OFF"), m.cfg.Args...)
}

// ready asks for the data folder, because another test's MariaDB may sit on the port.
func (m *MariaDB) ready(ctx context.Context, _ Process) error {
	if err := reachable(ctx, m.Addr()); err != nil {
		return err
	}
	db, err := m.open()
	if err != nil {
		return err
	}
	defer db.Close()
	var dir string
	if err := db.QueryRowContext(ctx, "SELECT @@datadir").Scan(&dir); err != nil {
		return err
	}
	if filepath.Clean(dir) != m.data() {
		return errors.New("another server answers")
	}
	return nil
}

// open connects as root without a database and keeps the driver quiet.
func (m *MariaDB) open() (*sql.DB, error) {
	cfg, err := mysql.ParseDSN(m.DSN(""))
	if err != nil {
		return nil, err
	}
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// Addr is the server's host and port.
func (m *MariaDB) Addr() string { return address(m.cfg.Port) }

// Port is the port on 127.0.0.1.
func (m *MariaDB) Port() int { return m.cfg.Port }

// DSN is the data source name of a database for the Go driver, as user root.
// Columns of time are read as time.Time in UTC.
func (m *MariaDB) DSN(database string) string {
	return "root@tcp(" + m.Addr() + ")/" + database + "?parseTime=true"
}

var databaseName = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

// CreateDatabase makes an empty database if there is none of that name: 1 to 64
// letters, digits and underscores.
func (m *MariaDB) CreateDatabase(ctx context.Context, name string) error {
	return m.execute(ctx, "CREATE DATABASE IF NOT EXISTS ", name)
}

// DropDatabase removes a database, if it is there, with all that is in it.
func (m *MariaDB) DropDatabase(ctx context.Context, name string) error {
	return m.execute(ctx, "DROP DATABASE IF EXISTS ", name)
}

func (m *MariaDB) execute(ctx context.Context, statement, name string) error {
	if !databaseName.MatchString(name) {
		return fmt.Errorf("servers: %q is no name for a database", name)
	}
	db, err := m.open()
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, statement+"`"+name+"`"); err != nil {
		return fmt.Errorf("servers: %s%s: %w", strings.ToLower(statement), name, err)
	}
	return nil
}
