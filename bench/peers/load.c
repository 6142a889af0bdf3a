/*
 * Load for benchmarks, from librdkafka: the fastest client there is, so that a broker is measured and not its client.
 *
 *   load produce BOOTSTRAP TOPIC RECORDS BYTES PARTITIONS [CONFIG VALUE]...
 *   load consume BOOTSTRAP TOPIC RECORDS BYTES PARTITIONS [CONFIG VALUE]...
 *
 * Prints one line of JSON: records, failures, bytes, seconds. The library comes without headers (inside confluent-kafka), so what
 * is used of its public interface is declared here.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct rd_kafka_topic_conf_s rd_kafka_topic_conf_t;
typedef struct rd_kafka_queue_s rd_kafka_queue_t;
typedef struct {
  int err;
  rd_kafka_topic_t *topic;
  int32_t partition;
  void *payload;
  size_t len;
  void *key;
  size_t key_len;
  int64_t offset;
  void *opaque;
} rd_kafka_message_t;

enum { PRODUCER = 0, CONSUMER = 1, COPY_PAYLOAD = 2, FROM_BEGINNING = -2 };

extern rd_kafka_conf_t *rd_kafka_conf_new(void);
extern int rd_kafka_conf_set(rd_kafka_conf_t *, const char *, const char *, char *, size_t);
extern void rd_kafka_conf_set_dr_msg_cb(rd_kafka_conf_t *, void (*)(rd_kafka_t *, const rd_kafka_message_t *, void *));
extern rd_kafka_t *rd_kafka_new(int, rd_kafka_conf_t *, char *, size_t);
extern rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *, const char *, rd_kafka_topic_conf_t *);
extern int rd_kafka_produce(rd_kafka_topic_t *, int32_t, int, void *, size_t, const void *, size_t, void *);
extern int rd_kafka_poll(rd_kafka_t *, int);
extern int rd_kafka_flush(rd_kafka_t *, int);
extern rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *);
extern int rd_kafka_consume_start_queue(rd_kafka_topic_t *, int32_t, int64_t, rd_kafka_queue_t *);
extern ssize_t rd_kafka_consume_batch_queue(rd_kafka_queue_t *, int, rd_kafka_message_t **, size_t);
extern void rd_kafka_message_destroy(rd_kafka_message_t *);

static char error[512];
static long delivered, failed;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
  (void)client, (void)opaque;
  if (message->err) failed++;
  else delivered++;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *what) {
  fprintf(stderr, "load: %s\n", what);
  exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
  if (rd_kafka_conf_set(conf, name, value, error, sizeof error)) fail(error);
}

static rd_kafka_t *open_client(int type, rd_kafka_conf_t *conf) {
  rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof error);
  if (!client) fail(error);
  return client;
}

static void report(long records, double bytes, double elapsed) {
  printf("{\"records\":%ld,\"failed\":%ld,\"bytes\":%.0f,\"seconds\":%.4f}\n", records, failed, bytes, elapsed);
  fflush(stdout);
}

/* Text that compresses neither to nothing nor not at all. */
static char *payload_of(size_t size) {
  char *payload = malloc(size);
  for (size_t at = 0; at < size; at++) payload[at] = "0123456789abcdefghij"[rand() % 20];
  return payload;
}

static void produce(rd_kafka_conf_t *conf, const char *topic_name, long records, size_t size, int partitions) {
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_t *client = open_client(PRODUCER, conf);
  rd_kafka_topic_t *topic = rd_kafka_topic_new(client, topic_name, NULL);
  char *payload = payload_of(size);
  double started = seconds();
  for (long at = 0; at < records; at++) {
    while (rd_kafka_produce(topic, (int32_t)(at % partitions), COPY_PAYLOAD, payload, size, NULL, 0, NULL) == -1)
      rd_kafka_poll(client, 10); /* the queue is full */
    if (at % 1000 == 0) rd_kafka_poll(client, 0);
  }
  rd_kafka_flush(client, 120000);
  double elapsed = seconds() - started;
  if (delivered != records) fprintf(stderr, "load: %ld of %ld records were delivered\n", delivered, records);
  report(delivered, (double)delivered * (double)size, elapsed);
}

static void consume(rd_kafka_conf_t *conf, const char *topic_name, long records, int partitions) {
  rd_kafka_t *client = open_client(CONSUMER, conf);
  rd_kafka_topic_t *topic = rd_kafka_topic_new(client, topic_name, NULL);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
  rd_kafka_message_t *messages[4096];
  double started = seconds(), bytes = 0;
  long consumed = 0;
  for (int at = 0; at < partitions; at++) rd_kafka_consume_start_queue(topic, at, FROM_BEGINNING, queue);
  while (consumed < records && seconds() - started < 120) {
    ssize_t count = rd_kafka_consume_batch_queue(queue, 1000, messages, 4096);
    for (ssize_t at = 0; at < count; at++) {
      if (!messages[at]->err) {
        consumed++;
        bytes += (double)messages[at]->len;
      }
      rd_kafka_message_destroy(messages[at]);
    }
  }
  failed = records - consumed;
  report(consumed, bytes, seconds() - started);
}

int main(int argc, char **argv) {
  if (argc < 7) fail("usage: load produce|consume BOOTSTRAP TOPIC RECORDS BYTES PARTITIONS [CONFIG VALUE]...");
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", argv[2]);
  for (int at = 7; at + 1 < argc; at += 2) set(conf, argv[at], argv[at + 1]);
  long records = atol(argv[4]);
  size_t size = (size_t)atol(argv[5]);
  int partitions = atoi(argv[6]);
  if (strcmp(argv[1], "produce") == 0) produce(conf, argv[3], records, size, partitions);
  else consume(conf, argv[3], records, partitions);
  _Exit(failed > 0); /* closing the client would wait for connections that nobody measures */
}
