"""usage: group_consumer.py TOPIC CONFIG=VALUE ...

Consumes a topic in a group and prints every value on a line of its own, until SIGTERM; then commits and leaves. Assignments go
to standard error.
"""
import signal
import sys

from confluent_kafka import Consumer

is_running = True


def stop(*_):
    global is_running
    is_running = False


signal.signal(signal.SIGTERM, stop)
topic = sys.argv[1]
config = dict(argument.split("=", 1) for argument in sys.argv[2:])
consumer = Consumer(config)
consumer.subscribe([topic], on_assign=lambda _, partitions: print("assigned", len(partitions), file=sys.stderr, flush=True))
while is_running:
    message = consumer.poll(0.1)
    if message is None:
        continue
    if message.error():
        print(message.error(), file=sys.stderr, flush=True)
        continue
    print(message.value().decode(), flush=True)
consumer.close()
