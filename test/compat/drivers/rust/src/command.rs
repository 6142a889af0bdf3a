//! The commands, as they come.

use std::collections::HashMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub enum Command {
    Hello,
    Produce(Produce),
    Consume(Consume),
    Stream(Stream),
    EndStream(Opened),
    Join(Join),
    Leave(Opened),
    Admin(Admin),
}

#[derive(Deserialize)]
pub struct Produce {
    pub bootstrap: String,
    pub topic: String,
    pub codec: String,
    pub idempotent: bool,
    pub label: String,
    pub count: usize,
    /// None: the library chooses.
    pub partition: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Consume {
    pub bootstrap: String,
    pub topic: String,
    pub count: usize,
    pub timeout_ms: u64,
}

#[derive(Deserialize)]
pub struct Stream {
    pub bootstrap: String,
    pub handle: String,
    pub topic: String,
    pub label: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Join {
    pub bootstrap: String,
    pub handle: String,
    pub group: String,
    pub topic: String,
    pub assignor: String,
    pub session_timeout_ms: u32,
    pub instance_id: Option<String>,
}

/// Names a stream or a member.
#[derive(Deserialize)]
pub struct Opened {
    pub handle: String,
}

#[derive(Deserialize)]
pub struct Admin {
    pub bootstrap: String,
    #[serde(flatten)]
    pub operation: Operation,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub enum Operation {
    CreateTopic { topic: String, partitions: i32, configs: HashMap<String, String> },
    ListTopics,
    DescribeTopic { topic: String },
    CreatePartitions { topic: String, count: usize },
    DescribeConfigs { topic: String },
    AlterConfig { topic: String, name: String, value: String },
    ListOffsets { topic: String, partition: i32 },
    DeleteRecords { topic: String, partition: i32, before: String },
    ListGroups,
    DescribeGroup { group: String },
    Committed { group: String, topic: String },
    DeleteGroup { group: String },
    DeleteTopic { topic: String },
    DescribeCluster,
}
