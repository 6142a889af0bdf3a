package titorelli.compat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.StringSerializer;

/** An idempotent producer, else with Kafka's defaults, that writes numbered records to partition 0 until its end. */
final class NumberStream {
  private static final int PERIOD_MS = 5;

  private final KafkaProducer<String, String> producer;
  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
  private final String topic;
  private final String label;
  private final AtomicInteger acknowledged = new AtomicInteger();
  private final AtomicInteger failed = new AtomicInteger();
  private int nextNumber = 0;

  NumberStream(JsonNode command) {
    topic = command.get("topic").asText();
    label = command.get("label").asText();
    Map<String, Object> configs =
        Map.of(
            ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, command.get("bootstrap").asText(),
            ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
    producer = new KafkaProducer<>(configs, new StringSerializer(), new StringSerializer());
    timer.scheduleAtFixedRate(this::send, 0, PERIOD_MS, TimeUnit.MILLISECONDS);
  }

  private void send() {
    producer.send(
        Records.numbered(topic, 0, label, nextNumber++),
        (metadata, error) -> (error == null ? acknowledged : failed).incrementAndGet());
  }

  /** Stops, waits for the records that are on their way, and tells how many were acknowledged and how many failed. */
  void end(ObjectNode counts) throws InterruptedException {
    timer.shutdown();
    timer.awaitTermination(Long.MAX_VALUE, TimeUnit.NANOSECONDS);
    producer.close();
    counts.put("acknowledged", acknowledged.get()).put("failed", failed.get());
  }
}
