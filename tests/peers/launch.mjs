// What every Node peer shares: its arguments, a loopback server, a record of requests, and an end when stdin closes.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

/** Reads `--name value` arguments; every peer has `--port` and `--log`. */
export function options(extra = {}) {
  const common = { port: { type: 'string', default: '0' }, log: { type: 'boolean', default: false } };
  const { values } = parseArgs({ options: { ...common, ...extra } });
  return { ...values, port: Number(values.port) };
}

/**
 * Listens on 127.0.0.1 and prints `listening http://127.0.0.1:PORT` once ready.
 * `start(origin)` gives the request listener; it is called when the port is known.
 * `GET /_requests` answers what was asked of this peer so far, `DELETE /_requests` forgets it.
 */
export async function serve({ port, log }, start) {
  const requests = [];
  let listener;
  const server = createServer((request, response) => {
    if (request.url === '/_requests') {
      if (request.method === 'DELETE') requests.length = 0;
      return send(response, 200, JSON.stringify(requests), { 'content-type': 'application/json' });
    }
    const seen = { method: request.method, url: request.url, headers: request.headers };
    requests.push(seen);
    response.on('finish', () => {
      seen.status = response.statusCode;
      if (log) console.error(`${request.method} ${request.url} ${response.statusCode}`);
    });
    listener(request, response);
  });
  server.keepAliveTimeout = 60_000;
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  listener = await start(origin, requests);
  process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
  process.stdout.write(`listening ${origin}\n`);
}

/** Reads a whole request body as text. */
export async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Answers with a text, and says how long it is. */
export function send(response, status, body, headers = {}) {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
}
