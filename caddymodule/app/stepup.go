package app

import "net/http"

// StepUp tells whether a request comes from somebody who has solved a captcha lately. A
// directive that knows provides it; access_limit asks.
type StepUp func(*http.Request) bool

// ProvideStepUp is called while provisioning. Whoever is asked first and says yes counts.
func (a *App) ProvideStepUp(f StepUp) {
	a.stepUpMu.Lock()
	defer a.stepUpMu.Unlock()
	a.stepUps = append(a.stepUps, f)
}

// CanStepUp reports whether any directive provides that.
func (a *App) CanStepUp() bool {
	a.stepUpMu.RLock()
	defer a.stepUpMu.RUnlock()
	return len(a.stepUps) > 0
}

// SteppedUp reports whether the request has a captcha behind it.
func (a *App) SteppedUp(r *http.Request) bool {
	a.stepUpMu.RLock()
	defer a.stepUpMu.RUnlock()
	for _, f := range a.stepUps {
		if f(r) {
			return true
		}
	}
	return false
}
