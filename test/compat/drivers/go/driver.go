// Package driver is what the drivers of Go libraries share: commands as JSON lines on standard input, answers and
// events on standard output. A driver ends, and leaves everything as it is, when its input ends.
package driver

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
)

// ErrUnsupported is the error of a command that the library has no way to carry out.
var ErrUnsupported = errors.New("the library has no way to do it")

// Command is one line of the input. Which fields are set depends on Do.
type Command struct {
	ID int    `json:"id"`
	Do string `json:"do"`

	Bootstrap, Topic, Group, Handle, Label string

	Codec      string
	Idempotent bool
	Count      int
	Partition  *int32 // nil: the library chooses
	TimeoutMs  int

	Assignor, InstanceID string
	SessionTimeoutMs     int

	Op          string
	Partitions  int32
	Configs     map[string]string
	Name, Value string
	Before      int64 `json:",string"`
}

// Client does with a library what the commands say.
type Client interface {
	// Produce writes the numbered records of a command and returns when all of them are acknowledged.
	Produce(Command) error
	// Consume reads every partition of a topic from its beginning, without a group, until there are Count records.
	Consume(Command) ([]Record, error)
	// OpenProducer opens a producer for one stream of numbered records, idempotent, all else as the library has it.
	OpenProducer(Command) (Producer, error)
	// Join makes a member of a group, which prints what it is assigned and what it reads.
	Join(Command) (Member, error)
	// Admin runs one operation and returns what it found.
	Admin(Command) (Found, error)
	// ErrorName is Kafka's name of an error that the broker sent, or "".
	ErrorName(error) string
}

// Producer sends records of a stream, all to partition 0.
type Producer interface {
	// Send calls done once, with the fate of the record.
	Send(key, value string, done func(error))
	// Close waits for the records that are on their way.
	Close() error
}

// Member is a member of a group.
type Member interface {
	// Leave commits and closes.
	Leave() error
}

// Found is what a command answers.
type Found map[string]any

// Record is a record that was read.
type Record struct {
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Key       string `json:"key"`
	Value     string `json:"value"`
}

// Run carries out the commands of standard input, at the same time, until it ends. The library is the Go module named.
func Run(module string, client Client) {
	session := &session{module: module, client: client}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var command Command
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			panic(fmt.Errorf("%s: %w", lines.Text(), err))
		}
		go session.answer(command)
	}
}

// Numbered is the key and the value of a numbered record.
func Numbered(label string, number int) (key, value string) {
	return fmt.Sprintf("%s-%d", label, number), strings.Repeat(fmt.Sprintf("%s %d ", label, number), 40)
}

// PrintAssigned tells the whole assignment of a member.
func PrintAssigned(handle string, partitions []int32) {
	sorted := append([]int32{}, partitions...)
	slices.Sort(sorted)
	printLine(Found{"event": "assigned", "handle": handle, "partitions": sorted})
}

// PrintRecord tells a record that a member read.
func PrintRecord(handle string, record Record) {
	printLine(struct {
		Event  string `json:"event"`
		Handle string `json:"handle"`
		Record
	}{"record", handle, record})
}

// session is the life of the process: what is open, by handle.
type session struct {
	module  string
	client  Client
	streams sync.Map // of *stream
	members sync.Map // of Member
}

func (s *session) answer(command Command) {
	found, err := s.run(command)
	if err == nil {
		printLine(Found{"id": command.ID, "ok": found})
		return
	}
	printLine(Found{"id": command.ID, "error": Found{"kafka": s.errorName(err), "message": err.Error()}})
}

func (s *session) run(command Command) (Found, error) {
	switch command.Do {
	case "hello":
		return Found{"client": s.module[strings.LastIndex(s.module, "/")+1:], "version": moduleVersion(s.module)}, nil
	case "produce":
		return Found{"acknowledged": command.Count}, s.client.Produce(command)
	case "consume":
		records, err := s.client.Consume(command)
		return Found{"records": records}, err
	case "stream":
		producer, err := s.client.OpenProducer(command)
		if err == nil {
			s.streams.Store(command.Handle, startStream(producer, command.Label))
		}
		return Found{}, err
	case "endStream":
		opened, _ := s.streams.LoadAndDelete(command.Handle)
		return opened.(*stream).end()
	case "join":
		member, err := s.client.Join(command)
		if err == nil {
			s.members.Store(command.Handle, member)
		}
		return Found{}, err
	case "leave":
		member, _ := s.members.LoadAndDelete(command.Handle)
		return Found{}, member.(Member).Leave()
	case "admin":
		return s.client.Admin(command)
	}
	return nil, fmt.Errorf("%w: %s", ErrUnsupported, command.Do)
}

func (s *session) errorName(err error) string {
	if errors.Is(err, ErrUnsupported) {
		return "UNSUPPORTED"
	}
	if name := s.client.ErrorName(err); name != "" {
		return name
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return fmt.Sprintf("%T", err)
}

func moduleVersion(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			return strings.TrimPrefix(dependency.Version, "v")
		}
	}
	panic(module + " is not part of this program")
}

var printing sync.Mutex

// printLine writes one line. The lines of several goroutines never mix.
func printLine(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	printing.Lock()
	defer printing.Unlock()
	os.Stdout.Write(append(text, '\n'))
}
