//! The driver of rskafka, which has neither groups nor idempotent producers nor configs.

use std::time::Duration;

use chrono::Utc;
use driver::{Consume, Failure, Join, Operation, Outcome, Produce, Record, Stream, numbered};
use rskafka::BackoffConfig;
use rskafka::client::error::Error;
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

const BATCH_COUNT: usize = 50;
const FETCH_BYTES: std::ops::Range<i32> = 1..1_000_000;
const REQUEST_TIMEOUT_MS: i32 = 5_000;

struct Rskafka;

fn main() {
    driver::run(Rskafka);
}

impl driver::Client for Rskafka {
    type Producer = Producer;
    type Member = NoMember;

    fn hello(&self) -> (&'static str, String) {
        ("rskafka", driver::pinned_version(include_str!("../Cargo.toml"), "rskafka"))
    }

    async fn produce(&self, command: Produce) -> Outcome<()> {
        if command.idempotent {
            return Err(Failure::unsupported());
        }
        let client = connect(&command.bootstrap).await?;
        let partitions = match command.partition {
            Some(partition) => vec![partition],
            None => partitions_of(&client, &command.topic).await?,
        };
        let numbers: Vec<usize> = (0..command.count).collect();
        // The library has no partitioner: batches go to the partitions in turn.
        for (batch, &partition) in numbers.chunks(BATCH_COUNT).zip(partitions.iter().cycle()) {
            let records = batch.iter().map(|number| record_of(numbered(&command.label, *number))).collect();
            let partition = open(&client, &command.topic, partition).await?;
            partition.produce(records, compression(&command.codec)).await.map_err(failure)?;
        }
        Ok(())
    }

    async fn consume(&self, command: Consume) -> Outcome<Vec<Record>> {
        let deadline = Instant::now() + Duration::from_millis(command.timeout_ms);
        let client = connect(&command.bootstrap).await?;
        let (found, mut records) = mpsc::channel(1);
        for partition in partitions_of(&client, &command.topic).await? {
            let partition = open(&client, &command.topic, partition).await?;
            tokio::spawn(read(partition, found.clone()));
        }
        let mut read = Vec::new();
        while read.len() < command.count {
            match timeout_at(deadline, records.recv()).await {
                Ok(found) => read.extend(found.expect("a reader")?),
                Err(_) => return Err(Failure::timeout(read.len(), command.count)),
            }
        }
        Ok(read)
    }

    async fn open_producer(&self, command: &Stream) -> Outcome<Producer> {
        // Without a deadline, as the library has it.
        let client = ClientBuilder::new(vec![command.bootstrap.clone()]).build().await.map_err(failure)?;
        Ok(Producer::new(open(&client, &command.topic, 0).await?))
    }

    async fn join(&self, _: Join) -> Outcome<NoMember> {
        Err(Failure::unsupported())
    }

    async fn admin(&self, bootstrap: &str, operation: Operation) -> Outcome<Value> {
        let client = connect(bootstrap).await?;
        let controller = client.controller_client().map_err(failure)?;
        match operation {
            Operation::CreateTopic { topic, partitions, configs } if configs.is_empty() => {
                controller.create_topic(topic, partitions, 1, REQUEST_TIMEOUT_MS).await.map_err(failure)?;
            }
            Operation::ListTopics => {
                let topics = client.list_topics().await.map_err(failure)?;
                let names: Vec<_> = topics.into_iter().map(|topic| topic.name).collect();
                return Ok(json!({"topics": names}));
            }
            Operation::DescribeTopic { topic } => {
                return Ok(json!({"partitions": partitions_of(&client, &topic).await?.len()}));
            }
            Operation::ListOffsets { topic, partition } => {
                let partition = open(&client, &topic, partition).await?;
                let earliest = partition.get_offset(OffsetAt::Earliest).await.map_err(failure)?;
                let latest = partition.get_offset(OffsetAt::Latest).await.map_err(failure)?;
                return Ok(json!({"earliest": earliest.to_string(), "latest": latest.to_string()}));
            }
            Operation::DeleteRecords { topic, partition, before } => {
                let offset = before.parse().expect("an offset");
                let partition = open(&client, &topic, partition).await?;
                partition.delete_records(offset, REQUEST_TIMEOUT_MS).await.map_err(failure)?;
            }
            Operation::DeleteTopic { topic } => {
                controller.delete_topic(topic, REQUEST_TIMEOUT_MS).await.map_err(failure)?;
            }
            _ => return Err(Failure::unsupported()),
        }
        Ok(json!({}))
    }
}

