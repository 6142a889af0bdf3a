/*
 * Load for benchmarks, from librdkafka: the fastest client there is, so that a broker is measured and not its client.
 *
 *   load produce BOOTSTRAP TOPIC RECORDS BYTES PARTITIONS [CONFIG VALUE]...
 *   load consume BOOTSTRAP TOPIC RECORDS BYTES PARTITIONS [CONFIG VALUE]...
 *   load latency BOOTSTRAP TOPIC RECORDS BYTES PARTITIONS BYTES_PER_SECOND WARM_UP_RECORDS [CONFIG VALUE]...
 *
 * Prints one line of JSON: records, failures, bytes, seconds. `latency` sends at a steady pace and reads the same records back: it
 * adds the times from when a record was due to when the consumer had it, in ms, without those of the warm-up. A producer that
 * falls behind its pace does not hide that: the clock of a record starts when it was due, not when it was sent.
 * The library comes without headers (inside confluent-kafka), so what is used of its public interface is declared here.
 */
#include <pthread.h>
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
extern const char *rd_kafka_err2str(int);
extern int rd_kafka_poll(rd_kafka_t *, int);
extern int rd_kafka_flush(rd_kafka_t *, int);
extern rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *);
extern int rd_kafka_consume_start_queue(rd_kafka_topic_t *, int32_t, int64_t, rd_kafka_queue_t *);
extern ssize_t rd_kafka_consume_batch_queue(rd_kafka_queue_t *, int, rd_kafka_message_t **, size_t);
extern rd_kafka_message_t *rd_kafka_consume_queue(rd_kafka_queue_t *, int);
extern void rd_kafka_message_destroy(rd_kafka_message_t *);

static char error[512];
static long delivered, failed;
static int first_failure;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
  (void)client, (void)opaque;
  if (message->err && failed++ == 0) first_failure = message->err;
  if (!message->err) delivered++;
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
  if (delivered != records)
    fprintf(stderr, "load: %ld of %ld records were delivered: %s\n", delivered, records, rd_kafka_err2str(first_failure));
  report(delivered, (double)delivered * (double)size, elapsed);
}

/* The clock starts with the first records: before them the library looks for leaders and offsets, in steps of half a second. */
static void consume(rd_kafka_conf_t *conf, const char *topic_name, long records, int partitions) {
  rd_kafka_t *client = open_client(CONSUMER, conf);
  rd_kafka_topic_t *topic = rd_kafka_topic_new(client, topic_name, NULL);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
  rd_kafka_message_t *messages[4096];
  double patience = seconds() + 120, started = 0, bytes = 0;
  long consumed = 0, timed = 0;
  for (int at = 0; at < partitions; at++) rd_kafka_consume_start_queue(topic, at, FROM_BEGINNING, queue);
  while (consumed < records && seconds() < patience) {
    /* It waits until it has as many as it is asked for: never for more than there will be. */
    size_t wanted = consumed == 0 ? 1 : records - consumed < 4096 ? (size_t)(records - consumed) : 4096;
    ssize_t count = rd_kafka_consume_batch_queue(queue, 1000, messages, wanted);
    for (ssize_t at = 0; at < count; at++) {
      if (!messages[at]->err) {
        consumed++;
        if (started > 0) timed++, bytes += (double)messages[at]->len;
      }
      rd_kafka_message_destroy(messages[at]);
    }
    if (started == 0 && consumed > 0) started = seconds();
  }
  failed = records - consumed;
  report(timed, bytes, seconds() - started);
}

/* What the two sides of `latency` share. */
static const char *paced_topic;
static long paced_records, warm_up_records;
static int paced_partitions;
static double *latencies_ms;
static long latency_count;
static double last_read;

static void *read_paced(void *argument) {
  rd_kafka_t *client = argument;
  rd_kafka_topic_t *topic = rd_kafka_topic_new(client, paced_topic, NULL);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
  for (int at = 0; at < paced_partitions; at++) rd_kafka_consume_start_queue(topic, at, FROM_BEGINNING, queue);
  double patience = seconds() + 120;
  for (long consumed = 0; consumed < paced_records && seconds() < patience;) {
    rd_kafka_message_t *message = rd_kafka_consume_queue(queue, 1000);
    if (!message) continue;
    if (!message->err) {
      double due[2];
      memcpy(due, message->payload, sizeof due);
      last_read = seconds();
      if (due[1] >= (double)warm_up_records) latencies_ms[latency_count++] = (last_read - due[0]) * 1e3;
      consumed++;
      patience = last_read + 30;
    }
    rd_kafka_message_destroy(message);
  }
  return NULL;
}

