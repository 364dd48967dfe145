package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// The checks before JMeter starts. The plans make the same ones themselves when somebody
// runs them by hand (setup.xml); here a mistake costs no Java.

// asker asks a site.
type asker struct {
	site *site
	http *http.Client
}

func newAsker(t *site) *asker {
	return &asker{site: t, http: &http.Client{
		Timeout: 10 * time.Second,
		// Any certificate will do, as for JMeter: a site under test often has one of its own.
		Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// get gives status, header and the beginning of the body.
func (a *asker) get(ctx context.Context, path string, header http.Header) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.site.url.Scheme+"://"+a.site.url.Host+path, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header = header
	res, err := a.http.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return 0, nil, nil, fmt.Errorf("%s does not answer: %w", a.site.url, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, res.Header, body, err
}

// checkHost: somebody answers, whatever they say, but that another site is meant.
func (a *asker) checkHost(ctx context.Context) error {
	status, header, _, err := a.get(ctx, "/", nil)
	if err != nil || status < 300 || status > 399 {
		return err
	}
	to, err := a.site.url.Parse(header.Get("Location"))
	if err == nil && (to.Scheme != a.site.url.Scheme || to.Host != a.site.url.Host) {
		return fmt.Errorf("%s sends to %s: name that one, if it is meant", a.site.url, to.Redacted())
	}
	return nil
}

// checkKey asks for a captcha, as a stranger, so that no user's limit is touched. Where
// strangers get none, the plan asks with a session.
func (a *asker) checkKey(ctx context.Context, sale string) error {
	if a.site.key == "" {
		return errors.New("the load-test key is not set: set FLASHGATE_LOADTEST_KEY as the gateway has it")
	}
	status, header, _, err := a.get(ctx, "/api/sales/"+url.PathEscape(sale)+"/captcha", http.Header{"Flashgate-Loadtest": {a.site.key}})
	switch {
	case err != nil || status == http.StatusUnauthorized:
		return err
	case status != http.StatusOK:
		return fmt.Errorf("%s answers %d when asked for a captcha", a.site.url, status)
	case header.Get("Captcha-Answer") == "":
		return fmt.Errorf("%s does not tell a captcha's answer for this load-test key: the gateway has another FLASHGATE_LOADTEST_KEY, or none", a.site.url)
	}
	return nil
}

func (a *asker) checkSale(ctx context.Context, sale string) error {
	status, _, body, err := a.get(ctx, "/api/sales/"+url.PathEscape(sale), nil)
	if err != nil {
		return err
	}
	var view struct{ Phase string }
	switch {
	case status == http.StatusNotFound:
		return fmt.Errorf("there is no sale %s at %s", sale, a.site.url)
	case status != http.StatusOK:
		return fmt.Errorf("%s answers %d when asked for sale %s", a.site.url, status, sale)
	case json.Unmarshal(body, &view) != nil:
		return fmt.Errorf("%s does not say whether sale %s is open", a.site.url, sale)
	}
	switch view.Phase {
	case "open":
		return nil
	case "upcoming":
		return fmt.Errorf("sale %s has not started", sale)
	case "ended":
		return fmt.Errorf("sale %s has ended or was closed", sale)
	default:
		return fmt.Errorf("%s does not say whether sale %s is open", a.site.url, sale)
	}
}

// checkSession: the file's first user is logged in at this site.
func (a *asker) checkSession(ctx context.Context, file, token string) error {
	status, _, _, err := a.get(ctx, "/api/me", http.Header{"Cookie": {a.site.properties()["cookie"] + "=" + token}})
	switch {
	case err != nil:
		return err
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s does not know the first session of %s: it is of another site, or over", a.site.url, file)
	case status != http.StatusOK:
		return fmt.Errorf("%s answers %d when asked whose the first session of %s is", a.site.url, status, file)
	}
	return nil
}

// checkUsers looks at the file of users, and gives the first one's session.
func checkUsers(file string, wanted int) (token string, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no file of users %s", file)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Scan()
	head := strings.Split(lines.Text(), ",")
	for _, column := range []string{"mobile", "user", "token"} {
		if !slices.Contains(head, column) {
			return "", fmt.Errorf("the file of users %s has not the first line mobile,user,token", file)
		}
	}
	n := 0
	for lines.Scan() {
		if lines.Text() == "" {
			continue
		}
		if fields := strings.Split(lines.Text(), ","); n == 0 && len(fields) == len(head) {
			token = fields[slices.Index(head, "token")]
		}
		n++
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	switch {
	case n == 0:
		return "", fmt.Errorf("the file of users %s has no users", file)
	case n < wanted:
		return "", fmt.Errorf("the file of users %s has %d users, and %d are to come", file, n, wanted)
	}
	return token, nil
}
