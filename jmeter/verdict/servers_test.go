package main_test

import (
	"strings"
	"testing"

	"flashgate/internal/servers/serverstest"
)

func TestServersThatAreAway(t *testing.T) {
	t.Parallel()
	s := goodRun(t, embedded(t))
	s.copied(t, serverstest.OwnMariaDB(t))
	results := s.results(t)
	for flag, says := range map[string]string{
		"--redis=redis://127.0.0.1:1": "verdict: the gate does not answer", "--redis=127.0.0.1": "--redis is not a URL such as",
		"--amqp=amqp://127.0.0.1:1": "RabbitMQ does not answer",
	} {
		if a := s.judge(t, results, flag); a.exit != 2 || !strings.Contains(a.errors, says) || strings.Count(a.errors, "\n") != 1 {
			t.Errorf("%s: exit %d, want 2 and %q in %q", flag, a.exit, says, a.errors)
		}
	}
}
