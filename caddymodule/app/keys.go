package app

import (
	"errors"
	"fmt"

	"flashgate"
	"flashgate/internal/keyfile"

	"go.uber.org/zap"
)

// openKeys says what is wrong with keys without repeating them.
func openKeys(setting string, report func(error)) (*keyfile.Source, error) {
	source, err := keyfile.Open(setting, "", report)
	e, ok := errors.AsType[*flashgate.Error](err)
	switch {
	case err == nil:
		return source, nil
	case ok && e.Err != nil:
		return nil, fmt.Errorf("keys: %w", e.Err)
	case ok:
		return nil, fmt.Errorf("keys: %s", e.Message)
	default:
		return nil, err
	}
}

// Keyring returns the signing keys as they were at most a second ago: those of a file
// change without a reload. Without the setting `keys` the first call makes the key file.
// An error is not remembered.
func (a *App) Keyring() (*flashgate.Keyring, error) {
	if s := a.keys.Load(); s != nil {
		return s.Keyring(), nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.keys.Load()
	if s == nil {
		var err error
		if s, err = keyfile.Open("", a.dataDir, a.keysChanged); err != nil {
			return nil, err
		}
		a.keys.Store(s)
	}
	return s.Keyring(), nil
}

// keysChanged says that the file of keys cannot be read any more, or can again.
func (a *App) keysChanged(err error) {
	if err == nil {
		a.logger.Info("the signing keys can be read again")
		return
	}
	a.logger.Error("the signing keys cannot be read any more, the last ones go on to hold: mend the file", zap.Error(err))
}
