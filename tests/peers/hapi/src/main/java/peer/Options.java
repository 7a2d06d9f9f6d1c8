package peer;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What the command line asks for of one server. */
public final class Options {
  /** Where it is: the first path segment of its base, and the name of its database. */
  final String name;
  boolean integrity = false;
  boolean numericIds = false;
  boolean validate = false;
  int fileCapacity = 1000;
  /** What stands in Retry-After in place of HAPI's own 120, in seconds; as it is when negative. */
  int retryAfter = -1;

  private Options(String name) {
    this.name = name;
  }

  /** What the command line asks for of the process. */
  static final class All {
    int port = 0;
    boolean log = false;
    /** A PEM file with the authority whose servers are believed, besides nobody's. */
    Path trust = null;
    final List<Options> servers = new ArrayList<>(List.of(new Options("fhir")));
  }

  static All of(String[] arguments) {
    All all = new All();
    Options options = all.servers.get(0);
    for (int at = 0; at < arguments.length; at++) {
      switch (arguments[at]) {
        case "--port" -> all.port = Integer.parseInt(arguments[++at]);
        case "--trust" -> all.trust = Path.of(arguments[++at]);
        case "--log" -> all.log = true;
        case "--also" -> all.servers.add(options = new Options(arguments[++at]));
        case "--file-capacity" -> options.fileCapacity = Integer.parseInt(arguments[++at]);
        case "--retry-after" -> options.retryAfter = Integer.parseInt(arguments[++at]);
        case "--integrity" -> options.integrity = true;
        case "--numeric-ids" -> options.numericIds = true;
        case "--validate" -> options.validate = true;
        default -> throw new IllegalArgumentException("unknown argument: " + arguments[at]);
      }
    }
    return all;
  }
}
