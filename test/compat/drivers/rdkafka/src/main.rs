//! The driver of rdkafka, which is librdkafka for Rust.

mod admin;
mod member;

use std::time::{Duration, Instant};

use driver::{Consume, Failure, Join, Operation, Outcome, Produce, Record, Stream, numbered};
use member::GroupMember;
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::future_producer::OwnedDeliveryResult;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value;
use tokio::task::block_in_place;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

struct Rdkafka;

fn main() {
    driver::run(Rdkafka);
}

impl driver::Client for Rdkafka {
    type Producer = Producer;
    type Member = GroupMember;

    fn hello(&self) -> (&'static str, String) {
        let version = driver::pinned_version(include_str!("../Cargo.toml"), "rdkafka");
        ("rdkafka", format!("{version} (librdkafka {})", rdkafka::util::get_rdkafka_version().1))
    }

    async fn produce(&self, command: Produce) -> Outcome<()> {
        let idempotent = command.idempotent.to_string();
        let producer: FutureProducer = create(&[
            ("bootstrap.servers", &command.bootstrap),
            ("acks", "all"),
            ("compression.type", &command.codec),
            ("enable.idempotence", &idempotent),
            ("linger.ms", "20"),
            ("message.timeout.ms", "10000"),
        ])?;
        let mut sent = Vec::new();
        for number in 0..command.count {
            let (key, value) = numbered(&command.label, number);
            let mut record = FutureRecord::to(&command.topic).key(&key).payload(&value);
            record.partition = command.partition;
            sent.push(producer.send_result(record).map_err(|(error, _)| failure(error))?);
        }
        for delivery in sent {
            let result: OwnedDeliveryResult = delivery.await.expect("a producer that lives");
            result.map_err(|(error, _)| failure(error))?;
        }
        Ok(())
    }

    async fn consume(&self, command: Consume) -> Outcome<Vec<Record>> {
        block_in_place(|| consume(&command))
    }

    async fn open_producer(&self, command: &Stream) -> Outcome<Producer> {
        let producer = create(&[("bootstrap.servers", &command.bootstrap), ("enable.idempotence", "true")])?;
        Ok(Producer { producer, topic: command.topic.clone() })
    }

    async fn join(&self, command: Join) -> Outcome<GroupMember> {
        GroupMember::join(command)
    }

    async fn admin(&self, bootstrap: &str, operation: Operation) -> Outcome<Value> {
        admin::run(bootstrap, operation).await
    }
}

/// A client of the library with the configs given, the others as the library has them.
fn create<T: FromClientConfig>(configs: &[(&str, &str)]) -> Outcome<T> {
    let mut config = ClientConfig::new();
    config.extend(configs.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    config.create().map_err(failure)
}

fn failure(error: KafkaError) -> Failure {
    match error.rdkafka_error_code() {
        Some(code) => named(code, error),
        None => Failure::of("KafkaError", error),
    }
}

fn named(code: RDKafkaErrorCode, message: impl ToString) -> Failure {
    match code {
        RDKafkaErrorCode::InvalidTopic => Failure::of("INVALID_TOPIC_EXCEPTION", message),
        _ => Failure::of(code, message),
    }
}

fn record_of(message: &BorrowedMessage) -> Record {
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).expect("UTF-8");
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: text(message.key()),
        value: text(message.payload()),
    }
}

fn consume(command: &Consume) -> Outcome<Vec<Record>> {
    let deadline = Instant::now() + Duration::from_millis(command.timeout_ms);
    let consumer: BaseConsumer = create(&[
        ("bootstrap.servers", &command.bootstrap),
        ("group.id", "none"), // asked for, never joined
        ("enable.auto.commit", "false"),
        ("check.crcs", "true"),
    ])?;
    let mut partitions = TopicPartitionList::new();
    for partition in partitions_of(&consumer, &command.topic)? {
        partitions.add_partition_offset(&command.topic, partition, Offset::Beginning).map_err(failure)?;
    }
    consumer.assign(&partitions).map_err(failure)?;
    let mut records = Vec::new();
    while records.len() < command.count {
        match consumer.poll(deadline.saturating_duration_since(Instant::now())) {
            Some(message) => records.push(record_of(&message.map_err(failure)?)),
            None => return Err(Failure::timeout(records.len(), command.count)),
        }
    }
    Ok(records)
}

/// Asks through a consumer: the requests of a producer create the topics they name.
fn partitions_of(consumer: &BaseConsumer, topic: &str) -> Outcome<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), REQUEST_TIMEOUT).map_err(failure)?;
    let found = &metadata.topics()[0];
    match found.error() {
        Some(error) => Err(named(error.into(), topic)),
        None => Ok(found.partitions().iter().map(|partition| partition.id()).collect()),
    }
}

struct Producer {
    producer: FutureProducer,
    topic: String,
}

impl driver::Producer for Producer {
    fn send(&self, key: String, value: String) -> impl Future<Output = bool> + Send + 'static {
        let record = FutureRecord::to(&self.topic).partition(0).key(&key).payload(&value);
        let sent = self.producer.send_result(record).ok();
        let producer = self.producer.clone(); // it lives until the record's fate is known
        async move {
            let is_acknowledged = match sent {
                Some(delivery) => matches!(delivery.await, Ok(Ok(_))),
                None => false,
            };
            drop(producer);
            is_acknowledged
        }
    }
}
