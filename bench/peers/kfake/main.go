// Command kfake serves franz-go's fake cluster on 127.0.0.1 as one broker, until SIGTERM or SIGINT.
package main

import (
	"context"
	"flag"
	"log"
	"os/signal"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	port := flag.Int("port", 0, "where to listen; 0 picks a free port")
	folder := flag.String("data-dir", "", "where the data lives; in memory without it")
	flag.Parse()

	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	options := []kfake.Opt{kfake.Ports(*port)}
	if *folder != "" {
		options = append(options, kfake.DataDir(*folder))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	<-ended.Done()
}
