package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"

	"flashgate"
	"flashgate/shopapp/shop"
)

//go:embed templates/*.html static/*
var content embed.FS

// assetVersion is a hash over all static files. It is part of their addresses, so
// they may be cached for ever, and the modules' relative imports stay within one
// version.
var assetVersion = func() string {
	h := sha256.New()
	err := fs.WalkDir(content, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := content.ReadFile(name)
		h.Write([]byte(name))
		h.Write(b)
		return err
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}()

// asset is the address of a static file; empty for none.
func (s *Server) asset(name string) string {
	if name == "" {
		return ""
	}
	return "/static/" + assetVersion + "/" + path.Base(name)
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"asset": (*Server)(nil).asset,
	"money": func(minor int64) string { return fmt.Sprintf("%d.%02d", minor/100, minor%100) },
	"time":  rfc3339,
}).ParseFS(content, "templates/*.html"))

// pageRoutes are the pages. Those of products carry nothing personal and may be
// cached by anybody; the others are shells that the script fills.
func (s *Server) pageRoutes(mux *http.ServeMux) error {
	mux.Handle("GET /{$}", s.handle(s.homePage))
	mux.Handle("GET /goods/{id}", s.handle(s.goodsPage))
	for pattern, p := range map[string]page{
		"GET /login":       {Template: "login.html", Title: "Log in"},
		"GET /register":    {Template: "register.html", Title: "Create an account"},
		"GET /orders":      {Template: "orders.html", Title: "Your orders"},
		"GET /orders/{id}": {Template: "order.html", Title: "Your order"},
		"GET /admin":       {Template: "admin.html", Title: "Administration"},
	} {
		mux.Handle(pattern, s.handle(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Cache-Control", "no-store")
			return s.render(w, http.StatusOK, p)
		}))
	}
	files, err := fs.Sub(content, "static")
	if err != nil {
		return err
	}
	mux.Handle("GET /static/{version}/{file}", s.handle(func(w http.ResponseWriter, r *http.Request) error {
		name := r.PathValue("file")
		if _, err := fs.Stat(files, name); err != nil || r.PathValue("version") != assetVersion {
			return flashgate.Errorf(flashgate.CodeNotFound, "web", "There is no such file.")
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		http.ServeFileFS(w, r, files, name)
		return nil
	}))
	mux.Handle("/", s.handle(func(http.ResponseWriter, *http.Request) error {
		return flashgate.Errorf(flashgate.CodeNotFound, "web", "There is no such page.")
	}))
	return nil
}

// page is what a template gets.
type page struct {
	Template string
	Title    string
	Sales    []shop.SaleView
	View     shop.SaleView
	Message  string
	Status   int
}

// productCaching lets caches keep a product page for a moment: the countdown and the
// stock come by script, so the page changes only when the product does.
const productCaching = "public, max-age=2"

func (s *Server) homePage(w http.ResponseWriter, r *http.Request) error {
	views, err := s.shop.Sales(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", productCaching)
	return s.render(w, http.StatusOK, page{Template: "home.html", Title: "Flash sales", Sales: views})
}

func (s *Server) goodsPage(w http.ResponseWriter, r *http.Request) error {
	v, err := s.shop.SaleOfGoods(r.Context(), flashgate.GoodsID(r.PathValue("id")))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", productCaching)
	return s.render(w, http.StatusOK, page{Template: "goods.html", Title: v.Goods.Title, View: v})
}

// render writes a page only when all of it could be made.
func (s *Server) render(w http.ResponseWriter, status int, p page) error {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, p.Template, p); err != nil {
		return &flashgate.Error{Code: flashgate.CodeInternal, Op: "web.render", Err: err}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that went away is its own business
	return nil
}

// errorPage tells a visitor what happened, in public words only.
func (s *Server) errorPage(w http.ResponseWriter, err error) {
	info := flashgate.Info(flashgate.ErrorCode(err))
	message := ""
	if e, ok := errors.AsType[*flashgate.Error](err); ok {
		message = e.Message
	}
	w.Header().Set("Cache-Control", "no-store")
	if rerr := s.render(w, info.Status, page{Template: "error.html", Title: info.Title, Message: message, Status: info.Status}); rerr != nil {
		http.Error(w, info.Title, info.Status)
	}
}