async fn connect(bootstrap: &str) -> Outcome<Client> {
    let backoff = BackoffConfig { deadline: Some(Duration::from_secs(10)), ..Default::default() };
    ClientBuilder::new(vec![bootstrap.to_owned()]).backoff_config(backoff).build().await.map_err(failure)
}

/// The library shows topics only all at once.
async fn partitions_of(client: &Client, topic: &str) -> Outcome<Vec<i32>> {
    let topics = client.list_topics().await.map_err(failure)?;
    let found = topics.into_iter().find(|found| found.name == topic);
    let found = found.ok_or_else(|| Failure::of("TopicNotListed", topic))?;
    Ok(found.partitions.into_iter().collect())
}

async fn open(client: &Client, topic: &str, partition: i32) -> Outcome<PartitionClient> {
    client.partition_client(topic, partition, UnknownTopicHandling::Error).await.map_err(failure)
}

/// Hands over what a partition has, from its beginning on, until nobody listens.
async fn read(partition: PartitionClient, found: mpsc::Sender<Outcome<Vec<Record>>>) {
    let mut next_offset = match partition.get_offset(OffsetAt::Earliest).await {
        Ok(offset) => offset,
        Err(error) => return drop(found.send(Err(failure(error))).await),
    };
    while !found.is_closed() {
        let batch = match partition.fetch_records(next_offset, FETCH_BYTES, 100).await {
            Ok((batch, _)) => batch,
            Err(error) => return drop(found.send(Err(failure(error))).await),
        };
        next_offset = batch.last().map_or(next_offset, |last| last.offset + 1);
        let records = batch.into_iter().map(|read| Record {
            partition: partition.partition(),
            offset: read.offset,
            key: text(read.record.key),
            value: text(read.record.value),
        });
        let _ = found.send(Ok(records.collect())).await;
    }
}

fn text(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8(bytes.unwrap_or_default()).expect("UTF-8")
}

fn record_of((key, value): (String, String)) -> rskafka::record::Record {
    rskafka::record::Record {
        key: Some(key.into_bytes()),
        value: Some(value.into_bytes()),
        headers: Default::default(),
        timestamp: Utc::now(),
    }
}

fn compression(codec: &str) -> Compression {
    match codec {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::NoCompression,
    }
}

fn failure(error: Error) -> Failure {
    match error {
        Error::ServerError { protocol_error, .. } => Failure::of(protocol_error, &error),
        Error::Connection(_) => Failure::of("Connection", &error),
        Error::Request(_) => Failure::of("Request", &error),
        Error::RetryFailed(_) => Failure::of("RetryFailed", &error),
        _ => Failure::of("Error", &error),
    }
}

type Sent = (rskafka::record::Record, oneshot::Sender<bool>);

/// Writes what has come while the batch before it was on its way: one at a time, so that the order stays.
struct Producer {
    queue: mpsc::UnboundedSender<Sent>,
}

impl Producer {
    fn new(partition: PartitionClient) -> Self {
        let (queue, mut queued) = mpsc::unbounded_channel::<Sent>();
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while queued.recv_many(&mut batch, BATCH_COUNT).await > 0 {
                let (records, waiters): (_, Vec<_>) = batch.drain(..).unzip();
                let outcome = partition.produce(records, Compression::NoCompression).await;
                for waiter in waiters {
                    let _ = waiter.send(outcome.is_ok());
                }
            }
        });
        Self { queue }
    }
}

impl driver::Producer for Producer {
    fn send(&self, key: String, value: String) -> impl Future<Output = bool> + Send + 'static {
        let (waiter, fate) = oneshot::channel();
        let is_queued = self.queue.send((record_of((key, value)), waiter)).is_ok();
        async move { is_queued && fate.await == Ok(true) }
    }
}

/// There are no members: `join` makes none.
enum NoMember {}

impl driver::Member for NoMember {
    async fn leave(self) -> Outcome<()> {
        match self {}
    }
}
