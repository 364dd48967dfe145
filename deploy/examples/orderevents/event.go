package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// event is the body of a message. Members that it does not know are ignored: some may
// be added. schema.json has all of it.
type event struct {
	ID    int64     `json:"id"`
	Kind  string    `json:"kind"`
	Sale  string    `json:"sale"`
	Order string    `json:"order"` // empty for events of a sale
	User  string    `json:"user"`  // empty for events of a sale
	Units int64     `json:"units"`
	Seq   int64     `json:"seq"`
	At    time.Time `json:"at"`
}

func decode(body []byte) (e event, err error) {
	if err := json.Unmarshal(body, &e); err != nil {
		return e, err
	}
	switch {
	case e.ID < 1 || e.Kind == "" || e.Sale == "":
		return e, errors.New("id, kind or sale is missing")
	case strings.HasPrefix(e.Kind, "order.") && e.Order == "":
		return e, errors.New("order is missing")
	}
	return e, nil
}

// String is a line for people.
func (e event) String() string {
	if e.Order == "" {
		return fmt.Sprintf("%d %s sale=%s units=%d", e.ID, e.Kind, e.Sale, e.Units)
	}
	return fmt.Sprintf("%d %s sale=%s units=%d order=%s user=%s", e.ID, e.Kind, e.Sale, e.Units, e.Order, e.User)
}
