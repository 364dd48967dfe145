package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// RabbitMQConfig is how to start a RabbitMQ. The zero value is useful.
type RabbitMQConfig struct {
	// Dir holds data and log. Default: a temporary folder, which Close removes. RabbitMQ
	// cannot live in a path with quotes or backslashes.
	Dir string
	// Port of AMQP on 127.0.0.1. Default: a free one.
	Port int
	// Config is added to rabbitmq.conf and wins over what stands there.
	Config string
	// Detach lets the server outlive this process. It needs Dir.
	Detach bool
}

// RabbitMQ is one private RabbitMQ node without plugins. Beside the node runs an
// epmd, Erlang's directory of nodes, that is its own too: it starts and ends with
// the node, so that a killed node's name is free again.
//
// Of RabbitMQ 3.10: a quorum queue that was declared less than about a second before
// Kill comes back without a leader, and what it held is lost. A test that kills the
// node declares its queue, calls Stop and Start, and goes on from there. Start after
// Kill asks for the election that such a node may wait for.
type RabbitMQ struct {
	server
	cfg      RabbitMQConfig
	node     string // the node's name before the @
	epmdPort int
	distPort int
	killed   atomic.Bool
}

// StartRabbitMQ starts a node and returns when it accepts AMQP connections.
func StartRabbitMQ(cfg RabbitMQConfig) (*RabbitMQ, error) {
	binary, err := lookUp("rabbitmq-server", "rabbitmq-server", rabbitmqFolders...)
	if err != nil {
		return nil, err
	}
	epmd, err := lookUp("epmd", "erlang-base")
	if err != nil {
		return nil, err
	}
	if err := checkDetach(cfg.Detach, cfg.Dir); err != nil {
		return nil, err
	}
	folder, err := openFolder(cfg.Dir, "rabbitmq")
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(folder.path, "'\"\\") { // it hands the path to a shell, and hangs
		return nil, errors.Join(fmt.Errorf("servers: RabbitMQ cannot live in %s: no quotes and backslashes in a path", folder.path), folder.remove())
	}
	r := &RabbitMQ{server: server{name: "rabbitmq", folder: folder}, cfg: cfg}
	if err := r.writeFiles(); err != nil {
		return nil, errors.Join(err, folder.remove())
	}
	r.parts = []part{
		{
			name: "epmd",
			ready: func(ctx context.Context, _ Process) error {
				return reachable(ctx, address(r.epmdPort))
			},
			command: func() (command, error) {
				args := []string{"-address", loopback, "-port", strconv.Itoa(r.epmdPort)}
				return command{path: epmd, args: args, env: r.env(), dir: folder.path, detach: cfg.Detach}, nil
			},
		},
		{
			name: "rabbitmq", ready: r.ready,
			command: func() (command, error) {
				return command{path: binary, env: r.env(), dir: folder.path, detach: cfg.Detach}, nil
			},
		},
	}
	// The inner ports are new at every try; a port that the caller named is not.
	if err := r.startFirst(r.choosePorts); err != nil {
		return nil, err
	}
	return r, nil
}

// Kill ends the node at once (SIGKILL).
func (r *RabbitMQ) Kill() error {
	r.killed.Store(true)
	return r.server.Kill()
}

// elect makes every quorum queue choose its leader. After a hard stop of a single node
// one may stay without, until somebody asks
// (https://github.com/rabbitmq/rabbitmq-server/issues/10070).
const elect = "[ra:trigger_election(amqqueue:get_pid(Q)) || Q <- rabbit_amqqueue:list(), amqqueue:get_type(Q) =:= rabbit_quorum_queue]."

// Start runs the node again with the same ports and data.
func (r *RabbitMQ) Start() error {
	if err := r.server.Start(); err != nil || !r.killed.Swap(false) {
		return err
	}
	_, err := r.Ctl("eval", elect)
	return err
}

func (r *RabbitMQ) choosePorts() error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	r.epmdPort, r.distPort = ports[0], ports[1]
	if r.cfg.Port == 0 {
		r.cfg.Port = ports[2]
	}
	return nil
}

