package web

import (
	"net/http"

	"flashgate"
	"flashgate/shopapp/shop"
)

// userBody is a user on the wire.
type userBody struct {
	ID     flashgate.UserID `json:"id"`
	Mobile string           `json:"mobile"`
	Name   string           `json:"name"`
	Role   flashgate.Role   `json:"role"`
}

func wireUser(u flashgate.User) userBody {
	return userBody{ID: u.ID, Mobile: u.Mobile, Name: u.Name, Role: u.Role}
}

func (s *Server) register(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Mobile   string `json:"mobile"`
		Password string `json:"password"`
		Name     string `json:"name"`
	}
	if err := decode(w, r, &in); err != nil {
		return err
	}
	l, err := s.shop.Register(r.Context(), shop.Registration{Mobile: in.Mobile, Password: in.Password, Name: in.Name}, s.address(r), s.token(r))
	if err != nil {
		return err
	}
	s.setSession(w, r, l)
	return writeJSON(w, http.StatusCreated, wireUser(l.User))
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Mobile   string `json:"mobile"`
		Password string `json:"password"`
	}
	if err := decode(w, r, &in); err != nil {
		return err
	}
	l, err := s.shop.Login(r.Context(), in.Mobile, in.Password, s.address(r), s.token(r))
	if err != nil {
		return err
	}
	s.setSession(w, r, l)
	return writeJSON(w, http.StatusOK, wireUser(l.User))
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	if err := s.shop.Logout(r.Context(), s.token(r)); err != nil {
		return err
	}
	s.clearSession(w, r)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) me(w http.ResponseWriter, r *http.Request) error {
	u, err := s.user(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, wireUser(u))
}
