package peer;

import io.quarkus.bootstrap.runner.QuarkusEntryPoint;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Keycloak on 127.0.0.1 with a copy of the database that the installation made; it ends when its stdin closes.
 *
 * <p>`--keep-database` works on the database itself; `--log` shows Keycloak's log; all else is for Keycloak's `start`.
 */
public final class Keycloak {
  private Keycloak() {}

  public static void main(String[] arguments) throws Throwable {
    List<String> words = new ArrayList<>(List.of(arguments));
    boolean keep = words.remove("--keep-database");
    boolean log = words.remove("--log");
    Path made = Path.of(System.getProperty("peer.database"));
    Path folder = keep ? made : copy(made);
    words.addAll(0, List.of("start", "--optimized", "--http-enabled=true", "--hostname-strict=false"));
    int plain = freePort();
    int secure = freePort();
    words.addAll(List.of("--http-host=127.0.0.1", "--http-port=" + plain, "--https-port=" + secure));
    words.add("--cache=local");
    words.add("--log-level=" + (log ? "info" : "off"));
    // H2's own words for a database that nobody else opens.
    words.add("--db-url=jdbc:h2:file:" + folder.resolve("keycloak") + ";NON_KEYWORDS=VALUE;DB_CLOSE_ON_EXIT=FALSE");
    PrintStream stdout = System.out;
    System.setOut(System.err);
    start("end", () -> endWithStdin(keep, folder));
    start("ready", () -> sayWhenReady(stdout, plain, secure));
    QuarkusEntryPoint.main(words.toArray(String[]::new));
  }

  private static void start(String name, Runnable work) {
    Thread thread = new Thread(work, name);
    thread.setDaemon(true);
    thread.start();
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private static Path copy(Path made) throws IOException {
    Path folder = Files.createTempDirectory("keycloak-");
    try (Stream<Path> files = Files.list(made)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    return folder;
  }

  private static void endWithStdin(boolean keep, Path folder) {
    try {
      while (System.in.read() != -1) {}
    } catch (IOException closed) {
      // As good as its end.
    }
    if (keep) {
      // H2 writes everything down.
      System.exit(0);
    }
    try (Stream<Path> files = Files.walk(folder)) {
      files.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
    } catch (IOException | UncheckedIOException gone) {
      // Somebody else tidied up.
    }
    Runtime.getRuntime().halt(0);
  }

  private static void sayWhenReady(PrintStream stdout, int plain, int secure) {
    try {
      while (!answers(plain)) {
        Thread.sleep(50);
      }
      stdout.println("listening http://127.0.0.1:" + plain);
      stdout.println("listening https://localhost:" + secure);
    } catch (InterruptedException ended) {
      Thread.currentThread().interrupt();
    }
  }

  /** It listens before it knows its realms. */
  private static boolean answers(int port) {
    try {
      String realm = "http://127.0.0.1:" + port + "/realms/clinic/.well-known/openid-configuration";
      HttpURLConnection connection = (HttpURLConnection) URI.create(realm).toURL().openConnection();
      connection.setConnectTimeout(1000);
      connection.setReadTimeout(60000);
      return connection.getResponseCode() == 200;
    } catch (IOException notYet) {
      return false;
    }
  }
}
