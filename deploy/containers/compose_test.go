package containers_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/go-sql-driver/mysql"
	"github.com/rabbitmq/amqp091-go"
	goredis "github.com/redis/go-redis/v9"
)

const composeFile = "../compose.yaml"

// secrets are what .env.example asks for.
var secrets = map[string]string{
	"REDIS_PASSWORD": "redis0secret", "RABBITMQ_PASSWORD": "rabbit0secret", "MARIADB_PASSWORD": "maria0secret", "FLASHGATE_KEYS": "keys0secret",
}

// load reads the file as `docker compose` does, with all profiles.
func load(t *testing.T, env map[string]string) (*types.Project, error) {
	t.Helper()
	var pairs []string
	for name, value := range env {
		pairs = append(pairs, name+"="+value)
	}
	o, err := cli.NewProjectOptions([]string{composeFile}, cli.WithEnv(pairs), cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	return o.LoadProject(t.Context())
}

func project(t *testing.T) *types.Project {
	t.Helper()
	p, err := load(t, secrets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var (
	servers  = []string{"mariadb", "rabbitmq", "redis"}
	programs = []string{"gateway", "seed", "shop", "worker"}
)

func TestServices(t *testing.T) {
	t.Parallel()
	p := project(t)
	if got := p.ServiceNames(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(append(slices.Clone(servers), programs...)))) {
		t.Errorf("services: %v", got)
	}
	for name, s := range p.Services {
		if name != "seed" && (s.HealthCheck == nil || s.HealthCheck.Disable || len(s.HealthCheck.Test) == 0) {
			t.Errorf("%s has no health check", name)
		}
		if published := len(s.Ports) > 0; published != (name == "gateway") {
			t.Errorf("%s publishes %v", name, s.Ports)
		}
	}
	for _, name := range servers {
		s := p.Services[name]
		if s.Build != nil || !strings.Contains(s.Image, ":") || strings.HasSuffix(s.Image, ":latest") {
			t.Errorf("%s runs %q: name a version", name, s.Image)
		}
		if len(s.Volumes) != 1 || s.Volumes[0].Type != types.VolumeTypeVolume || s.Volumes[0].Source == "" {
			t.Errorf("%s keeps its data in %+v: it must be a named volume", name, s.Volumes)
		}
	}
	if cmd := strings.Join(p.Services["redis"].Command, " "); !strings.Contains(cmd, "--appendonly yes") || !strings.Contains(cmd, "noeviction") {
		t.Errorf("redis runs %s", cmd)
	}
	for _, name := range programs {
		s := p.Services[name]
		if s.Build == nil || s.Build.Dockerfile != "deploy/Dockerfile" {
			t.Errorf("%s is built by %+v", name, s.Build)
		}
		for _, server := range servers {
			if got := s.DependsOn[server].Condition; got != types.ServiceConditionHealthy {
				t.Errorf("%s waits for %s: %q", name, server, got)
			}
		}
	}
}

// The programs reach the servers under the passwords that the servers are given.
func TestURLs(t *testing.T) {
	t.Parallel()
	p := project(t)
	value := func(service, name string) string {
		t.Helper()
		v := p.Services[service].Environment[name]
		if v == nil {
			t.Fatalf("%s has no %s", service, name)
		}
		return *v
	}
	same := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %q, want %q", what, got, want)
		}
	}
	for _, name := range programs {
		r, err := goredis.ParseURL(value(name, "REDIS_URL"))
		if err != nil {
			t.Fatal(err)
		}
		same(name+"'s Redis", r.Addr, "redis:6379")
		same(name+"'s Redis password", r.Password, value("redis", "REDISCLI_AUTH"))
		a, err := amqp091.ParseURI(value(name, "AMQP_URL"))
		if err != nil {
			t.Fatal(err)
		}
		same(name+"'s RabbitMQ", a.Host, "rabbitmq")
		same(name+"'s RabbitMQ user", a.Username, value("rabbitmq", "RABBITMQ_DEFAULT_USER"))
		same(name+"'s RabbitMQ password", a.Password, value("rabbitmq", "RABBITMQ_DEFAULT_PASS"))
		m, err := mysql.ParseDSN(value(name, "MYSQL_DSN"))
		if err != nil {
			t.Fatal(err)
		}
		same(name+"'s MariaDB", m.Addr, "mariadb:3306")
		same(name+"'s database", m.DBName, value("mariadb", "MARIADB_DATABASE"))
		same(name+"'s MariaDB user", m.User, value("mariadb", "MARIADB_USER"))
		same(name+"'s MariaDB password", m.Passwd, value("mariadb", "MARIADB_PASSWORD"))
		same(name+"'s keys", value(name, "FLASHGATE_KEYS"), secrets["FLASHGATE_KEYS"])
	}
	// The health checks ask where the programs listen.
	for name, port := range map[string]string{"gateway": "8080", "shop": "8081", "worker": "8082"} {
		test := p.Services[name].HealthCheck.Test
		u, err := url.Parse(test[len(test)-1])
		if err != nil || u.Port() != port || u.Path != "/healthz" {
			t.Errorf("%s is asked at %v, %v", name, u, err)
		}
	}
	same("the shop's network", p.Services["shop"].NetworkMode, "service:gateway")
}

// Without one of the secrets nothing starts, and the message names it.
func TestSecretsAreRequired(t *testing.T) {
	t.Parallel()
	for name := range secrets {
		for kind, change := range map[string]func(map[string]string){
			"missing": func(env map[string]string) { delete(env, name) },
			"empty":   func(env map[string]string) { env[name] = "" },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				env := maps.Clone(secrets)
				change(env)
				if _, err := load(t, env); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("loaded: %v", err)
				}
			})
		}
	}
}

// The example names every variable of the file, and holds no secret.
func TestExample(t *testing.T) {
	t.Parallel()
	example := read(t, "../.env.example")
	for name := range secrets {
		if !strings.Contains(example, "\n"+name+"=\n") {
			t.Errorf("no empty %s in .env.example", name)
		}
	}
	for _, m := range variable.FindAllStringSubmatch(read(t, composeFile), -1) {
		if !strings.Contains(example, m[1]+"=") {
			t.Errorf("%s is not in .env.example", m[1])
		}
	}
}
