package worker

import "flashgate"

// gather decodes what was received and hands it on in batches, in the order in which it
// came. A batch goes as soon as it is taken, so one that comes to an idle worker goes
// alone and at once; while the batch before it is being decided more joins it, until a
// sale in it fills a transaction. No timer is involved.
func (r *run) gather(received <-chan []flashgate.Delivery, out chan<- *batch) {
	b := newBatch()
	var waiting []flashgate.Delivery
	var next *decoded // the first that did not fit
	var keys *flashgate.Keyring
	for {
		for next != nil || len(waiting) > 0 {
			if next == nil {
				d := decode(waiting[0], r.gate != nil, keys)
				next, waiting = &d, waiting[1:]
			}
			if !b.fits(*next, r.cfg.MaxBatch) {
				break
			}
			b.add(*next)
			next = nil
		}
		take, give := received, out
		if next != nil {
			take = nil
		}
		if len(b.deliveries) == 0 {
			give = nil
		}
		if take == nil && give == nil {
			return
		}
		select {
		case ds, ok := <-take:
			if !ok {
				received = nil
				continue
			}
			waiting = ds
			if r.cfg.Keys != nil {
				keys = r.cfg.Keys.Keyring()
			}
		case give <- b:
			b = newBatch()
		}
	}
}
