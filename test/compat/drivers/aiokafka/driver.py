"""The driver of aiokafka. Every command is a task of its own."""

import asyncio
import json
import sys
import traceback
from importlib.metadata import version

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import BrokerResponseError, for_code

assignors = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
}
streams = {}
members = {}


def tell(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def value_of(label, number):
    return f"{label} {number} " * 40


def record_of(record):
    return {
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key.decode(),
        "value": record.value.decode(),
    }


async def hello(_):
    return {"client": "aiokafka", "version": version("aiokafka")}


async def produce(command):
    producer = AIOKafkaProducer(
        bootstrap_servers=command["bootstrap"],
        acks="all",
        compression_type=None if command["codec"] == "none" else command["codec"],
        enable_idempotence=command["idempotent"],
        linger_ms=20,
        request_timeout_ms=10000,
    )
    await producer.start()
    try:
        label = command["label"]
        sent = [
            await producer.send(
                command["topic"],
                value_of(label, number).encode(),
                f"{label}-{number}".encode(),
                partition=command.get("partition"),
            )
            for number in range(command["count"])
        ]
        await asyncio.gather(*sent)
        return {"acknowledged": len(sent)}
    finally:
        await producer.stop()


async def consume(command):
    consumer = AIOKafkaConsumer(bootstrap_servers=command["bootstrap"], check_crcs=True)
    await consumer.start()
    try:
        topic = command["topic"]
        partitions = await partitions_of(command["bootstrap"], topic)
        consumer.assign([TopicPartition(topic, partition) for partition in partitions])
        await consumer.seek_to_beginning()
        records = []

        async def read():
            while len(records) < command["count"]:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    records.extend(record_of(record) for record in batch)

        await asyncio.wait_for(read(), command["timeoutMs"] / 1000)
        return {"records": records}
    finally:
        await consumer.stop()


async def stream(command):
    producer = AIOKafkaProducer(bootstrap_servers=command["bootstrap"], enable_idempotence=True)
    await producer.start()
    stopped = asyncio.Event()
    sent = []

    async def run():
        label = command["label"]
        while not stopped.is_set():
            number = len(sent)
            key = f"{label}-{number}".encode()
            sent.append(await producer.send(command["topic"], value_of(label, number).encode(), key, partition=0))
            await asyncio.sleep(0.005)

    streams[command["handle"]] = (producer, stopped, sent, asyncio.create_task(run()))
    return {}


async def end_stream(command):
    producer, stopped, sent, task = streams.pop(command["handle"])
    stopped.set()
    await task
    results = await asyncio.gather(*sent, return_exceptions=True)
    await producer.stop()
    failed = sum(isinstance(result, Exception) for result in results)
    return {"acknowledged": len(results) - failed, "failed": failed}


async def join(command):
    if command["assignor"] not in assignors:
        raise NotImplementedError(f"aiokafka has no assignor '{command['assignor']}'")
    handle = command["handle"]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=command["bootstrap"],
        group_id=command["group"],
        group_instance_id=command.get("instanceId"),
        auto_offset_reset="earliest",
        auto_commit_interval_ms=500,
        session_timeout_ms=command["sessionTimeoutMs"],
        heartbeat_interval_ms=1000,
        partition_assignment_strategy=(assignors[command["assignor"]],),
    )

    class Listener(ConsumerRebalanceListener):
        async def on_partitions_revoked(self, revoked):
            pass

        async def on_partitions_assigned(self, assigned):
            partitions = sorted(one.partition for one in assigned)
            tell({"event": "assigned", "handle": handle, "partitions": partitions})

    stopped = asyncio.Event()

    async def run():
        while not stopped.is_set():
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                for record in batch:
                    tell({"event": "record", "handle": handle, **record_of(record)})
        await consumer.stop()

    consumer.subscribe([command["topic"]], listener=Listener())
    await consumer.start()
    members[handle] = (stopped, asyncio.create_task(run()))
    return {}


