package main

import (
	"context"
	"errors"
	"log"
	"slices"
	"time"

	"titorelli/driver"

	"github.com/twmb/franz-go/pkg/kgo"
)

var balancers = map[string]kgo.GroupBalancer{
	"range":              kgo.RangeBalancer(),
	"roundrobin":         kgo.RoundRobinBalancer(),
	"sticky":             kgo.StickyBalancer(),
	"cooperative-sticky": kgo.CooperativeStickyBalancer(),
}

// member reads on a goroutine of its own and commits what it read after each poll; rebalances wait for that.
type member struct {
	handle, topic string
	client        *kgo.Client
	assigned      []int32 // touched only by the callbacks, which never overlap
	leave         context.CancelFunc
	ended         chan struct{}
}

func (client) Join(command driver.Command) (driver.Member, error) {
	m := &member{handle: command.Handle, topic: command.Topic, ended: make(chan struct{})}
	options := []kgo.Opt{
		kgo.SeedBrokers(command.Bootstrap),
		kgo.ConsumerGroup(command.Group),
		kgo.ConsumeTopics(command.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(balancers[command.Assignor]),
		kgo.SessionTimeout(time.Duration(command.SessionTimeoutMs) * time.Millisecond),
		kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(m.onAssigned),
		kgo.OnPartitionsRevoked(m.onRevoked),
		kgo.OnPartitionsLost(m.onRevoked),
	}
	if command.InstanceID != "" {
		options = append(options, kgo.InstanceID(command.InstanceID))
	}
	var err error
	if m.client, err = kgo.NewClient(options...); err != nil {
		return nil, err
	}
	ctx, leave := context.WithCancel(context.Background())
	m.leave = leave
	go m.read(ctx)
	return m, nil
}

func (m *member) Leave() error {
	m.leave()
	<-m.ended
	return nil
}

func (m *member) read(ctx context.Context) {
	defer close(m.ended)
	defer m.client.CloseAllowingRebalance()
	for ctx.Err() == nil {
		fetches := m.client.PollFetches(ctx)
		fetches.EachError(func(_ string, partition int32, err error) {
			if !errors.Is(err, context.Canceled) { // it is leaving
				log.Printf("%s, partition %d: %v", m.handle, partition, err)
			}
		})
		fetches.EachRecord(func(record *kgo.Record) { driver.PrintRecord(m.handle, describe(record)) })
		if err := m.client.CommitUncommittedOffsets(context.Background()); err != nil {
			log.Printf("%s, commit: %v", m.handle, err)
		}
		m.client.AllowRebalance()
	}
}

func (m *member) onAssigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	m.assigned = append(m.assigned, added[m.topic]...)
	driver.PrintAssigned(m.handle, m.assigned)
}

func (m *member) onRevoked(_ context.Context, _ *kgo.Client, removed map[string][]int32) {
	if len(removed[m.topic]) == 0 {
		return
	}
	m.assigned = slices.DeleteFunc(m.assigned, func(partition int32) bool {
		return slices.Contains(removed[m.topic], partition)
	})
	driver.PrintAssigned(m.handle, m.assigned)
}
