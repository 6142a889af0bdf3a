"""The driver of confluent-kafka: librdkafka in Python. Every command runs in a thread of its own."""

import json
import sys
import threading
import time

import confluent_kafka
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

output_lock = threading.Lock()
streams = {}
members = {}


def tell(line):
    with output_lock:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def value_of(label, number):
    return f"{label} {number} " * 40


def record_of(message):
    return {
        "partition": message.partition(),
        "offset": message.offset(),
        "key": message.key().decode(),
        "value": message.value().decode(),
    }


class Deliveries:
    """Counts what was delivered, and keeps the first error."""

    def __init__(self):
        self.acknowledged = 0
        self.failed = 0
        self.error = None

    def report(self, error, _):
        if error is None:
            self.acknowledged += 1
        else:
            self.failed += 1
            self.error = self.error or error


def hello(_):
    return {"client": "confluent-kafka", "version": f"{confluent_kafka.version()} (librdkafka {confluent_kafka.libversion()[0]})"}


def produce(command):
    producer = Producer(
        {
            "bootstrap.servers": command["bootstrap"],
            "enable.idempotence": command["idempotent"],
            "acks": "all",
            "compression.type": command["codec"],
            "linger.ms": 20,
            "message.timeout.ms": 10000,
        }
    )
    deliveries = Deliveries()
    partition = {"partition": command["partition"]} if "partition" in command else {}
    for number in range(command["count"]):
        key = f"{command['label']}-{number}"
        value = value_of(command["label"], number)
        producer.produce(command["topic"], value, key, on_delivery=deliveries.report, **partition)
    producer.flush(20)
    if deliveries.error is not None:
        raise KafkaException(deliveries.error)
    return {"acknowledged": deliveries.acknowledged}


def partitions_of(client, topic):
    described = client.list_topics(topic, timeout=10).topics[topic]
    if described.error is not None:
        raise KafkaException(described.error)
    return sorted(described.partitions)


def consume(command):
    config = {"bootstrap.servers": command["bootstrap"], "group.id": "never-joined", "enable.auto.commit": False, "check.crcs": True}
    consumer = Consumer(config)
    try:
        topic = command["topic"]
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions_of(consumer, topic)])
        records = []
        until = time.monotonic() + command["timeoutMs"] / 1000
        while len(records) < command["count"]:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(records)} of {command['count']} records came")
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            records.append(record_of(message))
        return {"records": records}
    finally:
        consumer.close()


def stream(command):
    producer = Producer({"bootstrap.servers": command["bootstrap"], "enable.idempotence": True, "linger.ms": 5})
    deliveries = Deliveries()
    stopped = threading.Event()

    def run():
        number = 0
        while not stopped.is_set():
            label = command["label"]
            key = f"{label}-{number}"
            producer.produce(command["topic"], value_of(label, number), key, partition=0, on_delivery=deliveries.report)
            number += 1
            producer.poll(0)
            stopped.wait(0.005)

    thread = threading.Thread(target=run)
    thread.start()
    streams[command["handle"]] = (producer, deliveries, stopped, thread)
    return {}


def end_stream(command):
    producer, deliveries, stopped, thread = streams.pop(command["handle"])
    stopped.set()
    thread.join()
    producer.flush(30)
    return {"acknowledged": deliveries.acknowledged, "failed": deliveries.failed + len(producer)}


def join(command):
    handle = command["handle"]
    config = {
        "bootstrap.servers": command["bootstrap"],
        "group.id": command["group"],
        "auto.offset.reset": "earliest",
        "session.timeout.ms": command["sessionTimeoutMs"],
        "heartbeat.interval.ms": 1000,
        "auto.commit.interval.ms": 500,
        "check.crcs": True,
        "partition.assignment.strategy": command["assignor"],
    }
    if "instanceId" in command:
        config["group.instance.id"] = command["instanceId"]
    if command["assignor"] == "sticky":
        raise NotImplementedError("librdkafka has no eager sticky assignor")
    consumer = Consumer(config)
    stopped = threading.Event()
    owned = set()

    def tell_owned():
        tell({"event": "assigned", "handle": handle, "partitions": sorted(owned)})

    def on_assign(_, partitions):
        owned.update(one.partition for one in partitions)
        tell_owned()

    def on_revoke(_, partitions):
        owned.difference_update(one.partition for one in partitions)
        tell_owned()

    def run():
        while not stopped.is_set():
            message = consumer.poll(0.1)
            if message is None:
                continue
            if message.error():
                print(message.error(), file=sys.stderr, flush=True)
                continue
            tell({"event": "record", "handle": handle, **record_of(message)})
        consumer.close()

    consumer.subscribe([command["topic"]], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_revoke)
    thread = threading.Thread(target=run)
    thread.start()
    members[handle] = (stopped, thread)
    return {}


