// Package rabbitmq is the order queue on RabbitMQ: a Publisher for gateways and the
// worker's relay (flashgate.Publisher, Fencer, EventPublisher), a Consumer for the
// worker (flashgate.Consumer). Both are flashgate.Checkers.
//
// Opening dials nobody. The first call connects, and a lost connection is made again
// for ever, with a growing wait. While there is none, Receive waits and Publish fails
// at once. Publish also fails at once while the broker blocks publishers for want of
// memory, and for the sales of a queue that confirms nothing, such as one without a
// majority.
//
// What an error of Publish means:
//
//	CodeUnavailable     nothing was written to the broker: it will never arrive
//	CodeUnknownOutcome  it was written, wholly or in part, and not confirmed in time,
//	                    refused, or returned: it may be in the queue
//	CodeInvalid, CodeTooLarge  the message; nothing was written
//
// Nil means that the broker has confirmed the message and not returned it.
//
// Queues, exchanges and their arguments are in topology.go, declared alike by both
// sides at every connect. They are quorum queues; a sale hashes to one, which has a
// single active consumer, so a sale keeps its order and more workers serve more sales.
//
// The gateway's app, the order worker's commands and tests open it. It imports no
// other adapter and no Caddy.
package rabbitmq
