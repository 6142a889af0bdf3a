package titorelli.compat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A member of a group on a thread of its own, which prints its assignment and what it reads, and commits by itself. */
final class GroupMember implements ConsumerRebalanceListener {
  private final String handle;
  private final KafkaConsumer<String, String> consumer;
  private final CompletableFuture<Void> ended;
  private volatile boolean isLeaving = false;

  GroupMember(JsonNode command) {
    handle = command.get("handle").asText();
    Map<String, Object> configs = new HashMap<>();
    configs.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, command.get("bootstrap").asText());
    configs.put(ConsumerConfig.GROUP_ID_CONFIG, command.get("group").asText());
    if (command.has("instanceId")) {
      configs.put(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, command.get("instanceId").asText());
    }
    Class<?> assignor = assignor(command.get("assignor").asText());
    configs.put(ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG, List.of(assignor));
    configs.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    configs.put(ConsumerConfig.AUTO_COMMIT_INTERVAL_MS_CONFIG, 500);
    configs.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, command.get("sessionTimeoutMs").asInt());
    configs.put(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, 500);
    consumer = new KafkaConsumer<>(configs, new StringDeserializer(), new StringDeserializer());
    String topic = command.get("topic").asText();
    ended = CompletableFuture.runAsync(() -> read(topic), task -> new Thread(task, handle).start());
    ended.exceptionally(error -> {
      error.printStackTrace();
      return null;
    });
  }

  /** Commits, closes, and waits for that. What ended the reading before its time is thrown. */
  void leave() throws InterruptedException, ExecutionException {
    isLeaving = true;
    ended.get();
  }

  private void read(String topic) {
    try (consumer) {
      consumer.subscribe(List.of(topic), this);
      while (!isLeaving) {
        for (var record : consumer.poll(Duration.ofMillis(100))) {
          Driver.print(event("record").setAll(Records.describe(record)));
        }
      }
    }
  }

  @Override
  public void onPartitionsAssigned(Collection<TopicPartition> added) {
    ObjectNode event = event("assigned");
    var partitions = event.putArray("partitions");
    consumer.assignment().stream().map(TopicPartition::partition).sorted().forEach(partitions::add);
    Driver.print(event);
  }

  @Override
  public void onPartitionsRevoked(Collection<TopicPartition> revoked) {} // an assignment follows

  private ObjectNode event(String name) {
    return Driver.JSON.createObjectNode().put("event", name).put("handle", handle);
  }

  private static Class<?> assignor(String name) {
    return switch (name) {
      case "range" -> RangeAssignor.class;
      case "roundrobin" -> RoundRobinAssignor.class;
      case "sticky" -> StickyAssignor.class;
      case "cooperative-sticky" -> CooperativeStickyAssignor.class;
      default -> throw new UnsupportedOperationException(name);
    };
  }
}