def leave(command):
    stopped, thread = members.pop(command["handle"])
    stopped.set()
    thread.join()
    return {}


def only(futures):
    """The result of the only one of several operations."""
    (future,) = futures.values()
    return future.result(timeout=20)


def create_topic(admin, command):
    topic = NewTopic(command["topic"], command["partitions"], config=command["configs"])
    only(admin.create_topics([topic]))


def list_topics(admin, _):
    return {"topics": list(admin.list_topics(timeout=10).topics)}


def describe_topic(admin, command):
    return {"partitions": len(partitions_of(admin, command["topic"]))}


def create_partitions(admin, command):
    only(admin.create_partitions([NewPartitions(command["topic"], command["count"])]))


def resource_of(command, **options):
    return ConfigResource(ConfigResource.Type.TOPIC, command["topic"], **options)


def describe_configs(admin, command):
    entries = only(admin.describe_configs([resource_of(command)]))
    return {"configs": {name: entry.value for name, entry in entries.items()}}


def alter_config(admin, command):
    entry = ConfigEntry(command["name"], command["value"], incremental_operation=AlterConfigOpType.SET)
    only(admin.incremental_alter_configs([resource_of(command, incremental_configs=[entry])]))


def list_offsets(admin, command):
    partition = TopicPartition(command["topic"], command["partition"])
    earliest = only(admin.list_offsets({partition: OffsetSpec.earliest()}))
    latest = only(admin.list_offsets({partition: OffsetSpec.latest()}))
    return {"earliest": str(earliest.offset), "latest": str(latest.offset)}


def delete_records(admin, command):
    only(admin.delete_records([TopicPartition(command["topic"], command["partition"], int(command["before"]))]))


def list_groups(admin, _):
    return {"groups": [group.group_id for group in admin.list_consumer_groups().result(timeout=20).valid]}


def describe_group(admin, command):
    group = only(admin.describe_consumer_groups([command["group"]]))
    return {"state": group.state.name, "members": len(group.members)}


def committed(admin, command):
    request = confluent_kafka.ConsumerGroupTopicPartitions(command["group"])
    found = only(admin.list_consumer_group_offsets([request])).topic_partitions
    offsets = {str(one.partition): str(one.offset) for one in found if one.topic == command["topic"] and one.offset >= 0}
    return {"offsets": offsets}


def delete_group(admin, command):
    only(admin.delete_consumer_groups([command["group"]]))


def delete_topic(admin, command):
    only(admin.delete_topics([command["topic"]]))


def describe_cluster(admin, _):
    cluster = admin.describe_cluster().result(timeout=20)
    return {"clusterId": cluster.cluster_id, "brokers": len(cluster.nodes)}


operations = {
    "createTopic": create_topic,
    "listTopics": list_topics,
    "describeTopic": describe_topic,
    "createPartitions": create_partitions,
    "describeConfigs": describe_configs,
    "alterConfig": alter_config,
    "listOffsets": list_offsets,
    "deleteRecords": delete_records,
    "listGroups": list_groups,
    "describeGroup": describe_group,
    "committed": committed,
    "deleteGroup": delete_group,
    "deleteTopic": delete_topic,
    "describeCluster": describe_cluster,
}


def administer(command):
    return operations[command["op"]](AdminClient({"bootstrap.servers": command["bootstrap"]}), command) or {}


commands = {
    "hello": hello,
    "produce": produce,
    "consume": consume,
    "stream": stream,
    "endStream": end_stream,
    "join": join,
    "leave": leave,
    "admin": administer,
}


def failure_of(error):
    if isinstance(error, NotImplementedError):
        return "UNSUPPORTED"
    if isinstance(error, KafkaException):
        return error.args[0].name()
    return type(error).__name__


def run(command):
    try:
        tell({"id": command["id"], "ok": commands[command["do"]](command)})
    except Exception as error:
        tell({"id": command["id"], "error": {"kafka": failure_of(error), "message": str(error)}})


for line in sys.stdin:
    threading.Thread(target=run, args=(json.loads(line),), daemon=True).start()
