package sqlite

import "flashgate"

const (
	FreedAge     = freedAge
	MaxPositions = maxPositions
)

// AskAbout makes room for a sale's position, as somebody does who asks about it.
func (s *Store) AskAbout(sale flashgate.SaleID) { s.positions.get(sale) }
