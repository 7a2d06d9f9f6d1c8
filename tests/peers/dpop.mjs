// oidc-provider with DPoP (RFC 9449), which wants its nonce in every proof, and a FHIR server with Bulk Data behind it
// that takes only tokens bound to a key. It checks each proof with `jose`, as the RFC says in §4.3.
//
//   node dpop.mjs [--port N] [--ttl SECONDS] [--config FILE.json] [--log]
//
// Clients: `machine` with the secret `machine-secret` (client credentials), and the public client `person` (authorization
// code with refresh tokens, granted at once). `--config` is JSON:
//   { "nonceEvery": N     a new nonce of the FHIR server after so many good requests; the old one is then refused
//     "files": N          how many files an export has [3]
//     "dropFirst": true   the first answer for each file breaks off in the middle
//     "elsewhere": URL    where Patient/elsewhere redirects to
//     "clients": [...] }  more clients, as oidc-provider knows them
// `GET /fhir/R4/_written` has the paths of what was put there. `GET /_requests` has each request with its status; those to the FHIR server have `checked`: what was wrong, or `ok`.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';
import Provider from 'oidc-provider';
import { options, send, serve } from './launch.mjs';

const FHIR = '/fhir/R4';
const ACCOUNT = 'practitioner-1';
const LINES = 2000;

URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);

const args = options({ ttl: { type: 'string', default: '300' }, config: { type: 'string' } });
const config = args.config ? JSON.parse(readFileSync(args.config, 'utf8')) : {};
const ttl = Number(args.ttl);
const types = ['Patient', 'Observation', 'Condition', 'Encounter', 'Device', 'Group', 'Location', 'Procedure'];

const settings = {
  clients: [
    {
      client_id: 'machine',
      client_secret: 'machine-secret',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
    {
      client_id: 'person',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['http://127.0.0.1/callback'],
      response_types: ['code'],
    },
    ...(config.clients ?? []),
  ],
  scopes: ['openid', 'offline_access', 'system/*.read', 'user/*.read'],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    resourceIndicators: { enabled: false },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
  },
  issueRefreshToken: async (_context, client) => client.grantTypeAllowed('refresh_token'),
  interactions: { url: (_context, interaction) => `/_login/${interaction.uid}` },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  ttl: { AccessToken: ttl, ClientCredentials: ttl, AuthorizationCode: 60, Grant: 86_400, RefreshToken: 86_400 },
  enabledJWA: { clientAuthSigningAlgValues: ['RS384', 'ES384'] },
  cookies: { keys: ['a key of the tests'] },
};

/** The checks of a resource server: RFC 9449 §4.3, §7.1 and §9. */
class Guard {
  constructor(provider, origin) {
    Object.assign(this, { provider, origin, used: new Set(), nonce: randomBytes(9).toString('base64url'), served: 0 });
  }

  async check(request, pathname) {
    const headers = { 'dpop-nonce': this.nonce };
    const [scheme, value] = (request.headers.authorization ?? '').split(' ');
    const proof = request.headers.dpop;
    if (scheme !== 'DPoP' || !value || !proof) return { error: 'invalid_token', headers };
    let verified;
    try {
      verified = await jwtVerify(proof, EmbeddedJWK, { algorithms: ['ES256'], typ: 'dpop+jwt', maxTokenAge: 300 });
    } catch {
      return { error: 'invalid_dpop_proof', headers };
    }
    const { payload, protectedHeader } = verified;
    const right =
      payload.htm === request.method &&
      payload.htu === this.origin + pathname &&
      payload.ath === createHash('sha256').update(value).digest('base64url') &&
      typeof payload.jti === 'string' &&
      !this.used.has(payload.jti) &&
      !protectedHeader.jwk.d;
    this.used.add(payload.jti);
    if (!right) return { error: 'invalid_dpop_proof', headers };
    const { provider } = this;
    const token = (await provider.ClientCredentials.find(value)) ?? (await provider.AccessToken.find(value));
    const thumbprint = await calculateJwkThumbprint(protectedHeader.jwk);
    if (!token?.isValid || token.jkt !== thumbprint) return { error: 'invalid_token', headers };
    if (payload.nonce !== this.nonce) return { error: 'use_dpop_nonce', headers };
    this.served += 1;
    if (config.nonceEvery && this.served % config.nonceEvery === 0) this.nonce = randomBytes(9).toString('base64url');
    // The next nonce comes with a good answer only when it is a new one (§8.2).
    return { headers: this.nonce === headers['dpop-nonce'] ? {} : { 'dpop-nonce': this.nonce } };
  }
}

