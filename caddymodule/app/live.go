package app

import (
	"slices"
	"sync"
)

// live are the apps that were started and not stopped, newest last. A reload starts
// the new app before it stops the old one, and a failed reload may stop the new one
// again: then the old one is live as before.
var live liveApps

type liveApps struct {
	mu   sync.Mutex
	apps []*App
}

func (l *liveApps) push(a *App) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.apps = append(l.apps, a)
}

func (l *liveApps) drop(a *App) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.apps = slices.DeleteFunc(l.apps, func(o *App) bool { return o == a })
}

// Live returns the app that serves requests now, or nil when none does. The admin
// routes use it: after a failed reload they belong to a configuration that never
// ran.
func Live() *App {
	live.mu.Lock()
	defer live.mu.Unlock()
	if n := len(live.apps); n > 0 {
		return live.apps[n-1]
	}
	return nil
}
