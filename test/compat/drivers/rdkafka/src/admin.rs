use std::collections::HashMap;

use driver::{Failure, Operation, Outcome};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::groups::GroupInfo;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::{REQUEST_TIMEOUT, create, failure, named, partitions_of};

/// Runs one operation, by clients of its own, and returns what it found.
pub async fn run(bootstrap: &str, operation: Operation) -> Outcome<Value> {
    let admin: AdminClient<DefaultClientContext> = create(&[("bootstrap.servers", bootstrap)])?;
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    match operation {
        Operation::CreateTopic { topic, partitions, configs } => {
            let mut created = NewTopic::new(&topic, partitions, TopicReplication::Fixed(-1));
            for (name, value) in &configs {
                created = created.set(name, value);
            }
            only(admin.create_topics([&created], &options).await)?;
        }
        Operation::CreatePartitions { topic, count } => {
            only(admin.create_partitions([&NewPartitions::new(&topic, count)], &options).await)?;
        }
        Operation::DescribeConfigs { topic } => {
            let resource = ResourceSpecifier::Topic(&topic);
            let described = admin.describe_configs([&resource], &options).await.map_err(failure)?;
            let described = described.into_iter().next().expect("a result").map_err(|code| named(code, topic))?;
            let entries = described.entries.into_iter().map(|entry| (entry.name, entry.value));
            return Ok(json!({"configs": entries.collect::<HashMap<_, _>>()}));
        }
        Operation::AlterConfig { topic, name, value } => {
            let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set(&name, &value);
            let altered = admin.alter_configs([&change], &options).await.map_err(failure)?;
            altered.into_iter().next().expect("a result").map_err(|(_, code)| named(code, topic))?;
        }
        Operation::DeleteRecords { topic, partition, before } => {
            let mut partitions = TopicPartitionList::new();
            let offset = Offset::Offset(before.parse().expect("an offset"));
            partitions.add_partition_offset(&topic, partition, offset).map_err(failure)?;
            let deleted = admin.delete_records(&partitions, &options).await.map_err(failure)?;
            deleted.elements()[0].error().map_err(failure)?;
        }
        Operation::DeleteGroup { group } => {
            only(admin.delete_groups(&[&group], &options).await)?;
        }
        Operation::DeleteTopic { topic } => {
            only(admin.delete_topics(&[&topic], &options).await)?;
        }
        _ => return block_in_place(|| look(bootstrap, operation)),
    }
    Ok(json!({}))
}

/// The result of an operation on one topic or group.
fn only(results: Result<Vec<Result<String, (String, RDKafkaErrorCode)>>, KafkaError>) -> Outcome<String> {
    let result = results.map_err(failure)?.into_iter().next().expect("a result");
    result.map_err(|(name, code)| named(code, name))
}

/// What the library lets consumers ask for.
fn look(bootstrap: &str, operation: Operation) -> Outcome<Value> {
    let group_id = match &operation {
        Operation::Committed { group, .. } => group,
        _ => "none", // asked for, never joined
    };
    let consumer: BaseConsumer = create(&[("bootstrap.servers", bootstrap), ("group.id", group_id)])?;
    match operation {
        Operation::ListTopics => {
            let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT).map_err(failure)?;
            let names: Vec<_> = metadata.topics().iter().map(|topic| topic.name()).collect();
            Ok(json!({"topics": names}))
        }
        Operation::DescribeTopic { topic } => Ok(json!({"partitions": partitions_of(&consumer, &topic)?.len()})),
        Operation::ListOffsets { topic, partition } => {
            let offsets = consumer.fetch_watermarks(&topic, partition, REQUEST_TIMEOUT);
            let (earliest, latest) = offsets.map_err(failure)?;
            Ok(json!({"earliest": earliest.to_string(), "latest": latest.to_string()}))
        }
        Operation::ListGroups => {
            let groups = consumer.fetch_group_list(None, REQUEST_TIMEOUT).map_err(failure)?;
            let names: Vec<_> = groups.groups().iter().map(GroupInfo::name).collect();
            Ok(json!({"groups": names}))
        }
        Operation::DescribeGroup { group } => {
            let groups = consumer.fetch_group_list(Some(&group), REQUEST_TIMEOUT).map_err(failure)?;
            let found = groups.groups().first().ok_or_else(|| Failure::of("GroupNotListed", group))?;
            Ok(json!({"state": found.state(), "members": found.members().len()}))
        }
        Operation::Committed { topic, .. } => committed(&consumer, &topic),
        Operation::DescribeCluster => {
            let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT).map_err(failure)?;
            let cluster_id = consumer.client().fetch_cluster_id(REQUEST_TIMEOUT);
            Ok(json!({"clusterId": cluster_id, "brokers": metadata.brokers().len()}))
        }
        _ => Err(Failure::unsupported()),
    }
}

fn committed(consumer: &BaseConsumer, topic: &str) -> Outcome<Value> {
    let mut partitions = TopicPartitionList::new();
    for partition in partitions_of(consumer, topic)? {
        partitions.add_partition(topic, partition);
    }
    let found = consumer.committed_offsets(partitions, REQUEST_TIMEOUT).map_err(failure)?;
    let offsets: HashMap<_, _> = found
        .elements()
        .iter()
        .filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some((element.partition().to_string(), offset.to_string())),
            _ => None,
        })
        .collect();
    Ok(json!({"offsets": offsets}))
}
