package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"flashgate"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// PutGoods writes or replaces a product.
func (s *Store) PutGoods(ctx context.Context, g flashgate.Goods) error {
	_, err := write(ctx, s, "sqlite.PutGoods", func(t *txn) (int64, error) {
		return t.exec("goods_put", g.ID, g.Title, g.Description, g.Image, g.Price)
	})
	return err
}

// Goods reads one product.
func (s *Store) Goods(ctx context.Context, id flashgate.GoodsID) (flashgate.Goods, error) {
	const op = "sqlite.Goods"
	var g flashgate.Goods
	err := s.row(ctx, "goods", id).Scan(&g.ID, &g.Title, &g.Description, &g.Image, &g.Price)
	if errors.Is(err, sql.ErrNoRows) {
		return flashgate.Goods{}, notFound(op, "product")
	}
	return g, unavailable(op, err)
}

// CreateUsers writes all or none.
func (s *Store) CreateUsers(ctx context.Context, us []flashgate.User) error {
	const op = "sqlite.CreateUsers"
	_, err := write(ctx, s, op, func(t *txn) (struct{}, error) {
		for _, u := range us {
			_, err := t.exec("user_put", u.ID, u.Mobile, u.Name, u.PasswordHash, u.Role, u.Created.UnixMilli())
			if unique(err) {
				return struct{}{}, flashgate.Errorf(flashgate.CodeMobileTaken, op, "Log in with it, or use another number.")
			}
			if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// unique reports whether a row exists already. Ids are random, so it is the mobile
// number.
func unique(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// User reads one user by id.
func (s *Store) User(ctx context.Context, id flashgate.UserID) (flashgate.User, error) {
	return s.user(ctx, "sqlite.User", "user", string(id))
}

// UserByMobile reads one user by mobile number.
func (s *Store) UserByMobile(ctx context.Context, mobile string) (flashgate.User, error) {
	return s.user(ctx, "sqlite.UserByMobile", "user_by_mobile", mobile)
}

func (s *Store) user(ctx context.Context, op, name, key string) (flashgate.User, error) {
	var u flashgate.User
	var created int64
	err := s.row(ctx, name, key).Scan(&u.ID, &u.Mobile, &u.Name, &u.PasswordHash, &u.Role, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return flashgate.User{}, notFound(op, "user")
	}
	u.Created = toTime(created)
	return u, unavailable(op, err)
}

var (
	_ flashgate.GoodsStore = (*Store)(nil)
	_ flashgate.UserStore  = (*Store)(nil)
	_ flashgate.Checker    = (*Store)(nil)
)
