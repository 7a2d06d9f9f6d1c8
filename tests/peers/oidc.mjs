// oidc-provider (a certified OAuth server) and a small SMART server behind it, in one process.
//
//   node oidc.mjs [--port N] [--ttl SECONDS] [--config FILE.json] [--log]
//
// Machine clients that are always there, with the secrets below: `simple` and `header` are registered for the Basic
// header, `body` for the form body. The provider takes either place from each of them, but never both at once; where the
// secret was is in `GET /_requests`, as `secret_in`. `--ttl` is the lifetime of access tokens. `--config` is JSON, added to what is here:
//   { "clients": [client metadata: jwks, jwks_uri, redirect_uris, ...], "scopes": ["..."], "ttl": {"RefreshToken": 60},
//     "features": {"deviceFlow": {"enabled": true}}, "provider": {other settings of oidc-provider that are plain data},
//     "refreshTokens": "always", "login": "forms", "pkce": "always" }
// `"par": "offered"` takes authorization requests that were left before (RFC 9126), `"par": "required"` no others.
// `"mtls": "headers"` takes clients by the certificate in `X-Certificate`, escaped, if `X-Verified` is SUCCESS (nginx).
// `"refreshTokens": "always"` issues them without the scope `offline_access`. `"login": "forms"` keeps oidc-provider's own
// pages, for a browser; without it every authorization request is granted at once to the account `practitioner-1`.
// The provider takes printable ASCII only in a secret (RFC 6749 VSCHAR), so no `é` here.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';
import { options, send, serve } from './launch.mjs';

const SIMPLE_SECRET = 'simple-secret';
const HEADER_SECRET = 's3cr:t/+%&= "x"?#~';
const BODY_SECRET = 'p@ss+w0rd/%41&a=b;:c d';
const FHIR_PATH = '/fhir/R4';
const ACCOUNT = 'practitioner-1';

// oidc-provider wants Node 22 (it says so on stderr); this is all that the older releases of Node 20 lack.
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);

const args = options({ ttl: { type: 'string', default: '300' }, config: { type: 'string' } });
const config = args.config ? JSON.parse(readFileSync(args.config, 'utf8')) : {};
const ttl = Number(args.ttl);

const machine = (client_id, client_secret, token_endpoint_auth_method) => ({
  client_id,
  client_secret,
  token_endpoint_auth_method,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});

const scopes = ['openid', 'offline_access', 'online_access', 'fhirUser', 'launch', 'launch/patient'];
for (const context of ['system', 'user', 'patient']) {
  for (const type of ['*', 'Patient', 'Observation', 'Encounter', 'Condition', 'Group']) {
    for (const right of ['read', 'write', '*', 'rs', 'cruds']) scopes.push(`${context}/${type}.${right}`);
  }
}

// The certificate of the TLS connection, as nginx hands it on.
const certificates = {
  enabled: true,
  tlsClientAuth: true,
  getCertificate: (context) => decodeURIComponent(context.get('x-certificate')) || undefined,
  certificateAuthorized: (context) => context.get('x-verified') === 'SUCCESS',
  certificateSubjectMatches: (context, property, expected) =>
    property === 'tls_client_auth_san_dns' &&
    new X509Certificate(decodeURIComponent(context.get('x-certificate'))).checkHost(expected) !== undefined,
};

function settings() {
  const forms = config.login === 'forms';
  return {
    clients: [
      machine('simple', SIMPLE_SECRET, 'client_secret_basic'),
      machine('header', HEADER_SECRET, 'client_secret_basic'),
      machine('body', BODY_SECRET, 'client_secret_post'),
      ...(config.clients ?? []),
    ],
    scopes: [...scopes, ...(config.scopes ?? [])],
    claims: { openid: ['sub'], fhirUser: ['fhirUser'] },
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      // Off, so that a plain request gets an opaque token with the scopes it asked for.
      resourceIndicators: { enabled: false },
      devInteractions: { enabled: forms },
      ...(config.mtls === 'headers' && { mTLS: certificates }),
      pushedAuthorizationRequests: {
        enabled: Boolean(config.par),
        requirePushedAuthorizationRequests: config.par === 'required',
      },
      ...config.features,
    },
    ...(forms ? {} : { interactions: { url: (_context, interaction) => `/_login/${interaction.uid}` } }),
    ...(config.refreshTokens === 'always' && {
      issueRefreshToken: async (_context, client) => client.grantTypeAllowed('refresh_token'),
    }),
    // The provider itself asks it of public clients only.
    ...(config.pkce === 'always' && { pkce: { required: () => true } }),
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, fhirUser: `Practitioner/${id}` }),
    }),
    ttl: {
      AccessToken: ttl,
      ClientCredentials: ttl,
      AuthorizationCode: 60,
      DeviceCode: 600,
      Grant: 86_400,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 86_400,
      Session: 86_400,
      ...config.ttl,
    },
    // SMART asks for RS384 and ES384; the provider leaves them out by default.
    ...(config.mtls && { clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'tls_client_auth'] }),
    enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'RS384', 'ES256', 'ES384', 'HS256'] },
    cookies: { keys: ['a key of the tests'] },
    // The JWKS URLs of the tests are on loopback, which the provider's own dispatcher refuses to reach.
    fetch: (url, { dispatcher: _, ...options }) => globalThis.fetch(url, options),
    ...config.provider,
  };
}

