package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// The queues of a site, as internal/rabbitmq/topology.go has them: the work queues
// flashgate.orders.0, 1, …, the dead one, and the one that is always empty.
const (
	workQueue      = "flashgate.orders."
	deadQueue      = "flashgate.dead"
	partitionQueue = "flashgate.partitions"
	mostWorkQueues = 64
)

// depth is how many messages of one queue no consumer has been given.
type depth struct {
	queue string
	ready int
}

// readQueues asks the broker for each queue, and makes none: the declarations are
// passive. A work queue that is not there is the first behind the last.
func readQueues(address string) ([]depth, error) {
	conn, err := amqp.DialConfig(address, amqp.Config{Heartbeat: 5 * time.Second, Dial: amqp.DefaultDial(5 * time.Second)})
	if err != nil {
		if _, ok := errors.AsType[net.Error](err); !ok {
			err = errors.New("it refuses the address, the user or the virtual host") // the client's words may repeat the URL
		}
		return nil, fmt.Errorf("RabbitMQ does not answer: %w", err)
	}
	defer conn.Close()
	names := []string{deadQueue, partitionQueue}
	for i := range mostWorkQueues {
		names = append(names, workQueue+strconv.Itoa(i))
	}
	var out []depth
	for _, name := range names {
		d, err := readQueue(conn, name)
		if e, ok := errors.AsType[*amqp.Error](err); ok && e.Code == amqp.NotFound && len(out) > 2 {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("queue %s: %w", name, err)
		}
		out = append(out, d)
	}
	return out, nil
}

// readQueue uses a channel of its own: the broker closes one in which a queue is missing.
func readQueue(conn *amqp.Connection, name string) (depth, error) {
	ch, err := conn.Channel()
	if err != nil {
		return depth{}, err
	}
	defer ch.Close()
	q, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
	return depth{queue: name, ready: q.Messages}, err
}

// judgeQueues: when all is over nothing is left behind. What a consumer has in hand the
// broker does not tell here; such a message shows as an order that is missing, or held.
func judgeQueues(ds []depth) check {
	c := check{name: "queue", text: fmt.Sprintf("nothing is left behind in %d queues", len(ds))}
	for _, d := range ds {
		if d.ready > 0 {
			c.fault("queue %s has %d messages", d.queue, d.ready)
		}
	}
	return c
}
