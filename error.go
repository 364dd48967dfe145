package flashgate

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Code is the stable, machine-readable name of an error. It is the `code` member
// of every problem document (RFC 9457) that flashgate sends.
type Code string

// The codes. Each has one row in Codes.
const (
	CodeUnauthenticated Code = "unauthenticated"  // nobody is logged in
	CodeLoginFailed     Code = "login_failed"     // wrong mobile number or password; which of them is not said
	CodeForbidden       Code = "forbidden"        // logged in, but not allowed
	CodeCaptchaRequired Code = "captcha_required" // no answer was sent
	CodeCaptchaWrong    Code = "captcha_wrong"    // wrong, burnt, expired or never asked for
	CodeNotStarted      Code = "not_started"      // before the sale's window; RetryAfter says when it opens
	CodePathInvalid     Code = "path_invalid"     // wrong, expired, another's, another sale's: one answer
	CodeNotFound        Code = "not_found"
	CodeInvalid         Code = "invalid" // Field names what is wrong
	CodeSoldOut         Code = "sold_out"
	CodeAlreadyBought   Code = "already_bought" // Order carries the earlier order
	CodeWrongState      Code = "wrong_state"    // late payment, cancel of a paid order
	CodeMobileTaken     Code = "mobile_taken"
	CodeEnded           Code = "ended"
	CodeTooLarge        Code = "too_large"
	CodeRateLimited     Code = "rate_limited" // RetryAfter says when to come back
	CodeInternal        Code = "internal"
	CodeSaleClosed      Code = "sale_closed"     // the sale is reconciling
	CodeUnavailable     Code = "unavailable"     // a backend is away and nothing was reserved
	CodeUnknownOutcome  Code = "unknown_outcome" // it may have happened: poll Order, or ask again
)

// CodeInfo is one row of the table of codes.
type CodeInfo struct {
	Code   Code
	Status int    // HTTP status
	Title  string // short, constant summary (RFC 9457, section 3.1.3)
}

// Codes is the one table from code to HTTP status and title.
var Codes = []CodeInfo{
	{CodeUnauthenticated, http.StatusUnauthorized, "Log in first"},
	{CodeLoginFailed, http.StatusUnauthorized, "Wrong mobile number or password"},
	{CodeForbidden, http.StatusForbidden, "Not allowed"},
	{CodeCaptchaRequired, http.StatusForbidden, "Solve the captcha first"},
	{CodeCaptchaWrong, http.StatusForbidden, "The captcha was not solved"},
	{CodeNotStarted, http.StatusForbidden, "The sale has not started"},
	{CodePathInvalid, http.StatusNotFound, "This address is not valid"},
	{CodeNotFound, http.StatusNotFound, "Not found"},
	{CodeInvalid, http.StatusBadRequest, "Invalid request"},
	{CodeSoldOut, http.StatusConflict, "Sold out"},
	{CodeAlreadyBought, http.StatusConflict, "Already bought"},
	{CodeWrongState, http.StatusConflict, "The order's state does not allow this"},
	{CodeMobileTaken, http.StatusConflict, "This mobile number is registered"},
	{CodeEnded, http.StatusGone, "The sale has ended"},
	{CodeTooLarge, http.StatusRequestEntityTooLarge, "Request too large"},
	{CodeRateLimited, http.StatusTooManyRequests, "Too many requests"},
	{CodeInternal, http.StatusInternalServerError, "Internal error"},
	{CodeSaleClosed, http.StatusServiceUnavailable, "The sale is being reconciled"},
	{CodeUnavailable, http.StatusServiceUnavailable, "Temporarily unavailable"},
	{CodeUnknownOutcome, http.StatusGatewayTimeout, "The outcome is not known yet"},
}

// Info returns the row of a code. A code that is not in the table is internal.
func Info(code Code) CodeInfo {
	for _, c := range Codes {
		if c.Code == code {
			return c
		}
	}
	return Info(CodeInternal)
}

// Error is the one error type of flashgate. Message is public and says what to
// do; Err is private, goes to the log and never to a client.
type Error struct {
	Code       Code
	Op         string        // where it happened, for example "sqlite.Reserve"
	Message    string        // public detail; empty means the code's title
	Field      string        // the field that is invalid, with CodeInvalid
	Order      OrderID       // with CodeAlreadyBought and CodeUnknownOutcome
	RetryAfter time.Duration // when it makes sense to try again; zero means not stated
	Err        error
}

// Error is for the log: it carries the operation and the private cause.
func (e *Error) Error() string {
	msg := e.Message
	if msg == "" {
		msg = Info(e.Code).Title
	}
	if e.Field != "" {
		msg = e.Field + ": " + msg
	}
	if e.Op != "" {
		msg = e.Op + ": " + msg
	}
	if e.Err != nil {
		return fmt.Sprintf("%s (%s): %v", msg, e.Code, e.Err)
	}
	return fmt.Sprintf("%s (%s)", msg, e.Code)
}

// Unwrap gives the private cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the code of the first Error in err's chain, CodeInternal for
// any other error, and the empty code for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// Errorf makes an Error with a public message.
func Errorf(code Code, op, format string, args ...any) *Error {
	return &Error{Code: code, Op: op, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an error of CodeInvalid that names the field.
func Invalid(op, field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Op: op, Field: field, Message: fmt.Sprintf(format, args...)}
}
