package rabbitmq

import (
	"errors"
	"time"

	"flashgate"
)

var (
	errClosed  = errors.New("closed by this process")
	errNoReply = errors.New("the broker gives no sign of life")
	errStuck   = errors.New("the queue confirms nothing")
	errLate    = errors.New("the time was over before it could be sent")
)

// unavailable means that nothing was written; an *flashgate.Error passes as it is.
func unavailable(op string, err error) error {
	return coded(flashgate.CodeUnavailable, op, time.Second, err)
}

// unknown means that something was written, and that it may arrive.
func unknown(op string, err error) error {
	return coded(flashgate.CodeUnknownOutcome, op, flashgate.PublishWindow, err)
}

func coded(code flashgate.Code, op string, retry time.Duration, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*flashgate.Error](err); ok {
		return err
	}
	return &flashgate.Error{Code: code, Op: op, RetryAfter: retry, Err: err}
}