await serve(args, (origin, requests) => {
  // The provider speaks of its defaults on stdout and stderr; stdout is for the `listening` line.
  console.info = console.warn = () => {};
  const provider = new Provider(origin, settings());
  const handle = provider.callback();
  // What each token request held, beside the plain record of requests: never the secret itself.
  const record = (result) => (context, error) => {
    const { params = {}, client } = context.oidc ?? {};
    requests.push({
      token: result,
      grant_type: params.grant_type,
      scope: params.scope,
      client: client?.clientId,
      secret_in: context.headers.authorization ? 'header' : params.client_secret ? 'body' : 'neither',
      error: error?.error,
      error_detail: error?.error_detail,
    });
  };
  provider.on('grant.success', record('issued'));
  provider.on('grant.error', record('refused'));
  provider.on('server_error', (_context, error) => console.error(error));

  return async (request, response) => {
    const { pathname } = new URL(request.url, origin);
    if (pathname.startsWith('/_login/')) return grantAtOnce(provider, request, response);
    if (!pathname.startsWith(FHIR_PATH)) return handle(request, response);
    const path = pathname.slice(FHIR_PATH.length);
    const json = { 'content-type': 'application/json' };
    if (path === '/.well-known/smart-configuration') return send(response, 200, smartConfiguration(origin), json);
    const fhir = { 'content-type': 'application/fhir+json' };
    if (path === '/metadata') return send(response, 200, capabilities(origin), fhir);
    if (!(await isGood(provider, request.headers.authorization))) {
      const challenge = { ...fhir, 'www-authenticate': 'Bearer error="invalid_token"' };
      return send(response, 401, outcome('login', 'The access token is missing, expired or revoked'), challenge);
    }
    if (path === '/Patient/1') return send(response, 200, PATIENT, { ...fhir, etag: 'W/"1"' });
    send(response, 404, outcome('not-found', `${path} is not known`), fhir);
  };
});

/** Asks the provider itself; a token bound to a DPoP key or a certificate is no bearer token. */
async function isGood(provider, authorization) {
  const [scheme, value] = (authorization ?? '').split(' ');
  if (scheme.toLowerCase() !== 'bearer' || !value) return false;
  const token = (await provider.ClientCredentials.find(value)) ?? (await provider.AccessToken.find(value));
  return Boolean(token?.isValid && !token.isSenderConstrained());
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

function smartConfiguration(origin) {
  return JSON.stringify({
    issuer: origin,
    jwks_uri: `${origin}/jwks`,
    authorization_endpoint: `${origin}/auth`,
    token_endpoint: `${origin}/token`,
    introspection_endpoint: `${origin}/token/introspection`,
    revocation_endpoint: `${origin}/token/revocation`,
    // The provider names itself in every answer (RFC 9207).
    authorization_response_iss_parameter_supported: true,
    ...(config.par && { pushed_authorization_request_endpoint: `${origin}/request` }),
    ...(config.par === 'required' && { require_pushed_authorization_requests: true }),
    ...(config.features?.deviceFlow?.enabled && { device_authorization_endpoint: `${origin}/device/auth` }),
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: ['RS384', 'ES384'],
    grant_types_supported: ['authorization_code', 'client_credentials', 'refresh_token'],
    response_types_supported: ['code'],
    code_challenge_methods_supported: ['S256'],
    scopes_supported: scopes,
    capabilities: [
      'client-confidential-symmetric',
      'client-confidential-asymmetric',
      'client-public',
      'launch-standalone',
      'permission-offline',
      'permission-v1',
      'permission-v2',
    ],
  });
}

function capabilities(origin) {
  return JSON.stringify({
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: '2026-01-01',
    kind: 'instance',
    implementation: { description: 'SMART server on oidc-provider', url: origin + FHIR_PATH },
    fhirVersion: '4.0.1',
    format: ['json'],
    rest: [
      {
        mode: 'server',
        security: {
          extension: [
            {
              url: 'http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris',
              extension: [
                { url: 'token', valueUri: `${origin}/token` },
                { url: 'authorize', valueUri: `${origin}/auth` },
              ],
            },
          ],
        },
      },
    ],
  });
}

function outcome(code, diagnostics) {
  return JSON.stringify({ resourceType: 'OperationOutcome', issue: [{ severity: 'error', code, diagnostics }] });
}

// Text, not an object: its numbers must leave as they stand here.
const PATIENT = `{"resourceType":"Patient","id":"1","extension":[{"url":"http://example.com/weight","valueDecimal":1.00},\
{"url":"http://example.com/large","valueDecimal":12345678901234567890}],"name":[{"family":"Chalmers","given":["Peter"]}]}`;
