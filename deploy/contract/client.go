// Package contract holds a client of the demo site's HTTP contract (section 7 of
// the design: routes, answers, codes) and the checks that every deployment of the
// site must pass, whatever backends it runs on.
//
// Tests of the mains in deploy/ call it, over HTTP only. It imports the domain for
// the table of codes and nothing else of the project.
package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"time"

	"flashgate"
)

// Client is one visitor with a cookie jar of their own.
type Client struct {
	URL         string // of the site, without a slash at the end
	LoadtestKey string // to be told the answers of captchas
	HTTP        *http.Client
	Seen        *Codes // shared by the clients of one run; nil: not noted
}

// NewClient makes a visitor without cookies. It does not follow redirects.
func NewClient(url, loadtestKey string, seen *Codes) *Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // not without options
	}
	return &Client{URL: url, LoadtestKey: loadtestKey, Seen: seen, HTTP: &http.Client{
		Jar: jar, Timeout: 30 * time.Second, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// One transport for all clients, so that thousands of them share connections.
var transport = &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512, MaxConnsPerHost: 512, IdleConnTimeout: 30 * time.Second}

// Codes notes which codes were met, and how often.
type Codes struct {
	mu sync.Mutex
	n  map[flashgate.Code]int
}

// Add notes one.
func (c *Codes) Add(code flashgate.Code) {
	if c == nil || code == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[flashgate.Code]int{}
	}
	c.n[code]++
}

// Count says how often a code was met.
func (c *Codes) Count(code flashgate.Code) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[code]
}

// Answer is a response with its body read.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	Code  flashgate.Code    // of a problem document
	Field string            // of a problem document
	Order flashgate.OrderID // of a problem document, or of a purchase
}

// Into decodes the body.
func (a Answer) Into(v any) error {
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("status %d, body %.200q: %w", a.Status, a.Body, err)
	}
	return nil
}

func (a Answer) String() string { return fmt.Sprintf("%d %s %.300s", a.Status, a.Code, a.Body) }

// Do sends one request. A body that is not nil and no io.Reader goes as JSON.
func (c *Client) Do(ctx context.Context, method, path string, body any, header ...string) (Answer, error) {
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case io.Reader:
		r = b
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return Answer{}, err
		}
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, r)
	if err != nil {
		return Answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Status: res.StatusCode, Header: res.Header, Body: raw}
	var doc struct {
		Code  flashgate.Code    `json:"code"`
		Field string            `json:"field"`
		Order flashgate.OrderID `json:"order"`
	}
	if json.Unmarshal(raw, &doc) == nil {
		a.Order = doc.Order
		if res.Header.Get("Content-Type") == "application/problem+json" {
			a.Code, a.Field = doc.Code, doc.Field
			c.Seen.Add(doc.Code)
			if want := flashgate.Info(doc.Code).Status; want != res.StatusCode {
				return a, fmt.Errorf("%s %s: code %s came with status %d, the table says %d", method, path, doc.Code, res.StatusCode, want)
			}
		}
	}
	return a, nil
}

// Credentials are what a visitor logs in with.
type Credentials struct {
	Mobile   string `json:"mobile"`
	Password string `json:"password"`
	Name     string `json:"name,omitempty"`
}

// Register makes an account and is logged in then.
func (c *Client) Register(ctx context.Context, cr Credentials) (Answer, error) {
	return c.Do(ctx, "POST", "/api/register", cr)
}

// Login logs in.
func (c *Client) Login(ctx context.Context, mobile, password string) (Answer, error) {
	return c.Do(ctx, "POST", "/api/login", Credentials{Mobile: mobile, Password: password})
}

// Captcha fetches a picture and returns its answer, which the site tells to a load
// tester.
func (c *Client) Captcha(ctx context.Context, sale flashgate.SaleID) (answer string, a Answer, err error) {
	a, err = c.Do(ctx, "GET", "/api/sales/"+string(sale)+"/captcha", nil, "Flashgate-Loadtest", c.LoadtestKey)
	return a.Header.Get("Captcha-Answer"), a, err
}

// Minted is the answer of the mint route.
type Minted struct {
	Path      string            `json:"path"`
	Order     flashgate.OrderID `json:"order"`
	ExpiresIn int               `json:"expires_in"` // seconds
}

// Path solves a captcha and asks for the hidden path.
func (c *Client) Path(ctx context.Context, sale flashgate.SaleID) (m Minted, a Answer, err error) {
	answer, a, err := c.Captcha(ctx, sale)
	if err != nil || a.Status != http.StatusOK {
		return m, a, err
	}
	a, err = c.Do(ctx, "POST", "/api/sales/"+string(sale)+"/path", map[string]string{"captcha": answer})
	if err != nil || a.Status != http.StatusOK {
		return m, a, err
	}
	return m, a, a.Into(&m)
}

// Buy presses the button.
func (c *Client) Buy(ctx context.Context, sale flashgate.SaleID, path string) (Answer, error) {
	return c.Do(ctx, "POST", "/api/sales/"+string(sale)+"/orders/"+path, nil)
}

// Order is the answer of the order route.
type Order struct {
	Order     flashgate.OrderID `json:"order"`
	Sale      flashgate.SaleID  `json:"sale"`
	Status    flashgate.Status  `json:"status"`
	Reason    string            `json:"reason"`
	Price     int64             `json:"price"`
	CreatedAt string            `json:"created_at"`
	ExpiresAt string            `json:"expires_at"`
}

// GetOrder polls an order.
func (c *Client) GetOrder(ctx context.Context, id flashgate.OrderID) (o Order, a Answer, err error) {
	a, err = c.Do(ctx, "GET", "/api/orders/"+string(id), nil)
	if err != nil || a.Status != http.StatusOK {
		return o, a, err
	}
	return o, a, a.Into(&o)
}

// Decided polls until the order is no longer undecided.
func (c *Client) Decided(ctx context.Context, id flashgate.OrderID) (Order, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last string
	for {
		o, a, err := c.GetOrder(ctx, id)
		if err == nil && a.Status == http.StatusOK && o.Status != flashgate.StatusUndecided {
			return o, nil
		}
		last = fmt.Sprint(a, err)
		select {
		case <-ctx.Done():
			return o, errors.Join(fmt.Errorf("order %s was not decided; the last answer was %s", id, last), ctx.Err())
		case <-tick.C:
		}
	}
}

// Sale is the answer of the sale route.
type Sale struct {
	ID         flashgate.SaleID `json:"id"`
	Price      int64            `json:"price"`
	FlashPrice int64            `json:"flash_price"`
	StartsAt   time.Time        `json:"starts_at"`
	EndsAt     time.Time        `json:"ends_at"`
	Phase      flashgate.Phase  `json:"phase"`
	StockLeft  int64            `json:"stock_left"`
	SoldOut    bool             `json:"sold_out"`
	ServerTime time.Time        `json:"server_time"`
	Goods      struct {
		ID    flashgate.GoodsID `json:"id"`
		Title string            `json:"title"`
	} `json:"goods"`
}

// GetSale reads a sale.
func (c *Client) GetSale(ctx context.Context, id flashgate.SaleID) (s Sale, err error) {
	a, err := c.Do(ctx, "GET", "/api/sales/"+string(id), nil)
	if err != nil {
		return s, err
	}
	if a.Status != http.StatusOK {
		return s, fmt.Errorf("sale %s: %s", id, a)
	}
	return s, a.Into(&s)
}
