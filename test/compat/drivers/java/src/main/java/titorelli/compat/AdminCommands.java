package titorelli.compat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** One admin operation each, by a client of its own. */
final class AdminCommands {
  private AdminCommands() {}

  /** Runs the operation that the command names and puts what it found into `found`. */
  static void run(JsonNode command, ObjectNode found) throws Exception {
    Map<String, Object> configs =
        Map.of(
            AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, command.get("bootstrap").asText(),
            AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, 5_000,
            AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, 10_000);
    try (Admin admin = Admin.create(configs)) {
      String topic = command.path("topic").asText();
      String group = command.path("group").asText();
      switch (command.get("op").asText()) {
        case "createTopic" -> createTopic(admin, topic, command);
        case "listTopics" -> addAll(found.putArray("topics"), admin.listTopics().names().get());
        case "describeTopic" -> {
          var description = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
          found.put("partitions", description.partitions().size());
        }
        case "createPartitions" ->
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(command.get("count").asInt()))).all().get();
        case "describeConfigs" -> describeConfigs(admin, topic, found.putObject("configs"));
        case "alterConfig" -> alterConfig(admin, topic, command);
        case "listOffsets" -> {
          TopicPartition partition = new TopicPartition(topic, command.get("partition").asInt());
          found.put("earliest", offset(admin, partition, OffsetSpec.earliest()));
          found.put("latest", offset(admin, partition, OffsetSpec.latest()));
        }
        case "deleteRecords" -> {
          TopicPartition partition = new TopicPartition(topic, command.get("partition").asInt());
          var before = RecordsToDelete.beforeOffset(Long.parseLong(command.get("before").asText()));
          admin.deleteRecords(Map.of(partition, before)).all().get();
        }
        case "deleteTopic" -> admin.deleteTopics(List.of(topic)).all().get();
        case "listGroups" -> {
          Collection<GroupListing> groups = admin.listGroups().all().get();
          addAll(found.putArray("groups"), groups.stream().map(GroupListing::groupId).toList());
        }
        case "describeGroup" -> {
          var description = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
          found.put("state", description.groupState().toString()).put("members", description.members().size());
        }
        case "committed" -> committed(admin, group, topic, found.putObject("offsets"));
        case "deleteGroup" -> admin.deleteConsumerGroups(List.of(group)).all().get();
        case "describeCluster" -> {
          var cluster = admin.describeCluster();
          found.put("clusterId", cluster.clusterId().get()).put("brokers", cluster.nodes().get().size());
        }
        default -> throw new UnsupportedOperationException(command.toString());
      }
    }
  }

  private static void createTopic(Admin admin, String topic, JsonNode command) throws Exception {
    Map<String, String> configs = new HashMap<>();
    command.path("configs").properties().forEach(config -> configs.put(config.getKey(), config.getValue().asText()));
    NewTopic created = new NewTopic(topic, Optional.of(command.get("partitions").asInt()), Optional.empty());
    admin.createTopics(List.of(created.configs(configs))).all().get();
  }

  private static void describeConfigs(Admin admin, String topic, ObjectNode found) throws Exception {
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    for (ConfigEntry entry : admin.describeConfigs(List.of(resource)).all().get().get(resource).entries()) {
      found.put(entry.name(), entry.value());
    }
  }

  private static void alterConfig(Admin admin, String topic, JsonNode command) throws Exception {
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    ConfigEntry entry = new ConfigEntry(command.get("name").asText(), command.get("value").asText());
    AlterConfigOp operation = new AlterConfigOp(entry, AlterConfigOp.OpType.SET);
    admin.incrementalAlterConfigs(Map.of(resource, List.of(operation))).all().get();
  }

  private static String offset(Admin admin, TopicPartition partition, OffsetSpec which) throws Exception {
    return Long.toString(admin.listOffsets(Map.of(partition, which)).partitionResult(partition).get().offset());
  }

  private static void committed(Admin admin, String group, String topic, ObjectNode found) throws Exception {
    admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach((partition, committed) -> {
      if (partition.topic().equals(topic) && committed != null) {
        found.put(Integer.toString(partition.partition()), Long.toString(committed.offset()));
      }
    });
  }

  private static void addAll(ArrayNode array, Collection<String> names) {
    names.stream().sorted().forEach(array::add);
  }
}
