package contract

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// halfRead: a request whose body was answered before it was read to its end ends its
// connection. Were it used again, the rest of the body would be the next request, and
// whoever shares connections to the gateway, as a proxy in front does, would be given the
// answers of another one (HTTP request smuggling). How much is read depends on who is
// faster, so it is tried many times.
func (s *suite) halfRead(t *testing.T) {
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	const size = 1 << 20
	smuggled := fmt.Sprintf("GET /api/sales HTTP/1.1\r\nHost: %s\r\n\r\n", u.Host)
	body := `{"mobile":"` + strings.Repeat("1", 128<<10) // twice what the shop reads of a body
	body = (body + strings.Repeat(smuggled, size/len(smuggled)))[:size]
	request := fmt.Sprintf("POST /api/login HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", u.Host, size, body)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				got, err := statuses(u.Host, request)
				if err != nil {
					t.Error(err)
				}
				if len(got) > 1 || len(got) == 1 && got[0] != http.StatusRequestEntityTooLarge {
					t.Errorf("one request with a body of %d bytes was answered with %d", size, got)
				}
			}
		})
	}
	wg.Wait()
}

// second is how long an answer is waited for that must not come.
const second = 150 * time.Millisecond

// statuses are those of all answers to what is sent on one connection. There may be none:
// who is cut off while he still sends may not see what came before.
func statuses(host, sent string) (got []int, err error) {
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, _ = io.WriteString(conn, sent) // ends with the connection
	}()
	in := bufio.NewReader(conn)
	for wait := 20 * time.Second; ; wait = second {
		if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return got, err
		}
		a, err := http.ReadResponse(in, nil)
		if err != nil {
			break
		}
		got = append(got, a.StatusCode)
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			break
		}
	}
	_ = conn.Close()
	<-wrote
	return got, nil
}
