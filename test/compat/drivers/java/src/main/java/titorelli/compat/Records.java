package titorelli.compat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Produces and consumes numbers of records, without a group. */
final class Records {
  private Records() {}

  static ProducerRecord<String, String> numbered(String topic, Integer partition, String label, int number) {
    String value = (label + " " + number + " ").repeat(40);
    return new ProducerRecord<>(topic, partition, label + "-" + number, value);
  }

  /** Produces numbered records and waits for all. Returns how many; the first failure of a record is thrown. */
  static int produce(JsonNode command) throws Exception {
    Map<String, Object> configs =
        Map.of(
            ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, command.get("bootstrap").asText(),
            ProducerConfig.ACKS_CONFIG, "all",
            ProducerConfig.COMPRESSION_TYPE_CONFIG, command.get("codec").asText(),
            ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, command.get("idempotent").asBoolean(),
            ProducerConfig.LINGER_MS_CONFIG, 20,
            ProducerConfig.MAX_BLOCK_MS_CONFIG, 10_000,
            ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, 5_000,
            ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, 10_000);
    String topic = command.get("topic").asText();
    Integer partition = command.has("partition") ? command.get("partition").asInt() : null;
    int count = command.get("count").asInt();
    try (var producer = new KafkaProducer<>(configs, new StringSerializer(), new StringSerializer())) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (int number = 0; number < count; number++) {
        sent.add(producer.send(numbered(topic, partition, command.get("label").asText(), number)));
      }
      for (Future<RecordMetadata> record : sent) record.get();
    }
    return count;
  }

  /** Reads every partition from its beginning, until there are enough records. */
  static ArrayNode consume(JsonNode command) throws TimeoutException {
    Map<String, Object> configs =
        Map.of(
            ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, command.get("bootstrap").asText(),
            ConsumerConfig.CHECK_CRCS_CONFIG, true,
            ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, 10_000);
    String topic = command.get("topic").asText();
    int count = command.get("count").asInt();
    long deadlineNs = System.nanoTime() + Duration.ofMillis(command.get("timeoutMs").asLong()).toNanos();
    ArrayNode records = Driver.JSON.createArrayNode();
    try (var consumer = new KafkaConsumer<>(configs, new StringDeserializer(), new StringDeserializer())) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream().map(info -> new TopicPartition(topic, info.partition())).toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      while (records.size() < count) {
        if (System.nanoTime() > deadlineNs) {
          throw new TimeoutException(records.size() + " of " + count + " records came");
        }
        for (var record : consumer.poll(Duration.ofMillis(100))) records.add(describe(record));
      }
    }
    return records;
  }

  static ObjectNode describe(ConsumerRecord<String, String> record) {
    return Driver.JSON
        .createObjectNode()
        .put("partition", record.partition())
        .put("offset", record.offset())
        .put("key", record.key())
        .put("value", record.value());
  }
}
