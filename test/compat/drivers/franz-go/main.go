// The driver of franz-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"titorelli/driver"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const deliveryTimeout = 10 * time.Second

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

type client struct{}

func main() {
	driver.Run("github.com/twmb/franz-go", client{})
}

func (client) Produce(command driver.Command) error {
	options := []kgo.Opt{
		kgo.SeedBrokers(command.Bootstrap),
		kgo.DefaultProduceTopic(command.Topic),
		kgo.ProducerBatchCompression(codecs[command.Codec]),
		kgo.ProducerLinger(20 * time.Millisecond),
		kgo.RecordDeliveryTimeout(deliveryTimeout),
	}
	if !command.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	if command.Partition != nil {
		options = append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	producer, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer producer.Close()
	records := make([]*kgo.Record, command.Count)
	for number := range records {
		records[number] = kgo.KeyStringRecord(driver.Numbered(command.Label, number))
		if command.Partition != nil {
			records[number].Partition = *command.Partition
		}
	}
	// A record that may have been written is not given up by its own timeout.
	ctx, cancel := context.WithTimeout(context.Background(), deliveryTimeout)
	defer cancel()
	return producer.ProduceSync(ctx, records...).FirstErr()
}

func (client) Consume(command driver.Command) ([]driver.Record, error) {
	consumer, err := kgo.NewClient(
		kgo.SeedBrokers(command.Bootstrap),
		kgo.ConsumeTopics(command.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(command.TimeoutMs)*time.Millisecond)
	defer cancel()
	var records []driver.Record
	for len(records) < command.Count {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("%d of %d records came: %w", len(records), command.Count, err)
		}
		fetches.EachRecord(func(record *kgo.Record) { records = append(records, describe(record)) })
	}
	return records, nil
}

func describe(record *kgo.Record) driver.Record {
	return driver.Record{
		Partition: record.Partition,
		Offset:    record.Offset,
		Key:       string(record.Key),
		Value:     string(record.Value),
	}
}

type producer struct{ *kgo.Client }

func (client) OpenProducer(command driver.Command) (driver.Producer, error) {
	opened, err := kgo.NewClient(
		kgo.SeedBrokers(command.Bootstrap),
		kgo.DefaultProduceTopic(command.Topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	return producer{opened}, err
}

func (p producer) Send(key, value string, done func(error)) {
	p.Produce(context.Background(), kgo.KeyStringRecord(key, value), func(_ *kgo.Record, err error) { done(err) })
}

func (p producer) Close() error {
	defer p.Client.Close()
	return p.Flush(context.Background())
}

func (client) ErrorName(err error) string {
	if kafka, ok := errors.AsType[*kerr.Error](err); ok {
		return kafka.Message
	}
	return ""
}