// writeFiles makes the node's name, which the data is bound to, once, and its
// configuration.
func (r *RabbitMQ) writeFiles() error {
	nameFile := r.path("node")
	name, err := os.ReadFile(nameFile)
	if errors.Is(err, os.ErrNotExist) {
		name = []byte("flashgate-" + strings.ToLower(rand.Text()[:8]))
		err = os.WriteFile(nameFile, name, 0o600)
	}
	if err != nil {
		return err
	}
	r.node = string(name)
	conf := "disk_free_limit.absolute = 50MB\n" + r.cfg.Config + "\n"
	for file, content := range map[string]string{"rabbitmq.conf": conf, "enabled_plugins": "[].\n", "rabbitmq-env.conf": ""} {
		if err := os.WriteFile(r.path(file), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (r *RabbitMQ) path(name string) string { return filepath.Join(r.Dir(), name) }

// env is the whole environment, so that nothing of the machine's own RabbitMQ
// reaches the node.
func (r *RabbitMQ) env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
		"HOME=" + r.Dir(), // the cookie
		"ERL_EPMD_PORT=" + strconv.Itoa(r.epmdPort), "ERL_EPMD_ADDRESS=" + loopback,
		"RABBITMQ_NODENAME=" + r.nodeName(),
		"RABBITMQ_NODE_IP_ADDRESS=" + loopback, "RABBITMQ_NODE_PORT=" + strconv.Itoa(r.cfg.Port),
		"RABBITMQ_DIST_PORT=" + strconv.Itoa(r.distPort),
		"RABBITMQ_MNESIA_BASE=" + r.path("mnesia"),
		"RABBITMQ_LOG_BASE=" + r.path("log"), "RABBITMQ_LOGS=-", // to standard output
		"RABBITMQ_CONF_ENV_FILE=" + r.path("rabbitmq-env.conf"),
		"RABBITMQ_CONFIG_FILE=" + r.path("rabbitmq.conf"),
		"RABBITMQ_ADVANCED_CONFIG_FILE=" + r.path("advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + r.path("enabled_plugins"),
		"RABBITMQ_PID_FILE=" + r.path("rabbitmq.pid"),
		// The start script becomes the node by exec, instead of waiting for it: the child's
		// pid is the node's.
		"RUNNING_UNDER_SYSTEMD=true",
		// Idle schedulers sleep instead of spinning: tests share few cores.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+sbwt none +sbwtdcpu none +sbwtdio none",
	}
}

func (r *RabbitMQ) nodeName() string { return r.node + "@localhost" }

// ready looks at the pid file and at the name of the node that answers, because
// another test's node may sit on the port.
func (r *RabbitMQ) ready(ctx context.Context, p Process) error {
	if err := reachable(ctx, r.Addr()); err != nil {
		return err
	}
	conn, err := amqp.DialConfig(r.URL(), amqp.Config{Dial: amqp.DefaultDial(5 * time.Second)})
	if err != nil {
		return err
	}
	defer conn.Close()
	if name, _ := conn.Properties["cluster_name"].(string); !strings.HasPrefix(name, r.node+"@") {
		return fmt.Errorf("another node answers: %q", name)
	}
	pid, err := os.ReadFile(r.path("rabbitmq.pid"))
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(pid)); got != strconv.Itoa(p.PID) {
		return fmt.Errorf("the node's pid is %s, not %d", got, p.PID)
	}
	return nil
}

// Addr is the host and port of AMQP.
func (r *RabbitMQ) Addr() string { return address(r.cfg.Port) }

// Port is the port of AMQP on 127.0.0.1.
func (r *RabbitMQ) Port() int { return r.cfg.Port }

// URL is amqp://guest:guest@127.0.0.1:port/.
func (r *RabbitMQ) URL() string { return "amqp://guest:guest@" + r.Addr() + "/" }

// Ctl runs rabbitmqctl on this node and returns what it printed; an error holds that
// too. It starts an Erlang machine, takes a second or more, and gives up after 60 s.
func (r *RabbitMQ) Ctl(args ...string) (string, error) {
	binary, err := lookUp("rabbitmqctl", "rabbitmq-server", rabbitmqFolders...)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"--quiet", "--node", r.nodeName()}, args...)...)
	cmd.Env, cmd.Dir = r.env(), r.Dir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("servers: rabbitmqctl %s: %w:\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
