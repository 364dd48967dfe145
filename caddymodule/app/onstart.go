package app

// OnStart is called while provisioning: f runs when the configuration starts, and not when
// it is only validated. It must return at once, and may be called again for another
// configuration that shares what it starts.
func (a *App) OnStart(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.starts = append(a.starts, f)
}

func (a *App) runStarts() {
	a.mu.Lock()
	starts := a.starts
	a.mu.Unlock()
	for _, f := range starts {
		f()
	}
}
