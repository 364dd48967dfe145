package servers

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// loopback is the only address that a private server listens on.
const loopback = "127.0.0.1"

// Ports are drawn from below the range that the kernel takes source ports of
// outgoing connections from (32768 and up on Linux, 49152 elsewhere). A port of
// that range could be taken while its server is down, and the server could not come
// back.
const (
	lowestPort  = 10000
	highestPort = 32767
)

var handedOut = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// freePorts returns n ports that nobody listens on and that this process has not
// handed out before.
func freePorts(n int) ([]int, error) {
	var found []int
	for range 10000 {
		if len(found) == n {
			return found, nil
		}
		if port := lowestPort + rand.IntN(highestPort-lowestPort+1); TakePort(port) {
			found = append(found, port)
		}
	}
	return nil, errors.New("servers: no free port on " + loopback)
}

// FreePort returns a port of 127.0.0.1 that nobody listens on, that this process has not
// been given before, and that no outgoing connection takes while its server is down.
func FreePort() (int, error) {
	ports, err := freePorts(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// TakePort takes a certain port as FreePort takes any; false when it is not to be had.
func TakePort(port int) bool {
	handedOut.Lock()
	defer handedOut.Unlock()
	if handedOut.ports[port] || !PortFree(port) {
		return false
	}
	handedOut.ports[port] = true
	return true
}

// PortFree reports whether a server could listen on the port of 127.0.0.1 now.
func PortFree(port int) bool {
	l, err := net.Listen("tcp4", address(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