static void sleep_until(double when) {
  struct timespec at = {(time_t)when, (long)((when - (double)(time_t)when) * 1e9)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int by_value(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static double at_share(double share) {
  return latency_count == 0 ? 0 : latencies_ms[(long)((double)(latency_count - 1) * share)];
}

/* Each value begins with when it was due and its number. */
static void latency(rd_kafka_conf_t *conf, rd_kafka_conf_t *consumer_conf, size_t size, double bytes_per_second) {
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_t *producer = open_client(PRODUCER, conf), *consumer = open_client(CONSUMER, consumer_conf);
  rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, paced_topic, NULL);
  pthread_t reader;
  latencies_ms = malloc(sizeof(double) * (size_t)paced_records);
  char *payload = payload_of(size < 16 ? 16 : size);
  if (pthread_create(&reader, NULL, read_paced, consumer)) fail("no thread for the consumer");
  double per_tick = bytes_per_second / 1000 / (double)size, started = seconds() + 0.5;
  for (long at = 0; at < paced_records; at++) {
    /* A tick is a millisecond: all records of a tick are due at its end. */
    double tick = (double)(long)((double)at / per_tick) + 1, due[2] = {started + tick / 1000, (double)at};
    if (seconds() < due[0]) {
      rd_kafka_poll(producer, 0);
      sleep_until(due[0]);
    }
    memcpy(payload, due, sizeof due);
    while (rd_kafka_produce(topic, (int32_t)(at % paced_partitions), COPY_PAYLOAD, payload, size, NULL, 0, NULL) == -1)
      rd_kafka_poll(producer, 1);
  }
  rd_kafka_flush(producer, 60000);
  pthread_join(reader, NULL);
  failed = paced_records - warm_up_records - latency_count;
  qsort(latencies_ms, (size_t)latency_count, sizeof(double), by_value);
  double elapsed = last_read - started;
  printf("{\"records\":%ld,\"failed\":%ld,\"bytes\":%.0f,\"seconds\":%.4f,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"p999Ms\":%.3f,\"maxMs\":%.3f}\n",
         latency_count, failed, (double)delivered * (double)size, elapsed, at_share(0.5), at_share(0.99), at_share(0.999), at_share(1));
  fflush(stdout);
}

static rd_kafka_conf_t *conf_of(const char *bootstrap, char **pairs, int count) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", bootstrap);
  for (int at = 0; at + 1 < count; at += 2) set(conf, pairs[at], pairs[at + 1]);
  return conf;
}

int main(int argc, char **argv) {
  if (argc < 7) fail("usage: load produce|consume|latency BOOTSTRAP TOPIC RECORDS BYTES PARTITIONS ... (see its source)");
  long records = atol(argv[4]);
  size_t size = (size_t)atol(argv[5]);
  int partitions = atoi(argv[6]);
  if (strcmp(argv[1], "latency") == 0) {
    if (argc < 9) fail("usage: load latency BOOTSTRAP TOPIC RECORDS BYTES PARTITIONS BYTES_PER_SECOND WARM_UP_RECORDS ...");
    paced_topic = argv[3], paced_records = records, paced_partitions = partitions, warm_up_records = atol(argv[8]);
    rd_kafka_conf_t *consumer = conf_of(argv[2], (char *[]){"socket.nagle.disable", "true"}, 2);
    latency(conf_of(argv[2], argv + 9, argc - 9), consumer, size, atof(argv[7]));
    _Exit(failed > 0);
  }
  rd_kafka_conf_t *conf = conf_of(argv[2], argv + 7, argc - 7);
  if (strcmp(argv[1], "produce") == 0) produce(conf, argv[3], records, size, partitions);
  else consume(conf, argv[3], records, partitions);
  _Exit(failed > 0); /* closing the client would wait for connections that nobody measures */
}
