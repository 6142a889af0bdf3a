package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"titorelli/driver"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func (client) Admin(command driver.Command) (driver.Found, error) {
	opened, err := kgo.NewClient(kgo.SeedBrokers(command.Bootstrap))
	if err != nil {
		return nil, err
	}
	admin := kadm.NewClient(opened)
	defer admin.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	operation, ok := operations[command.Op]
	if !ok {
		return nil, driver.ErrUnsupported
	}
	found, err := operation(ctx, admin, command)
	if found == nil {
		found = driver.Found{}
	}
	return found, err
}

var operations = map[string]func(context.Context, *kadm.Client, driver.Command) (driver.Found, error){
	"createTopic": func(ctx context.Context, admin *kadm.Client, command driver.Command) (driver.Found, error) {
		configs := map[string]*string{}
		for name, value := range command.Configs {
			configs[name] = &value
		}
		_, err := admin.CreateTopic(ctx, command.Partitions, -1, configs, command.Topic)
		return nil, err
	},
	"listTopics": func(ctx context.Context, admin *kadm.Client, _ driver.Command) (driver.Found, error) {
		topics, err := admin.ListTopics(ctx)
		return driver.Found{"topics": topics.Names()}, err
	},
	"describeTopic": func(ctx context.Context, admin *kadm.Client, command driver.Command) (driver.Found, error) {
		topics, err := admin.ListTopics(ctx, command.Topic)
		return driver.Found{"partitions": len(topics[command.Topic].Partitions)}, errors.Join(err, topics.Error())
	},
	"createPartitions": func(ctx context.Context, admin *kadm.Client, command driver.Command) (driver.Found, error) {
		results, err := admin.UpdatePartitions(ctx, command.Count, command.Topic)
		return nil, errors.Join(err, results.Error())
	},
	"deleteTopic": func(ctx context.Context, admin *kadm.Client, command driver.Command) (driver.Found, error) {
		_, err := admin.DeleteTopic(ctx, command.Topic)
		return nil, err
	},
	"describeConfigs": func(ctx context.Context, admin *kadm.Client, command driver.Command) (driver.Found, error) {
		results, err := admin.DescribeTopicConfigs(ctx, command.Topic)
		configs := map[string]string{}
		for _, result := range results {
			err = errors.Join(err, result.Err)
			for _, config := range result.Configs {
				configs[config.Key] = config.MaybeValue()
			}
		}
		return driver.Found{"configs": configs}, err
	},
	"alterConfig": func(ctx context.Context, admin *kadm.Client, command driver.Command) (driver.Found, error) {
		change := kadm.AlterConfig{Op: kadm.SetConfig, Name: command.Name, Value: &command.Value}
		results, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{change}, command.Topic)
		for _, result := range results {
			err = errors.Join(err, result.Err)
		}
		return nil, err
	},
	"listOffsets": func(ctx context.Context, admin *kadm.Client, command driver.Command) (driver.Found, error) {
		earliest, startErr := admin.ListStartOffsets(ctx, command.Topic)
		latest, endErr := admin.ListEndOffsets(ctx, command.Topic)
		err := errors.Join(startErr, earliest.Error(), endErr, latest.Error())
		return driver.Found{
			"earliest": strconv.FormatInt(earliest[command.Topic][*command.Partition].Offset, 10),
			"latest":   strconv.FormatInt(latest[command.Topic][*command.Partition].Offset, 10),
		}, err
	},
	"deleteRecords": func(ctx context.Context, admin *kadm.Client, command driver.Command) (driver.Found, error) {
		before := kadm.Offsets{}
		before.AddOffset(command.Topic, *command.Partition, command.Before, -1)
		results, err := admin.DeleteRecords(ctx, before)
		return nil, errors.Join(err, results.Error())
	},
	"listGroups": func(ctx context.Context, admin *kadm.Client, _ driver.Command) (driver.Found, error) {
		groups, err := admin.ListGroups(ctx)
		return driver.Found{"groups": groups.Groups()}, err
	},
	"describeGroup": func(ctx context.Context, admin *kadm.Client, command driver.Command) (driver.Found, error) {
		groups, err := admin.DescribeGroups(ctx, command.Group)
		group := groups[command.Group]
		return driver.Found{"state": group.State, "members": len(group.Members)}, errors.Join(err, group.Err)
	},
	"committed": func(ctx context.Context, admin *kadm.Client, command driver.Command) (driver.Found, error) {
		responses, err := admin.FetchOffsets(ctx, command.Group)
		offsets := map[int32]string{}
		for partition, response := range responses[command.Topic] {
			err = errors.Join(err, response.Err)
			offsets[partition] = strconv.FormatInt(response.At, 10)
		}
		return driver.Found{"offsets": offsets}, err
	},
	"deleteGroup": func(ctx context.Context, admin *kadm.Client, command driver.Command) (driver.Found, error) {
		_, err := admin.DeleteGroup(ctx, command.Group)
		return nil, err
	},
	"describeCluster": func(ctx context.Context, admin *kadm.Client, _ driver.Command) (driver.Found, error) {
		cluster, err := admin.BrokerMetadata(ctx)
		return driver.Found{"clusterId": cluster.Cluster, "brokers": len(cluster.Brokers)}, err
	},
}
