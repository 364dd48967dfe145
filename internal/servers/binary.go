package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Where Debian keeps what is not in every user's PATH. The RabbitMQ folder comes
// first: the command of the same name in /usr/sbin is a wrapper that changes user.
var (
	rabbitmqFolders = []string{"/usr/lib/rabbitmq/bin"}
	systemFolders   = []string{"/usr/sbin", "/usr/local/sbin"}
)

// lookUp finds a binary in first, then in PATH, then in the system's folders.
// debianPackage is named in the error when there is none.
func lookUp(name, debianPackage string, first ...string) (string, error) {
	for _, folder := range first {
		if path := filepath.Join(folder, name); executable(path) {
			return path, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, folder := range systemFolders {
		if path := filepath.Join(folder, name); executable(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("servers: %s not found; install the Debian package %s", name, debianPackage)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
