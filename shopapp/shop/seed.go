package shop

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"flashgate"
)

// The users of the seeded demo. Both have the same password.
const (
	DemoCustomer      = "13800000000"
	DemoAdministrator = "13900000000"
)

var demoGoods = []flashgate.Goods{
	{ID: "1", Title: "Aurora headphones", Description: "Over-ear headphones that keep the noise out and the bass in.", Image: "headphones.svg", Price: 19900},
	{ID: "2", Title: "Pocket projector", Description: "A cinema for the wall of any room, in the size of a soda can.", Image: "projector.svg", Price: 34900},
	{ID: "3", Title: "Travel kettle", Description: "Folds flat, boils in three minutes, works on every continent.", Image: "kettle.svg", Price: 4900},
}

// Seed fills an empty shop with the demo: three products, a sale of each, a customer
// and an administrator. On a shop that was seeded before it moves the sales to fresh
// times and keeps everything that was sold.
//
// Sale 1 is open for a day with 100 units, sale 2 opens in a minute, sale 3 has
// ended. The password is made once and kept in passwordFile, mode 0600.
func (s *Service) Seed(ctx context.Context, passwordFile string) (password string, err error) {
	for _, g := range demoGoods {
		if err := s.cfg.Goods.PutGoods(ctx, g); err != nil {
			return "", err
		}
	}
	now := time.Now()
	for _, sale := range []flashgate.Sale{
		{ID: "1", Goods: "1", FlashPrice: 9900, Seeded: 100, Starts: now, Ends: now.Add(24 * time.Hour)},
		{ID: "2", Goods: "2", FlashPrice: 14900, Seeded: 50, Starts: now.Add(time.Minute), Ends: now.Add(24 * time.Hour)},
		{ID: "3", Goods: "3", FlashPrice: 1900, Seeded: 20, Starts: now.Add(-48 * time.Hour), Ends: now.Add(-24 * time.Hour)},
	} {
		sale.PerUser = 1
		if err := s.seedSale(ctx, sale); err != nil {
			return "", err
		}
	}
	if password, err = demoPassword(passwordFile); err != nil {
		return "", &flashgate.Error{Code: flashgate.CodeUnavailable, Op: "shop.Seed", Err: err}
	}
	return password, s.seedUsers(ctx, password)
}

func (s *Service) seedSale(ctx context.Context, sale flashgate.Sale) error {
	_, err := s.cfg.Sales.Sale(ctx, sale.ID)
	if flashgate.ErrorCode(err) == flashgate.CodeNotFound {
		return s.cfg.Sales.CreateSale(ctx, sale)
	}
	if err != nil {
		return err
	}
	_, err = s.cfg.Sales.ChangeSale(ctx, sale.ID, flashgate.SaleChange{Starts: &sale.Starts, Ends: &sale.Ends})
	return err
}

func (s *Service) seedUsers(ctx context.Context, password string) error {
	for _, u := range []flashgate.User{
		{ID: "customer", Mobile: DemoCustomer, Name: "Demo customer", Role: flashgate.RoleCustomer},
		{ID: "administrator", Mobile: DemoAdministrator, Name: "Demo administrator", Role: flashgate.RoleAdministrator},
	} {
		_, err := s.cfg.Users.UserByMobile(ctx, u.Mobile)
		if err == nil {
			continue
		}
		if flashgate.ErrorCode(err) != flashgate.CodeNotFound {
			return err
		}
		if u.PasswordHash, err = s.hasher.hash(ctx, password); err != nil {
			return err
		}
		u.Created = time.Now()
		if err := s.cfg.Users.CreateUsers(ctx, []flashgate.User{u}); err != nil {
			return err
		}
	}
	return nil
}

// demoPassword reads the password, or makes it: 12 letters and digits that nobody
// mistakes for one another, 60 bits.
func demoPassword(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err == nil {
		if p := strings.TrimSpace(string(b)); len(p) >= 8 {
			return p, nil
		}
		return "", errors.New(file + " does not hold the demo's password: run make reset")
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	const alphabet = "abcdefghjkmnpqrstuvwxyz023456789"
	raw := make([]byte, 12)
	rand.Read(raw)
	for i := range raw {
		raw[i] = alphabet[int(raw[i])%len(alphabet)]
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	return string(raw), os.WriteFile(file, append(raw, '\n'), 0o600)
}
