// Command child passes a place and says so.
package main

import (
	"fmt"

	"flashgate/internal/failpoint"
)

func main() {
	failpoint.Hit(failpoint.Reserved)
	fmt.Println("passed", failpoint.Enabled)
}
