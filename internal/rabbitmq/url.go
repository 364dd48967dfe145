package rabbitmq

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"os"

	"flashgate"

	amqp "github.com/rabbitmq/amqp091-go"
)

// broker is what a URL says.
type broker struct {
	address string      // the URL without its parameters
	tls     *tls.Config // nil for amqp
}

// parseURL never puts a part of the URL into an error: it may be the password.
func parseURL(op, text string) (broker, error) {
	const form = "is not a URL such as amqp://user:password@host:5672/vhost (in user, password and vhost, write reserved characters as %%2F and the like)"
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "amqp" && u.Scheme != "amqps" || u.Fragment != "" {
		return broker{}, flashgate.Invalid(op, "rabbitmq", form)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return broker{}, flashgate.Invalid(op, "rabbitmq", "has parameters that cannot be read")
	}
	u.RawQuery = ""
	b := broker{address: u.String()}
	if _, err := amqp.ParseURI(b.address); err != nil {
		return broker{}, flashgate.Invalid(op, "rabbitmq", form)
	}
	for name, values := range query {
		switch name {
		case "tls_ca", "tls_cert", "tls_key", "tls_server_name":
		default:
			return broker{}, flashgate.Invalid(op, "rabbitmq", "has an unknown parameter; known are tls_ca, tls_cert, tls_key and tls_server_name")
		}
		if u.Scheme == "amqp" {
			return broker{}, flashgate.Invalid(op, "rabbitmq", "has the parameter %s, which needs amqps://", name)
		}
		if len(values) != 1 || values[0] == "" {
			return broker{}, flashgate.Invalid(op, "rabbitmq", "must give the parameter %s once, with a value", name)
		}
	}
	if u.Scheme == "amqps" {
		if b.tls, err = tlsConfig(op, u.Hostname(), query); err != nil {
			return broker{}, err
		}
	}
	return b, nil
}

// tlsConfig reads the files once; a renewed certificate needs a restart.
func tlsConfig(op, host string, query url.Values) (*tls.Config, error) {
	bad := func(field, message string, err error) error {
		return &flashgate.Error{Code: flashgate.CodeInvalid, Op: op, Field: field, Message: message, Err: err}
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if name := query.Get("tls_server_name"); name != "" {
		cfg.ServerName = name
	}
	if file := query.Get("tls_ca"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, bad("tls_ca", "cannot be read", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, bad("tls_ca", "holds no certificate in PEM form", errors.New(file))
		}
	}
	cert, key := query.Get("tls_cert"), query.Get("tls_key")
	if (cert == "") != (key == "") {
		return nil, bad("tls_cert", "and tls_key go together", nil)
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, bad("tls_cert", "or tls_key cannot be read as PEM", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
