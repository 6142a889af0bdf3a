package titorelli.compat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.kafka.common.errors.UnknownServerException;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Does what the lines of its standard input tell, with Apache Kafka's own clients, and answers on its standard output.
 * Commands run at the same time, each on a thread of its own. It ends, and leaves everything as it is, when the input
 * ends.
 */
public final class Driver {
  static final ObjectMapper JSON = new ObjectMapper();

  private final Map<String, NumberStream> streams = new ConcurrentHashMap<>();
  private final Map<String, GroupMember> members = new ConcurrentHashMap<>();

  public static void main(String[] args) throws IOException {
    Driver driver = new Driver();
    ExecutorService threads = Executors.newCachedThreadPool();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      JsonNode command = JSON.readTree(line);
      threads.execute(() -> driver.answer(command));
    }
    System.exit(0);
  }

  /** Prints one line. The lines of several threads never mix. */
  static synchronized void print(JsonNode line) {
    byte[] text = (line + "\n").getBytes(StandardCharsets.UTF_8);
    System.out.write(text, 0, text.length);
    System.out.flush();
  }

  private void answer(JsonNode command) {
    ObjectNode answer = JSON.createObjectNode();
    answer.set("id", command.get("id"));
    try {
      answer.set("ok", run(command));
    } catch (Exception thrown) {
      Throwable error = thrown instanceof ExecutionException ? thrown.getCause() : thrown;
      answer.putObject("error").put("kafka", nameOf(error)).put("message", error.toString());
    }
    print(answer);
  }

  private ObjectNode run(JsonNode command) throws Exception {
    ObjectNode done = JSON.createObjectNode();
    String handle = command.path("handle").asText();
    switch (command.get("do").asText()) {
      case "hello" -> done.put("client", "kafka-clients").put("version", AppInfoParser.getVersion());
      case "produce" -> done.put("acknowledged", Records.produce(command));
      case "consume" -> done.set("records", Records.consume(command));
      case "stream" -> streams.put(handle, new NumberStream(command));
      case "endStream" -> streams.remove(handle).end(done);
      case "join" -> members.put(handle, new GroupMember(command));
      case "leave" -> members.remove(handle).leave();
      case "admin" -> AdminCommands.run(command, done);
      default -> throw new UnsupportedOperationException(command.toString());
    }
    return done;
  }

  /** Kafka's name of an error, or that of the exception where there is none. */
  private static String nameOf(Throwable error) {
    if (error instanceof UnsupportedOperationException) return "UNSUPPORTED";
    Errors known = Errors.forException(error);
    boolean isKnown = known != Errors.UNKNOWN_SERVER_ERROR || error instanceof UnknownServerException;
    return isKnown ? known.name() : error.getClass().getSimpleName();
  }
}
