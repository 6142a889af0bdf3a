package main

import (
	"context"
	"errors"
	"log"
	"slices"
	"sync"
	"time"

	"titorelli/driver"

	"github.com/IBM/sarama"
)

var strategies = map[string]func() sarama.BalanceStrategy{
	"range":              sarama.NewBalanceStrategyRange,
	"roundrobin":         sarama.NewBalanceStrategyRoundRobin,
	"sticky":             sarama.NewBalanceStrategySticky,
	"cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky,
}

// member is the handler of its sessions; the library commits by itself.
type member struct {
	handle, topic string
	group         sarama.ConsumerGroup
	leave         context.CancelFunc
	ended         chan struct{}

	holding sync.Mutex
	held    []int32
}

func (client) Join(command driver.Command) (driver.Member, error) {
	config := newConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Interval = 500 * time.Millisecond
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategies[command.Assignor]()}
	config.Consumer.Group.Session.Timeout = time.Duration(command.SessionTimeoutMs) * time.Millisecond
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	config.Consumer.Group.InstanceId = command.InstanceID
	group, err := sarama.NewConsumerGroup([]string{command.Bootstrap}, command.Group, config)
	if err != nil {
		return nil, err
	}
	ctx, leave := context.WithCancel(context.Background())
	m := &member{handle: command.Handle, topic: command.Topic, group: group, leave: leave, ended: make(chan struct{})}
	go m.read(ctx)
	return m, nil
}

func (m *member) Leave() error {
	m.leave()
	<-m.ended
	return m.group.Close()
}

// read has one session after the other. One that could not begin, or that broke, is tried again soon.
func (m *member) read(ctx context.Context) {
	defer close(m.ended)
	for ctx.Err() == nil {
		err := m.group.Consume(ctx, []string{m.topic}, m)
		if err != nil && !errors.Is(err, context.Canceled) {
			log.Printf("%s: %v", m.handle, err)
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// Setup tells what a session begins with. A cooperative session goes on through rebalances: then claims come and go.
func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.setHeld(func([]int32) []int32 { return slices.Clone(session.Claims()[m.topic]) })
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	if !m.holds(claim.Partition()) {
		m.setHeld(func(held []int32) []int32 { return append(held, claim.Partition()) })
	}
	for message := range claim.Messages() {
		driver.PrintRecord(m.handle, describe(message))
		session.MarkMessage(message, "")
	}
	if session.Context().Err() == nil { // only this claim ended
		m.setHeld(func(held []int32) []int32 {
			return slices.DeleteFunc(held, func(partition int32) bool { return partition == claim.Partition() })
		})
	}
	return nil
}

func (m *member) holds(partition int32) bool {
	m.holding.Lock()
	defer m.holding.Unlock()
	return slices.Contains(m.held, partition)
}

func (m *member) setHeld(change func([]int32) []int32) {
	m.holding.Lock()
	defer m.holding.Unlock()
	m.held = change(m.held)
	driver.PrintAssigned(m.handle, m.held)
}