async def leave(command):
    stopped, task = members.pop(command["handle"])
    stopped.set()
    await task
    return {}


def check(errors):
    """Raises the first error of rows (name, code, ...), for answers that the library hands over as they came."""
    for _, code, *_ in errors:
        if code != 0:
            raise for_code(code)()


async def partitions_of(bootstrap, topic):
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
        check([(topic, described["error_code"])])
        return sorted(partition["partition"] for partition in described["partitions"])
    finally:
        await admin.close()


async def create_topic(admin, command):
    topic = NewTopic(command["topic"], command["partitions"], 1, topic_configs=command["configs"])
    check((await admin.create_topics([topic])).topic_errors)


async def list_topics(admin, _):
    return {"topics": await admin.list_topics()}


async def describe_topic(_, command):
    return {"partitions": len(await partitions_of(command["bootstrap"], command["topic"]))}


async def create_partitions(admin, command):
    await admin.create_partitions({command["topic"]: NewPartitions(command["count"])})


async def describe_configs(admin, command):
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, command["topic"])])
    (resource,) = response.resources
    check([("", resource[0])])
    return {"configs": {name: value for name, value, *_ in resource[4]}}


async def alter_config(admin, command):
    resource = ConfigResource(ConfigResourceType.TOPIC, command["topic"], {command["name"]: command["value"]})
    (response,) = await admin.alter_configs([resource])
    check([("", code) for code, *_ in response.resources])


async def list_offsets(_, command):
    consumer = AIOKafkaConsumer(bootstrap_servers=command["bootstrap"])
    await consumer.start()
    try:
        partition = TopicPartition(command["topic"], command["partition"])
        earliest = await consumer.beginning_offsets([partition])
        latest = await consumer.end_offsets([partition])
        return {"earliest": str(earliest[partition]), "latest": str(latest[partition])}
    finally:
        await consumer.stop()


async def delete_records(admin, command):
    partition = TopicPartition(command["topic"], command["partition"])
    await admin.delete_records({partition: RecordsToDelete(int(command["before"]))})


async def list_groups(admin, _):
    return {"groups": [group for group, *_ in await admin.list_consumer_groups()]}


async def describe_group(admin, command):
    (response,) = await admin.describe_consumer_groups([command["group"]])
    ((code, _, state, _, _, members_of_group, *_),) = response.groups
    check([("", code)])
    return {"state": state, "members": len(members_of_group)}


async def committed(admin, command):
    found = await admin.list_consumer_group_offsets(command["group"])
    offsets = {str(one.partition): str(at.offset) for one, at in found.items() if one.topic == command["topic"]}
    return {"offsets": offsets}


async def delete_group(_admin, _command):
    raise NotImplementedError("aiokafka deletes no groups")


async def delete_topic(admin, command):
    check((await admin.delete_topics([command["topic"]])).topic_error_codes)


async def describe_cluster(admin, _):
    cluster = await admin.describe_cluster()
    return {"clusterId": cluster["cluster_id"], "brokers": len(cluster["brokers"])}


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


async def administer(command):
    admin = AIOKafkaAdminClient(bootstrap_servers=command["bootstrap"])
    await admin.start()
    try:
        return await operations[command["op"]](admin, command) or {}
    finally:
        await admin.close()


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


def name_of(error):
    if isinstance(error, NotImplementedError):
        return "UNSUPPORTED"
    if isinstance(error, BrokerResponseError):
        return error.message
    return type(error).__name__


async def run(command):
    try:
        tell({"id": command["id"], "ok": await commands[command["do"]](command)})
    except Exception as error:
        traceback.print_exc()
        tell({"id": command["id"], "error": {"kafka": name_of(error), "message": str(error)}})


async def main():
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    tasks = set()
    while line := await lines.readline():
        task = asyncio.create_task(run(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


asyncio.run(main())
