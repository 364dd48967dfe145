package pagecache_test

import (
	"testing"

	"flashgate/internal/servers/serverstest"
)

func TestMain(m *testing.M) { serverstest.Main(m) }
