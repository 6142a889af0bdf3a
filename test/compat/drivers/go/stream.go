package driver

import (
	"sync"
	"sync/atomic"
	"time"
)

const streamPeriod = 5 * time.Millisecond

// stream sends numbered records, one each period, until it is ended.
type stream struct {
	producer             Producer
	acknowledged, failed atomic.Int64
	stop                 chan struct{}
	sending              sync.WaitGroup
}

func startStream(producer Producer, label string) *stream {
	s := &stream{producer: producer, stop: make(chan struct{})}
	s.sending.Go(func() { s.send(label) })
	return s
}

func (s *stream) send(label string) {
	ticker := time.NewTicker(streamPeriod)
	defer ticker.Stop()
	for number := 0; ; number++ {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}
		key, value := Numbered(label, number)
		s.sending.Add(1)
		s.producer.Send(key, value, func(err error) {
			defer s.sending.Done()
			if err == nil {
				s.acknowledged.Add(1)
			} else {
				s.failed.Add(1)
			}
		})
	}
}

// end waits for all records and tells how many were acknowledged and how many failed.
func (s *stream) end() (Found, error) {
	close(s.stop)
	s.sending.Wait()
	err := s.producer.Close()
	return Found{"acknowledged": s.acknowledged.Load(), "failed": s.failed.Load()}, err
}
