// Command orderevents shows how another system takes flashgate's order events: it keeps
// a small table of the orders and their states, up to date whatever happens. Copy it
// and put your own work where it writes that table.
//
//	AMQP_URL=amqp://user:password@host:5672/ go run ./deploy/examples/orderevents
//
// It may be killed at any moment and started again: no event is missed, and none is
// handled twice. docs/order-events.md says what it can rely on. Three things do it:
//
//   - The queue is durable and its own, so events wait there while nobody consumes.
//   - An event is acked after it was handled, so one that was not comes again.
//   - What an event changes, and the note that it was handled, are one transaction, so
//     one that comes again is known.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func main() {
	exchange := flag.String("exchange", "flashgate.events", "the exchange of the events")
	queue := flag.String("queue", "example.order-events", "this consumer's own queue")
	file := flag.String("file", "order-events.db", "the SQLite file of the orders")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("AMQP_URL"), *exchange, *queue, *file); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url, exchange, queue, file string) error {
	if url == "" {
		return errors.New("set AMQP_URL")
	}
	orders, err := openOrders(file)
	if err != nil {
		return err
	}
	defer orders.Close()
	for {
		err := consume(ctx, url, exchange, queue, orders)
		if ctx.Err() != nil {
			return nil
		}
		log.Print("trying again: ", err) // the broker is away, or the file cannot be written
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// prefetch is how many events are on their way to this process unacked. All of them
// come again when it dies.
const prefetch = 100

// consume handles events until the connection, or the program, ends.
func consume(ctx context.Context, url, exchange, queue string, orders *orders) error {
	conn, err := amqp.Dial(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	// As flashgate declares it, so that either may be started first.
	if err := ch.ExchangeDeclare(exchange, amqp.ExchangeTopic, true, false, false, false, nil); err != nil {
		return err
	}
	// The broker keeps no event for a queue that is not there yet: declare it before the
	// first sale. The limit is high because every kill counts as a failed delivery of all
	// that was on its way; newer brokers would drop an event after 20.
	_, err = ch.QueueDeclare(queue, true, false, false, false, amqp.Table{
		amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": 1_000_000,
	})
	if err != nil {
		return err
	}
	for _, kinds := range []string{"order.*", "sale.*"} {
		if err := ch.QueueBind(queue, kinds, exchange, false, nil); err != nil {
			return err
		}
	}
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return err
	}
	const autoAck = false
	deliveries, err := ch.ConsumeWithContext(ctx, queue, "", autoAck, false, false, false, nil)
	if err != nil {
		return err
	}
	fmt.Println("waiting for events")
	for d := range deliveries {
		e, err := decode(d.Body)
		if err != nil {
			// It will never become readable. Without a dead-letter exchange for the queue
			// it is gone, so say it loudly.
			log.Printf("message %q cannot be read and is dropped: %v", d.MessageId, err)
			if err := d.Reject(false); err != nil {
				return err
			}
			continue
		}
		fresh, err := orders.handle(ctx, e)
		if err != nil {
			return err // not acked: it comes again
		}
		if fresh {
			fmt.Println(e)
		} else {
			fmt.Println(e.ID, "again, dropped")
		}
		if err := d.Ack(false); err != nil {
			return err
		}
	}
	return errors.New("the connection was lost")
}
