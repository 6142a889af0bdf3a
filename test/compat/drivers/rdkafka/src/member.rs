use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use driver::{Failure, Join, Outcome, print_assigned, print_record};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::{ClientConfig, ClientContext};
use tokio::task::block_in_place;

use crate::{failure, record_of};

/// A member of a group on a thread of its own, which prints its assignment and what it reads, and commits by itself.
pub struct GroupMember {
    is_leaving: Arc<AtomicBool>,
    reading: thread::JoinHandle<()>,
}

impl GroupMember {
    pub fn join(command: Join) -> Outcome<Self> {
        if command.assignor == "sticky" {
            return Err(Failure::unsupported());
        }
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &command.bootstrap)
            .set("group.id", &command.group)
            .set("partition.assignment.strategy", &command.assignor)
            .set("auto.offset.reset", "earliest")
            .set("auto.commit.interval.ms", "500")
            .set("session.timeout.ms", command.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", "500");
        if let Some(id) = &command.instance_id {
            config.set("group.instance.id", id);
        }
        let context = Announcer { handle: command.handle.clone() };
        let consumer: BaseConsumer<Announcer> = config.create_with_context(context).map_err(failure)?;
        consumer.subscribe(&[&command.topic]).map_err(failure)?;
        let is_leaving = Arc::new(AtomicBool::new(false));
        let leaving = is_leaving.clone();
        let reading = thread::spawn(move || read(consumer, &command.handle, &leaving));
        Ok(Self { is_leaving, reading })
    }
}

impl driver::Member for GroupMember {
    async fn leave(self) -> Outcome<()> {
        self.is_leaving.store(true, Ordering::Relaxed);
        block_in_place(|| self.reading.join()).map_err(|_| Failure::of("Panic", "the member's thread panicked"))
    }
}

/// Dropping the consumer commits and closes it.
fn read(consumer: BaseConsumer<Announcer>, handle: &str, is_leaving: &AtomicBool) {
    while !is_leaving.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => print_record(handle, &record_of(&message)),
            Some(Err(error)) => eprintln!("{handle}: {error}"),
            None => {}
        }
    }
}

struct Announcer {
    handle: String,
}

impl ClientContext for Announcer {}

impl ConsumerContext for Announcer {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, _: &Rebalance<'_>) {
        // A consumer that is closing has none to show.
        if let Ok(assignment) = consumer.assignment() {
            print_assigned(&self.handle, assignment.elements().iter().map(|element| element.partition()).collect());
        }
    }
}
