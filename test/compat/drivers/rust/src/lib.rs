//! What the drivers of Rust libraries share: commands as JSON lines on standard input, answers and events on standard
//! output. A driver ends, and leaves everything as it is, when its input ends.

mod command;
mod stream;

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex};

pub use command::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stream::NumberStream;
use tokio::io::{AsyncBufReadExt, BufReader};

/// Why a command could not be carried out.
pub struct Failure {
    /// Kafka's name of the error, or the library's own.
    pub kafka: String,
    pub message: String,
}

impl Failure {
    /// A failure that has a variant of the library's error type for its name.
    pub fn of(variant: impl Debug, message: impl ToString) -> Self {
        Self { kafka: kafka_name(&format!("{variant:?}")), message: message.to_string() }
    }

    /// The library has no way to do it.
    pub fn unsupported() -> Self {
        Self::of("UNSUPPORTED", "the library has no way to do it")
    }

    pub fn timeout(come: usize, count: usize) -> Self {
        Self::of("TIMEOUT", format!("{come} of {count} records came"))
    }
}

pub type Outcome<T> = Result<T, Failure>;

/// Does with a library what the commands say.
pub trait Client: Send + Sync + 'static {
    type Producer: Producer;
    type Member: Member;

    /// The name and the version of the library.
    fn hello(&self) -> (&'static str, String);
    /// Writes the numbered records of a command and returns when all of them are acknowledged.
    fn produce(&self, command: Produce) -> impl Future<Output = Outcome<()>> + Send;
    /// Reads every partition from its beginning, without a group, until there are `count` records.
    fn consume(&self, command: Consume) -> impl Future<Output = Outcome<Vec<Record>>> + Send;
    /// Opens a producer for a stream, idempotent where the library can, all else as the library has it.
    fn open_producer(&self, command: &Stream) -> impl Future<Output = Outcome<Self::Producer>> + Send;
    /// Makes a member of a group, which prints what it is assigned and what it reads.
    fn join(&self, command: Join) -> impl Future<Output = Outcome<Self::Member>> + Send;
    /// Runs one operation and returns what it found.
    fn admin(&self, bootstrap: &str, operation: Operation) -> impl Future<Output = Outcome<Value>> + Send;
}

/// Sends records of a stream, all to partition 0, in the order of the calls.
pub trait Producer: Send + 'static {
    /// What it returns tells whether the record was acknowledged.
    fn send(&self, key: String, value: String) -> impl Future<Output = bool> + Send + 'static;
}

/// A member of a group.
pub trait Member: Send + 'static {
    /// Commits and closes.
    fn leave(self) -> impl Future<Output = Outcome<()>> + Send;
}

/// A record that was read.
#[derive(Serialize)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub value: String,
}

/// Carries out the commands of standard input, at the same time, until it ends.
pub fn run(client: impl Client) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let session = Arc::new(Session { client, streams: Mutex::default(), members: Mutex::default() });
    runtime.block_on(async {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = lines.next_line().await.expect("standard input") {
            let request: Request = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let session = session.clone();
            tokio::spawn(async move {
                match session.answer(request.command).await {
                    Ok(found) => print(&json!({"id": request.id, "ok": found})),
                    Err(Failure { kafka, message }) => {
                        print(&json!({"id": request.id, "error": {"kafka": kafka, "message": message}}));
                    }
                }
            });
        }
    });
    std::process::exit(0);
}

/// The key and the value of a numbered record.
pub fn numbered(label: &str, number: usize) -> (String, String) {
    (format!("{label}-{number}"), format!("{label} {number} ").repeat(40))
}

/// Tells the whole assignment of a member.
pub fn print_assigned(handle: &str, mut partitions: Vec<i32>) {
    partitions.sort_unstable();
    print(&json!({"event": "assigned", "handle": handle, "partitions": partitions}));
}

/// Tells a record that a member read.
pub fn print_record(handle: &str, record: &Record) {
    #[derive(Serialize)]
    struct Event<'a> {
        event: &'static str,
        handle: &'a str,
        #[serde(flatten)]
        record: &'a Record,
    }
    print(&Event { event: "record", handle, record });
}

/// The version that a driver's manifest pins its library to.
pub fn pinned_version(manifest: &str, library: &str) -> String {
    let pin = manifest.lines().find(|line| line.starts_with(&format!("{library} = "))).expect("a dependency");
    let version = pin.split_once("\"=").expect("an exact version").1;
    version[..version.find('"').expect("its end")].to_owned()
}

#[derive(Deserialize)]
struct Request {
    id: u64,
    #[serde(flatten)]
    command: Command,
}

/// The life of the process: what is open, by handle.
struct Session<C: Client> {
    client: C,
    streams: Mutex<HashMap<String, NumberStream>>,
    members: Mutex<HashMap<String, C::Member>>,
}

impl<C: Client> Session<C> {
    async fn answer(&self, command: Command) -> Outcome<Value> {
        match command {
            Command::Hello => {
                let (client, version) = self.client.hello();
                Ok(json!({"client": client, "version": version}))
            }
            Command::Produce(command) => {
                let count = command.count;
                self.client.produce(command).await?;
                Ok(json!({"acknowledged": count}))
            }
            Command::Consume(command) => Ok(json!({"records": self.client.consume(command).await?})),
            Command::Stream(command) => {
                let producer = self.client.open_producer(&command).await?;
                let stream = NumberStream::start(producer, command.label);
                self.streams.lock().unwrap().insert(command.handle, stream);
                Ok(json!({}))
            }
            Command::EndStream(Opened { handle }) => {
                let stream = self.streams.lock().unwrap().remove(&handle).expect("an open stream");
                let (acknowledged, failed) = stream.end().await;
                Ok(json!({"acknowledged": acknowledged, "failed": failed}))
            }
            Command::Join(command) => {
                let handle = command.handle.clone();
                let member = self.client.join(command).await?;
                self.members.lock().unwrap().insert(handle, member);
                Ok(json!({}))
            }
            Command::Leave(Opened { handle }) => {
                let member = self.members.lock().unwrap().remove(&handle).expect("a member");
                member.leave().await?;
                Ok(json!({}))
            }
            Command::Admin(Admin { bootstrap, operation }) => self.client.admin(&bootstrap, operation).await,
        }
    }
}

fn print(line: &impl Serialize) {
    println!("{}", serde_json::to_string(line).expect("JSON"));
}

/// `PolicyViolation` is POLICY_VIOLATION; what is written so already stays.
fn kafka_name(variant: &str) -> String {
    let name = variant.trim_matches('"');
    if name == name.to_uppercase() {
        return name.to_owned();
    }
    let spaced = name.char_indices().map(|(at, letter)| match letter {
        'A'..='Z' if at > 0 => format!("_{letter}"),
        _ => letter.to_ascii_uppercase().to_string(),
    });
    spaced.collect()
}
