package peer;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import jakarta.servlet.DispatcherType;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.EnumSet;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.slf4j.LoggerFactory;

/** HAPI's JPA server on 127.0.0.1, FHIR base /fhir; it ends when its stdin closes. */
public final class Hapi {
  private Hapi() {}

  public static void main(String[] arguments) throws Exception {
    Options.All all = Options.of(arguments);
    Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    root.setLevel(all.log ? Level.INFO : Level.OFF);

    Path store = all.trust == null ? null : believe(all.trust);

    Server jetty = new Server();
    ServerConnector connector = new ServerConnector(jetty);
    connector.setHost("127.0.0.1");
    connector.setPort(all.port);
    jetty.addConnector(connector);
    ServletContextHandler handler = new ServletContextHandler("/");
    for (Options options : all.servers) {
      ServletHolder holder = new ServletHolder(new Fhir(options));
      // The first one starts at once, the others when they are first asked.
      if (options == all.servers.get(0)) {
        holder.setInitOrder(0);
      }
      handler.addServlet(holder, "/" + options.name + "/*");
      if (options.retryAfter >= 0) {
        Sooner filter = new Sooner(options.retryAfter);
        handler.addFilter(filter, "/" + options.name + "/*", EnumSet.of(DispatcherType.REQUEST));
      }
    }
    jetty.setHandler(handler);
    jetty.start();
    System.out.println("listening http://127.0.0.1:" + connector.getLocalPort());

    while (System.in.read() != -1) {}
    if (store != null) {
      Files.deleteIfExists(store);
    }
    Runtime.getRuntime().halt(0);
  }

  /** Makes a trust store of a certificate; Java reads it when it is first needed. */
  private static Path believe(Path certificate) throws Exception {
    KeyStore trusted = KeyStore.getInstance("PKCS12");
    trusted.load(null, null);
    try (InputStream pem = Files.newInputStream(certificate)) {
      trusted.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(pem));
    }
    Path store = Files.createTempFile("hapi-", ".p12");
    char[] password = "of no secret".toCharArray();
    try (OutputStream file = Files.newOutputStream(store)) {
      trusted.store(file, password);
    }
    System.setProperty("javax.net.ssl.trustStore", store.toString());
    System.setProperty("javax.net.ssl.trustStorePassword", new String(password));
    return store;
  }
}