await serve(args, (origin, requests) => {
  console.info = console.warn = () => {};
  const provider = new Provider(origin, settings);
  const handle = provider.callback();
  provider.on('server_error', (_context, error) => console.error(error));
  const guard = new Guard(provider, origin);
  const broken = new Set();
  const written = new Set();
  let deleted = false;

  return async (request, response) => {
    const seen = requests.at(-1);
    const { pathname } = new URL(request.url, origin);
    if (pathname.startsWith('/_login/')) return grantAtOnce(provider, request, response);
    if (!pathname.startsWith(FHIR)) return handle(request, response);
    const path = pathname.slice(FHIR.length);
    const json = { 'content-type': 'application/json' };
    if (path === '/.well-known/smart-configuration') {
      const document = { issuer: origin, token_endpoint: `${origin}/token`, authorization_endpoint: `${origin}/auth` };
      return send(response, 200, JSON.stringify({ ...document, capabilities: [] }), json);
    }
    if (path === '/metadata') return send(response, 200, '{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1"}', json);
    const { error, headers } = await guard.check(request, pathname);
    seen.checked = error ?? 'ok';
    if (error) {
      const challenge = { ...json, ...headers, 'www-authenticate': `DPoP algs="ES256", error="${error}"` };
      return send(response, 401, outcome(`the proof or the token is not good: ${error}`), challenge);
    }
    const fhir = { 'content-type': 'application/fhir+json', ...headers };
    if (path === '/Patient/1') return send(response, 200, '{"resourceType":"Patient","id":"1"}', fhir);
    if (path === '/Patient') return send(response, 200, '{"resourceType":"Bundle","type":"searchset"}', fhir);
    if (path === '/Patient/moved') return send(response, 307, '', { ...headers, location: `${FHIR}/Patient/1?moved=yes` });
    if (path === '/Patient/elsewhere') return send(response, 307, '', { ...headers, location: config.elsewhere });
    if (path === '/$export') return send(response, 202, '', { ...headers, 'content-location': `${origin}${FHIR}/job` });
    if (path === '/job' && request.method === 'DELETE') {
      deleted = true;
      return send(response, 202, '', headers);
    }
    if (path === '/job' && !deleted) return send(response, 200, manifest(origin), { ...json, ...headers });
    if (path.startsWith('/files/')) return file(request, response, path.slice(7), headers, broken);
    if (request.method === 'POST' && path === '/Patient') return send(response, 201, '', fhir);
    if (request.method === 'PUT' && path.startsWith('/Patient/')) {
      written.add(path);
      return send(response, 201, '', fhir);
    }
    if (path === '/_written') return send(response, 200, JSON.stringify([...written]), fhir);
    send(response, 404, outcome(`${path} is not known`), fhir);
  };
});

function manifest(origin) {
  const names = types.slice(0, config.files ?? 3);
  return JSON.stringify({
    transactionTime: '2026-01-31T10:00:00.000Z',
    request: `${origin}${FHIR}/$export`,
    requiresAccessToken: true,
    output: names.map((type) => ({ type, url: `${origin}${FHIR}/files/${type}?part=1`, count: LINES })),
    error: [],
  });
}

/** A file with ranges; a first answer may break off in the middle. */
function file(request, response, type, headers, broken) {
  const lines = Array.from({ length: LINES }, (_, n) => `{"resourceType":"${type}","id":"${n}"}\n`);
  const bytes = Buffer.from(lines.join(''));
  const common = { ...headers, 'content-type': 'application/fhir+ndjson', etag: `"${type}"`, 'accept-ranges': 'bytes' };
  const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const rest = bytes.subarray(from);
  const range = from ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
  response.writeHead(from ? 206 : 200, { ...common, ...range, 'content-length': rest.length });
  if (config.dropFirst && !broken.has(type)) {
    broken.add(type);
    return response.write(rest.subarray(0, rest.length / 2), () => setTimeout(() => response.destroy(), 50));
  }
  response.end(rest);
}

/** Signs in as the one account and grants every scope that was asked for. */
async function grantAtOnce(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const grant = new provider.Grant({ accountId: ACCOUNT, clientId: params.client_id });
  grant.addOIDCScope(params.scope ?? 'openid');
  const grantId = await grant.save();
  const result = { login: { accountId: ACCOUNT }, consent: { grantId } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

function outcome(diagnostics) {
  return JSON.stringify({ resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'login', diagnostics }] });
}
