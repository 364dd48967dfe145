package mysql

import (
	"context"
	"database/sql"
	"errors"

	"flashgate"
)

// PutGoods writes or replaces a product.
func (s *Store) PutGoods(ctx context.Context, g flashgate.Goods) error {
	_, err := write(ctx, s, "mysql.PutGoods", repeatable, func(t *txn) (int64, error) {
		return t.exec(query("goods_put"), g.ID, g.Title, g.Description, g.Image, g.Price)
	})
	return err
}

// Goods reads one product.
func (s *Store) Goods(ctx context.Context, id flashgate.GoodsID) (flashgate.Goods, error) {
	const op = "mysql.Goods"
	var g flashgate.Goods
	err := s.db.QueryRowContext(ctx, query("goods"), id).Scan(&g.ID, &g.Title, &g.Description, &g.Image, &g.Price)
	if errors.Is(err, sql.ErrNoRows) || err == nil && g.ID != id {
		return flashgate.Goods{}, notFound(op, "product")
	}
	return g, failure(op, err)
}

// CreateUsers writes all or none.
func (s *Store) CreateUsers(ctx context.Context, us []flashgate.User) error {
	const op = "mysql.CreateUsers"
	rows := make([][]any, len(us))
	for i, u := range us {
		rows[i] = []any{u.ID, u.Mobile, u.Name, u.PasswordHash, u.Role, u.Created.UnixMilli()}
	}
	_, err := write(ctx, s, op, onlyOnce, func(t *txn) (struct{}, error) {
		err := t.insert("users_put", rows)
		if duplicate(err) { // ids are random, so it is the mobile number
			err = flashgate.Errorf(flashgate.CodeMobileTaken, op, "Log in with it, or use another number.")
		}
		return struct{}{}, err
	})
	return err
}

// User reads one user by id.
func (s *Store) User(ctx context.Context, id flashgate.UserID) (flashgate.User, error) {
	return s.user(ctx, "mysql.User", "user", string(id))
}

// UserByMobile reads one user by mobile number.
func (s *Store) UserByMobile(ctx context.Context, mobile string) (flashgate.User, error) {
	return s.user(ctx, "mysql.UserByMobile", "user_by_mobile", mobile)
}

func (s *Store) user(ctx context.Context, op, name, key string) (flashgate.User, error) {
	var u flashgate.User
	var created int64
	err := s.db.QueryRowContext(ctx, query(name), key).Scan(&u.ID, &u.Mobile, &u.Name, &u.PasswordHash, &u.Role, &created)
	// The server passes over blanks at the end when it compares (PAD SPACE).
	if errors.Is(err, sql.ErrNoRows) || err == nil && key != string(u.ID) && key != u.Mobile {
		return flashgate.User{}, notFound(op, "user")
	}
	u.Created = toTime(created)
	return u, failure(op, err)
}

var (
	_ flashgate.GoodsStore = (*Store)(nil)
	_ flashgate.UserStore  = (*Store)(nil)
)
