"""What librdkafka-client runs; its usage is there."""

import select
import sys

from confluent_kafka import Consumer, KafkaException, Producer


def input_ended():
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(ready) and sys.stdin.readline() == ""


def produce(bootstrap, topic, partitions):
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2})

    def on_delivery(number):
        def report(error, message):
            if error is None:
                print("acked", number, message.partition(), message.offset())
            else:
                print("failed", number, error)

        return report

    number = 0
    while not input_ended():
        producer.produce(topic, str(number), partition=number % int(partitions), on_delivery=on_delivery(number))
        number += 1
        producer.poll(0.002)
    left = producer.flush(60)
    if left > 0:
        sys.exit(f"{left} records are not answered")


def consume(bootstrap, topic, group):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 200,
            "session.timeout.ms": 6000,
            "check.crcs": True,
        }
    )
    consumer.subscribe([topic])
    while not input_ended():
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        print("read", message.partition(), message.offset(), message.value().decode())
    consumer.close()


{"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:])
