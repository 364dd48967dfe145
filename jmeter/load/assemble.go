package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gofrs/flock"
)

// client is the JMeter that is run.
type client struct {
	command []string // with Java's options
	version string   // empty: an installed one, which is asked only when somebody wants to know
}

var pomVersion = regexp.MustCompile(`<jmeter\.version>(.*)<`)

// findJMeter takes the installed JMeter that JMETER names, else the one of pom.xml,
// which is assembled at the first run.
func findJMeter(ctx context.Context, s settings, tmp string) (client, error) {
	if s.jmeter != "" {
		path, err := exec.LookPath(s.jmeter)
		if err != nil {
			return client{}, fmt.Errorf("there is no JMeter %q, as JMETER says", s.jmeter)
		}
		return client{command: []string{path}}, nil
	}
	if _, err := exec.LookPath("java"); err != nil {
		return client{}, errors.New("there is no java: install default-jre-headless, or set JMETER to an installed jmeter")
	}
	folder := filepath.Join(s.root, "jmeter")
	// Two runs that begin at once must not both assemble.
	lock := flock.New(filepath.Join(folder, ".assembling"))
	if err := lock.Lock(); err != nil {
		return client{}, err
	}
	defer lock.Unlock()
	jar, version, err := assembled(folder)
	if err != nil {
		if err := assemble(ctx, folder); err != nil {
			return client{}, err
		}
		if jar, version, err = assembled(folder); err != nil {
			return client{}, fmt.Errorf("no JMeter was left by Maven in jmeter/target: %w", err)
		}
	}
	// Thousands of threads wait most of their time: small stacks.
	command := append([]string{"java"}, strings.Fields(s.heap)...)
	return client{version: version,
		command: append(command, "-Xss256k", "-Djava.util.prefs.userRoot="+tmp, "-Djava.awt.headless=true", "-jar", jar)}, nil
}

// assembled finds the JMeter that Maven has laid out, if it is of the pom's version.
func assembled(folder string) (jar, version string, err error) {
	pom, err := os.ReadFile(filepath.Join(folder, "pom.xml"))
	if err != nil {
		return "", "", err
	}
	m := pomVersion.FindSubmatch(pom)
	if m == nil {
		return "", "", errors.New("pom.xml names no jmeter.version")
	}
	version = string(m[1])
	text, err := os.ReadFile(filepath.Join(folder, "target", "config.json"))
	if err != nil {
		return "", "", err
	}
	var config struct {
		Configurations []struct {
			Folder string `json:"jmeterDirectoryPath"`
			Jar    string `json:"runtimeJarName"`
		} `json:"configurations"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return "", "", err
	}
	for _, c := range config.Configurations {
		jar = filepath.Join(c.Folder, "bin", c.Jar)
		if _, err := os.Stat(jar); err == nil && c.Jar == "ApacheJMeter-"+version+".jar" {
			return jar, version, nil
		}
	}
	return "", "", fmt.Errorf("config.json names no JMeter %s that is there", version)
}

func assemble(ctx context.Context, folder string) error {
	if _, err := exec.LookPath("mvn"); err != nil {
		return errors.New("there is no mvn: install maven, or set JMETER to an installed jmeter")
	}
	fmt.Fprintln(os.Stderr, "load: assembling JMeter from Maven Central (once)")
	if err := os.RemoveAll(filepath.Join(folder, "target")); err != nil {
		return err
	}
	cmd := exec.Command("mvn", "-B", "-q", "-f", filepath.Join(folder, "pom.xml"), "jmeter:configure")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := wait(ctx, cmd); err != nil {
		return fmt.Errorf("assembling JMeter with Maven failed: %w\n%s", err, said.String())
	}
	return nil
}
