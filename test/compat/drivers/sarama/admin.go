package main

import (
	"maps"
	"slices"
	"strconv"

	"titorelli/driver"

	"github.com/IBM/sarama"
)

// admin is both of what the library has for it.
type admin struct {
	sarama.ClusterAdmin
	client sarama.Client
}

func (client) Admin(command driver.Command) (driver.Found, error) {
	operation, ok := operations[command.Op]
	if !ok {
		return nil, driver.ErrUnsupported
	}
	opened, err := sarama.NewClient([]string{command.Bootstrap}, newConfig())
	if err != nil {
		return nil, err
	}
	cluster, err := sarama.NewClusterAdminFromClient(opened)
	if err != nil {
		return nil, err
	}
	defer cluster.Close()
	found, err := operation(admin{cluster, opened}, command)
	if found == nil {
		found = driver.Found{}
	}
	return found, err
}

var operations = map[string]func(admin, driver.Command) (driver.Found, error){
	"createTopic": func(admin admin, command driver.Command) (driver.Found, error) {
		configs := map[string]*string{}
		for name, value := range command.Configs {
			configs[name] = &value
		}
		detail := &sarama.TopicDetail{NumPartitions: command.Partitions, ReplicationFactor: -1, ConfigEntries: configs}
		return nil, admin.CreateTopic(command.Topic, detail, false)
	},
	"listTopics": func(admin admin, _ driver.Command) (driver.Found, error) {
		topics, err := admin.ListTopics()
		return driver.Found{"topics": sortedKeys(topics)}, err
	},
	"describeTopic": func(admin admin, command driver.Command) (driver.Found, error) {
		topics, err := admin.DescribeTopics([]string{command.Topic})
		if err != nil {
			return nil, err
		}
		if topics[0].Err != sarama.ErrNoError {
			return nil, topics[0].Err
		}
		return driver.Found{"partitions": len(topics[0].Partitions)}, nil
	},
	"createPartitions": func(admin admin, command driver.Command) (driver.Found, error) {
		return nil, admin.CreatePartitions(command.Topic, int32(command.Count), nil, false)
	},
	"deleteTopic": func(admin admin, command driver.Command) (driver.Found, error) {
		return nil, admin.DeleteTopic(command.Topic)
	},
	"describeConfigs": func(admin admin, command driver.Command) (driver.Found, error) {
		entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: command.Topic})
		configs := map[string]string{}
		for _, entry := range entries {
			configs[entry.Name] = entry.Value
		}
		return driver.Found{"configs": configs}, err
	},
	"alterConfig": func(admin admin, command driver.Command) (driver.Found, error) {
		change := sarama.IncrementalAlterConfigsEntry{
			Operation: sarama.IncrementalAlterConfigsOperationSet,
			Value:     &command.Value,
		}
		changes := map[string]sarama.IncrementalAlterConfigsEntry{command.Name: change}
		return nil, admin.IncrementalAlterConfig(sarama.TopicResource, command.Topic, changes, false)
	},
	"listOffsets": func(admin admin, command driver.Command) (driver.Found, error) {
		earliest, err := admin.client.GetOffset(command.Topic, *command.Partition, sarama.OffsetOldest)
		if err != nil {
			return nil, err
		}
		latest, err := admin.client.GetOffset(command.Topic, *command.Partition, sarama.OffsetNewest)
		return driver.Found{
			"earliest": strconv.FormatInt(earliest, 10),
			"latest":   strconv.FormatInt(latest, 10),
		}, err
	},
	"deleteRecords": func(admin admin, command driver.Command) (driver.Found, error) {
		return nil, admin.DeleteRecords(command.Topic, map[int32]int64{*command.Partition: command.Before})
	},
	"listGroups": func(admin admin, _ driver.Command) (driver.Found, error) {
		groups, err := admin.ListConsumerGroups()
		return driver.Found{"groups": sortedKeys(groups)}, err
	},
	"describeGroup": func(admin admin, command driver.Command) (driver.Found, error) {
		groups, err := admin.DescribeConsumerGroups([]string{command.Group})
		if err != nil {
			return nil, err
		}
		if groups[0].Err != sarama.ErrNoError {
			return nil, groups[0].Err
		}
		return driver.Found{"state": groups[0].State, "members": len(groups[0].Members)}, nil
	},
	"committed": func(admin admin, command driver.Command) (driver.Found, error) {
		response, err := admin.ListConsumerGroupOffsets(command.Group, nil)
		if err != nil {
			return nil, err
		}
		if response.Err != sarama.ErrNoError {
			return nil, response.Err
		}
		offsets := map[int32]string{}
		for partition, block := range response.Blocks[command.Topic] {
			offsets[partition] = strconv.FormatInt(block.Offset, 10)
		}
		return driver.Found{"offsets": offsets}, nil
	},
	"deleteGroup": func(admin admin, command driver.Command) (driver.Found, error) {
		return nil, admin.DeleteConsumerGroup(command.Group)
	},
	"describeCluster": func(admin admin, _ driver.Command) (driver.Found, error) {
		brokers, controllerID, err := admin.DescribeCluster()
		if err != nil {
			return nil, err
		}
		// Only the answer to a metadata request, sent by hand, has the cluster's id.
		broker, err := admin.client.Broker(controllerID)
		if err != nil {
			return nil, err
		}
		_ = broker.Open(admin.client.Config()) // fails where it is open already
		metadata, err := broker.GetMetadata(sarama.NewMetadataRequest(sarama.MaxVersion, []string{}))
		if err != nil {
			return nil, err
		}
		return driver.Found{"clusterId": *metadata.ClusterID, "brokers": len(brokers)}, nil
	},
}

func sortedKeys[V any](set map[string]V) []string {
	return slices.Sorted(maps.Keys(set))
}
