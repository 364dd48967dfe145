package rabbitmq_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers"
)

// issuer signs certificates and writes them as PEM files.
type issuer struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	ca := &issuer{dir: t.TempDir()}
	ca.certificate, ca.key = ca.issue(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return ca
}

func (ca *issuer) file(name string) string { return filepath.Join(ca.dir, name) }

// issue writes name.pem and name.key.
func (ca *issuer) issue(t *testing.T, name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := ca.certificate, ca.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	must(err)
	signed, err := x509.ParseCertificate(der)
	must(err)
	secret, err := x509.MarshalECPrivateKey(key)
	must(err)
	must(os.WriteFile(ca.file(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(os.WriteFile(ca.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
	return signed, key
}

// A broker that speaks TLS and wants a certificate of the client.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := newIssuer(t), newIssuer(t)
	ca.issue(t, "broker", &x509.Certificate{DNSNames: []string{"broker.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	ca.issue(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := port.Addr().(*net.TCPAddr)
	port.Close()
	broker, err := servers.StartRabbitMQ(servers.RabbitMQConfig{Config: fmt.Sprintf(`
listeners.ssl.1 = 127.0.0.1:%d
ssl_options.cacertfile = %s
ssl_options.certfile = %s
ssl_options.keyfile = %s
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
`, addr.Port, ca.file("ca.pem"), ca.file("broker.pem"), ca.file("broker.key"))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, broker) })
	// The node answers on its first port before it listens on the second.
	eventually(t, "it listens for TLS", func() bool {
		conn, err := net.Dial("tcp", addr.String())
		return err == nil && conn.Close() == nil
	})

	good := url.Values{
		"tls_ca": {ca.file("ca.pem")}, "tls_cert": {ca.file("client.pem")}, "tls_key": {ca.file("client.key")},
		"tls_server_name": {"broker.example"},
	}
	open := func(change func(url.Values)) *rabbitmq.Publisher {
		query := url.Values{}
		for k, v := range good {
			query[k] = v
		}
		change(query)
		return openPublisher(t, rabbitmq.Config{URL: fmt.Sprintf("amqps://guest:guest@%s/?%s", addr, query.Encode()), Queues: 1})
	}
	publish(t, open(func(url.Values) {}), message(newSale()))
	for name, change := range map[string]func(url.Values){
		"another authority":        func(q url.Values) { q.Set("tls_ca", stranger.file("ca.pem")) },
		"the system's authorities": func(q url.Values) { q.Del("tls_ca") },
		"another name":             func(q url.Values) { q.Set("tls_server_name", "other.example") },
		"the host's name":          func(q url.Values) { q.Del("tls_server_name") },
		"no client certificate":    func(q url.Values) { q.Del("tls_cert"); q.Del("tls_key") },
	} {
		wantCode(t, open(change).Publish(t.Context(), message(newSale())), flashgate.CodeUnavailable, name)
	}
}
