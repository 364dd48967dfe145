package rabbitmq_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/rabbitmq"
)

func TestBadConfig(t *testing.T) {
	t.Parallel()
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	const host = "://alice:pa55word@broker"
	for _, c := range []struct {
		name  string
		cfg   rabbitmq.Config
		field string
	}{
		{"no URL", rabbitmq.Config{}, "rabbitmq"},
		{"another scheme", rabbitmq.Config{URL: "http" + host}, "rabbitmq"},
		{"no host", rabbitmq.Config{URL: "amqp://alice:pa55word@/v"}, "rabbitmq"},
		{"bad port", rabbitmq.Config{URL: "amqp" + host + ":pa55word"}, "rabbitmq"},
		{"password not escaped", rabbitmq.Config{URL: "amqp://alice:pa55word/%zz@broker/"}, "rabbitmq"},
		{"fragment", rabbitmq.Config{URL: "amqp" + host + "/#pa55word"}, "rabbitmq"},
		{"unknown parameter", rabbitmq.Config{URL: "amqp" + host + "/?heartbeat=pa55word"}, "rabbitmq"},
		{"unreadable parameters", rabbitmq.Config{URL: "amqps" + host + "/?tls_ca=%zz;pa55word"}, "rabbitmq"},
		{"TLS parameter without TLS", rabbitmq.Config{URL: "amqp" + host + "/?tls_server_name=pa55word"}, "rabbitmq"},
		{"parameter twice", rabbitmq.Config{URL: "amqps" + host + "/?tls_server_name=a&tls_server_name=b"}, "rabbitmq"},
		{"empty parameter", rabbitmq.Config{URL: "amqps" + host + "/?tls_ca="}, "rabbitmq"},
		{"no such file", rabbitmq.Config{URL: "amqps" + host + "/?tls_ca=/does/not/exist"}, "tls_ca"},
		{"no PEM", rabbitmq.Config{URL: "amqps" + host + "/?tls_ca=" + noPEM}, "tls_ca"},
		{"certificate without key", rabbitmq.Config{URL: "amqps" + host + "/?tls_cert=" + noPEM}, "tls_cert"},
		{"bad certificate", rabbitmq.Config{URL: "amqps" + host + "/?tls_cert=" + noPEM + "&tls_key=" + noPEM}, "tls_cert"},
		{"prefix", rabbitmq.Config{URL: "amqp" + host, Prefix: "a b"}, "prefix"},
		{"long prefix", rabbitmq.Config{URL: "amqp" + host, Prefix: strings.Repeat("a", 65)}, "prefix"},
		{"queues", rabbitmq.Config{URL: "amqp" + host, Queues: 65}, "queues"},
		{"negative queues", rabbitmq.Config{URL: "amqp" + host, Queues: -1}, "queues"},
		{"timeout", rabbitmq.Config{URL: "amqp" + host, Timeout: flashgate.PublishWindow + 1}, "timeout"},
		{"heartbeat", rabbitmq.Config{URL: "amqp" + host, Heartbeat: 1500 * time.Millisecond}, "heartbeat"},
		{"prefetch", rabbitmq.Config{URL: "amqp" + host, Prefetch: 70_000}, "prefetch"},
		{"delivery limit", rabbitmq.Config{URL: "amqp" + host, DeliveryLimit: -1}, "delivery_limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := rabbitmq.OpenPublisher(c.cfg)
			wantCode(t, err, flashgate.CodeInvalid, "OpenPublisher")
			if e, ok := errors.AsType[*flashgate.Error](err); ok && e.Field != c.field {
				t.Errorf("the field is %q, want %q: %v", e.Field, c.field, err)
			}
			if _, err2 := rabbitmq.OpenConsumer(c.cfg); err2 == nil {
				t.Error("OpenConsumer takes it")
			}
			if strings.Contains(err.Error(), "pa55word") {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}
