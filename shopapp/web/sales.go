package web

import (
	"net/http"
	"time"

	"flashgate"
	"flashgate/shopapp/shop"
)

// saleBody is a sale on the wire.
type saleBody struct {
	ID         flashgate.SaleID `json:"id"`
	Goods      goodsBody        `json:"goods"`
	Price      int64            `json:"price"` // regular, minor units
	FlashPrice int64            `json:"flash_price"`
	StartsAt   string           `json:"starts_at"`
	EndsAt     string           `json:"ends_at"`
	Phase      flashgate.Phase  `json:"phase"`
	PerUser    int              `json:"per_user"`
	StockLeft  int64            `json:"stock_left"`
	SoldOut    bool             `json:"sold_out"`
	ServerTime string           `json:"server_time"`
}

type goodsBody struct {
	ID          flashgate.GoodsID `json:"id"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Image       string            `json:"image,omitempty"`
}

func (s *Server) wireSale(v shop.SaleView) saleBody {
	return saleBody{
		ID: v.Sale.ID, Price: v.Goods.Price, FlashPrice: v.Sale.FlashPrice, PerUser: v.Sale.PerUser,
		Goods:    goodsBody{ID: v.Goods.ID, Title: v.Goods.Title, Description: v.Goods.Description, Image: s.asset(v.Goods.Image)},
		StartsAt: rfc3339(v.Sale.Starts), EndsAt: rfc3339(v.Sale.Ends), Phase: v.Phase,
		StockLeft: v.StockLeft, SoldOut: v.SoldOut, ServerTime: rfc3339(v.Now),
	}
}

func (s *Server) listSales(w http.ResponseWriter, r *http.Request) error {
	views, err := s.shop.Sales(r.Context())
	if err != nil {
		return err
	}
	out := make([]saleBody, len(views))
	for i, v := range views {
		out[i] = s.wireSale(v)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"sales": out})
}

func (s *Server) getSale(w http.ResponseWriter, r *http.Request) error {
	id, err := saleOf(r)
	if err != nil {
		return err
	}
	v, err := s.shop.Sale(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.wireSale(v))
}

// saleOf reads the id in the address; one that does not parse names nothing.
func saleOf(r *http.Request) (flashgate.SaleID, error) {
	id, err := flashgate.ParseSaleID(r.PathValue("sale"))
	if err != nil {
		return "", flashgate.Errorf(flashgate.CodeNotFound, "web", "There is no such sale.")
	}
	return id, nil
}

// administrator is who is asking, if it is one. It comes before everything else: who
// may not ask learns nothing about the question.
func (s *Server) administrator(r *http.Request) (flashgate.User, error) {
	u, err := s.user(r)
	if err != nil {
		return u, err
	}
	return u, shop.MayAdminister(u)
}

func (s *Server) createSale(w http.ResponseWriter, r *http.Request) error {
	who, err := s.administrator(r)
	if err != nil {
		return err
	}
	var in struct {
		ID         flashgate.SaleID  `json:"id"`
		Goods      flashgate.GoodsID `json:"goods"`
		FlashPrice int64             `json:"flash_price"`
		Stock      int64             `json:"stock"`
		PerUser    *int              `json:"per_user"`
		StartsAt   time.Time         `json:"starts_at"`
		EndsAt     time.Time         `json:"ends_at"`
	}
	if err := decode(w, r, &in); err != nil {
		return err
	}
	sale := flashgate.Sale{ID: in.ID, Goods: in.Goods, FlashPrice: in.FlashPrice, Seeded: in.Stock, PerUser: 1, Starts: in.StartsAt, Ends: in.EndsAt}
	if in.PerUser != nil {
		sale.PerUser = *in.PerUser
	}
	v, err := s.shop.CreateSale(r.Context(), who, sale)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/sales/"+string(sale.ID))
	return writeJSON(w, http.StatusCreated, s.wireSale(v))
}

func (s *Server) changeSale(w http.ResponseWriter, r *http.Request) error {
	who, err := s.administrator(r)
	if err != nil {
		return err
	}
	id, err := saleOf(r)
	if err != nil {
		return err
	}
	var in struct {
		Open     bool       `json:"open"`
		Close    bool       `json:"close"`
		Restock  int64      `json:"restock"`
		StartsAt *time.Time `json:"starts_at"`
		EndsAt   *time.Time `json:"ends_at"`
	}
	if err := decode(w, r, &in); err != nil {
		return err
	}
	c := flashgate.SaleChange{Starts: in.StartsAt, Ends: in.EndsAt, Close: in.Close, Restock: in.Restock}
	if in.Open {
		if in.Close || in.StartsAt != nil {
			return flashgate.Invalid("web.changeSale", "open", "opens the sale now: leave close and starts_at out")
		}
		now := time.Now()
		c.Starts = &now
		if c.Ends == nil {
			day := now.Add(24 * time.Hour)
			c.Ends = &day
		}
	}
	if c == (flashgate.SaleChange{}) {
		return flashgate.Invalid("web.changeSale", "body", "must change something: open, close, restock, starts_at or ends_at")
	}
	v, err := s.shop.ChangeSale(r.Context(), who, id, c)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.wireSale(v))
}
