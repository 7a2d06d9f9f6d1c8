package peer;

import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpServletResponseWrapper;
import java.io.IOException;

/** HAPI asks clients to look again after 120 seconds; a test has less time. */
final class Sooner implements Filter {
  private final String seconds;

  Sooner(int seconds) {
    this.seconds = Integer.toString(seconds);
  }

  @Override
  public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
      throws IOException, ServletException {
    chain.doFilter(
        request,
        new HttpServletResponseWrapper((HttpServletResponse) response) {
          @Override
          public void addHeader(String name, String value) {
            super.addHeader(name, name.equalsIgnoreCase("Retry-After") ? seconds : value);
          }

          @Override
          public void setHeader(String name, String value) {
            super.setHeader(name, name.equalsIgnoreCase("Retry-After") ? seconds : value);
          }
        });
  }
}
