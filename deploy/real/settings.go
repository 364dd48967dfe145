package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"flashgate/internal/keyfile"
)

// urls are the settings that name the backends.
var urls = []string{"REDIS_URL", "AMQP_URL", "MYSQL_DSN"}

// backends takes the three settings from the environment, or all three from the file
// of `make services`: never some from here and some from there.
func backends(file string) (map[string]string, error) {
	env, set := map[string]string{}, 0
	for _, name := range urls {
		if env[name] = os.Getenv(name); env[name] != "" {
			set++
		}
	}
	switch set {
	case len(urls):
		return env, nil
	case 0:
		return fromServices(file)
	default:
		return nil, fmt.Errorf("some of %s are set and some are not: set all of them, or none for the servers of `make services`", strings.Join(urls, ", "))
	}
}

// fromServices reads lines NAME=value, the value in quotes or not.
func fromServices(file string) (map[string]string, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s are not set and there is no %s: set them, or start private servers with `make services`", strings.Join(urls, ", "), file)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	env := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "export "), "=")
		if ok {
			env[name] = strings.Trim(value, `"'`)
		}
	}
	for _, name := range urls {
		if env[name] == "" {
			return nil, fmt.Errorf("%s has no line %s=…: run `make services` again", file, name)
		}
	}
	return env, lines.Err()
}

// keys takes FLASHGATE_KEYS, or makes keys once and keeps them with the data: all
// processes of this machine read the same file, also after a rotation.
func keys(data string) (string, error) {
	if text := os.Getenv("FLASHGATE_KEYS"); text != "" {
		return text, nil
	}
	data, err := filepath.Abs(data)
	if err != nil {
		return "", err
	}
	source, err := keyfile.Open("", data, nil)
	if err != nil {
		return "", err
	}
	return keyfile.Scheme + source.Path(), nil
}
