package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"flashgate/shopapp/backend"
	"flashgate/shopapp/shop"

	"go.uber.org/zap"
)

// open opens the backends and the shop on them.
func open(log *zap.Logger) (*backend.Backend, *shop.Service, error) {
	b, err := backend.Open(os.Getenv)
	if err != nil {
		return nil, nil, err
	}
	report := func(err error) {
		if err != nil {
			log.Error("the signing keys cannot be read any more, the last ones go on to hold: mend the file", zap.Error(err))
		} else {
			log.Info("the signing keys can be read again")
		}
	}
	if b.Config.Keys, err = b.Keys(report); err != nil {
		return nil, nil, errors.Join(err, b.Close())
	}
	service, err := shop.New(b.Config)
	if err != nil {
		return nil, nil, errors.Join(err, b.Close())
	}
	return b, service, nil
}

// seed fills the shop with the demo and prints its password.
func seed(ctx context.Context) (err error) {
	b, service, err := open(zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := b.Migrate(ctx); err != nil {
		return err
	}
	password, err := service.Seed(ctx, filepath.Join(b.Data, "password"))
	if err != nil {
		return err
	}
	_, err = fmt.Println("password:", password)
	return err
}
