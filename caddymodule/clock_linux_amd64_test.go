package caddymodule_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// gatewayClock shifts the wall clock of a gateway process, see wrongClock.
const gatewayClock = "FLASHGATE_TEST_CLOCK"

func init() {
	if text := os.Getenv(gatewayClock); text != "" {
		if err := wrongClock(text); err != nil {
			fmt.Println("the clock:", err)
			os.Exit(1)
		}
	}
}

// wrongClock sets the wall clock of this process wrong by a duration, for good. Go asks the
// vDSO for the time, which neither LD_PRELOAD (libfaketime) nor a time namespace (it has no
// wall clock) reaches. So the process's own copy of clock_gettime is replaced: it makes the
// system call and adds whole seconds to CLOCK_REALTIME. The monotonic clock stays right, as
// that of a machine whose wall clock is wrong.
func wrongClock(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer memory.Close()
	at, err := clockGettime(memory)
	if err != nil {
		return err
	}
	code := []byte{
		0xb8, 228, 0, 0, 0, // mov eax, SYS_clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi: CLOCK_REALTIME is 0
		0x75, 0x07, // jne over the addition
		0x48, 0x81, 0x06, // add qword [rsi], …
	}
	code = binary.LittleEndian.AppendUint32(code, uint32(int32(d/time.Second)))
	code = append(code, 0xc3) // ret
	before := time.Now()
	if _, err := memory.WriteAt(code, at); err != nil {
		return err
	}
	if moved := time.Now().Round(0).Sub(before.Round(0)); (moved - d).Abs() > time.Second {
		return fmt.Errorf("moved by %v, not %v", moved, d)
	}
	if moved := time.Since(before); moved < 0 || moved > time.Second {
		return fmt.Errorf("the monotonic clock moved by %v", moved)
	}
	return nil
}

// clockGettime finds the function in this process.
func clockGettime(memory io.ReaderAt) (int64, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			continue
		}
		var from, to int64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			return 0, err
		}
		image := make([]byte, to-from)
		if _, err := memory.ReadAt(image, from); err != nil {
			return 0, err
		}
		file, err := elf.NewFile(bytes.NewReader(image))
		if err != nil {
			return 0, err
		}
		symbols, err := file.DynamicSymbols()
		if err != nil {
			return 0, err
		}
		for _, s := range symbols {
			if s.Name == "__vdso_clock_gettime" {
				return from + int64(s.Value), nil
			}
		}
	}
	return 0, errors.New("there is no clock_gettime in the vDSO")
}
