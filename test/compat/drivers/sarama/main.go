// The driver of sarama.
package main

import (
	"errors"
	"fmt"
	"time"

	"titorelli/driver"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
)

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

type client struct{}

func main() {
	driver.Run("github.com/IBM/sarama", client{})
}

// newConfig lets the library speak the newest versions that it knows.
func newConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	return config
}

func newProducerConfig(idempotent bool) *sarama.Config {
	config := newConfig()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = idempotent
	config.Producer.Return.Successes = true
	if idempotent {
		config.Net.MaxOpenRequests = 1 // the library asks for it
	}
	return config
}

func newMessage(command driver.Command, key, value string) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{
		Topic: command.Topic,
		Key:   sarama.StringEncoder(key),
		Value: sarama.StringEncoder(value),
	}
}

func (client) Produce(command driver.Command) error {
	config := newProducerConfig(command.Idempotent)
	config.Producer.Compression = codecs[command.Codec]
	config.Producer.Flush.Frequency = 20 * time.Millisecond
	if command.Partition != nil {
		config.Producer.Partitioner = sarama.NewManualPartitioner
	}
	producer, err := sarama.NewSyncProducer([]string{command.Bootstrap}, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	messages := make([]*sarama.ProducerMessage, command.Count)
	for number := range messages {
		key, value := driver.Numbered(command.Label, number)
		messages[number] = newMessage(command, key, value)
		if command.Partition != nil {
			messages[number].Partition = *command.Partition
		}
	}
	err = producer.SendMessages(messages)
	if failed, ok := errors.AsType[sarama.ProducerErrors](err); ok {
		return failed[0]
	}
	return err
}

func (client) Consume(command driver.Command) ([]driver.Record, error) {
	consumer, err := sarama.NewConsumer([]string{command.Bootstrap}, newConfig())
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partitions, err := consumer.Partitions(command.Topic)
	if err != nil {
		return nil, err
	}
	messages := make(chan *sarama.ConsumerMessage)
	done := make(chan struct{})
	defer close(done)
	for _, partition := range partitions {
		reader, err := consumer.ConsumePartition(command.Topic, partition, sarama.OffsetOldest)
		if err != nil {
			return nil, err
		}
		defer reader.AsyncClose()
		go forward(reader, messages, done)
	}
	tooLate := time.After(time.Duration(command.TimeoutMs) * time.Millisecond)
	var records []driver.Record
	for len(records) < command.Count {
		select {
		case message := <-messages:
			records = append(records, describe(message))
		case <-tooLate:
			return nil, fmt.Errorf("%d of %d records came", len(records), command.Count)
		}
	}
	return records, nil
}

func forward(reader sarama.PartitionConsumer, messages chan<- *sarama.ConsumerMessage, done <-chan struct{}) {
	for message := range reader.Messages() {
		select {
		case messages <- message:
		case <-done: // what comes until the reader has closed is dropped
		}
	}
}

func describe(message *sarama.ConsumerMessage) driver.Record {
	return driver.Record{
		Partition: message.Partition,
		Offset:    message.Offset,
		Key:       string(message.Key),
		Value:     string(message.Value),
	}
}

// producer hands the fate of each message to the function in the message's Metadata.
type producer struct {
	sarama.AsyncProducer
	command driver.Command
}

func (client) OpenProducer(command driver.Command) (driver.Producer, error) {
	config := newProducerConfig(true)
	config.Producer.Partitioner = sarama.NewManualPartitioner
	opened, err := sarama.NewAsyncProducer([]string{command.Bootstrap}, config)
	if err != nil {
		return nil, err
	}
	go func() {
		for message := range opened.Successes() {
			message.Metadata.(func(error))(nil)
		}
	}()
	go func() {
		for failed := range opened.Errors() {
			failed.Msg.Metadata.(func(error))(failed.Err)
		}
	}()
	return producer{opened, command}, nil
}

func (p producer) Send(key, value string, done func(error)) {
	message := newMessage(p.command, key, value)
	message.Metadata = done
	p.Input() <- message
}

// Close has nothing to wait for: the stream has heard of each of its records.
func (p producer) Close() error {
	p.AsyncClose()
	return nil
}

// ErrorName takes Kafka's names from franz-go: sarama has sentences only.
func (client) ErrorName(err error) string {
	if code, ok := errors.AsType[sarama.KError](err); ok {
		return kerr.TypedErrorForCode(int16(code)).Message
	}
	return ""
}
