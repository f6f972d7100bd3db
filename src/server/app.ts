import { Hono } from 'hono';
import { C3Error } from '../errors.ts';
import type { Log } from '../log.ts';
import { renderStartPage } from '../show/index.ts';
import { formatSchema } from '../pipeline/index.ts';
import { toJwks } from '../sealing/index.ts';
import { handleCancel, handleRerun } from './build-control.ts';
import { handleBuildEvents } from './build-events.ts';
import { handleBuildLog } from './build-log.ts';
import { handleBuildPage, type BuildPageDependencies } from './build-page.ts';
import { handleControlLink, type ControlLinkDependencies } from './control-link.ts';
import { handleDocument } from './documents.ts';
import { handleEncrypt, type EncryptDependencies } from './encrypt.ts';
import { handleHook, type HookDependencies } from './hook.ts';
import {
  acceptsHtml,
  errorResponse,
  pageResponse,
  responseHeaders,
  textResponse,
  toErrorResponse,
} from './responses.ts';

export interface AppDependencies
  extends EncryptDependencies, HookDependencies, ControlLinkDependencies, BuildPageDependencies {
  readonly log: Log;
}

/** Creates all routes. They need no socket: `app.fetch(new Request(…))`. */
export function createApp(dependencies: AppDependencies): Hono {
  const app = new Hono();
  app.get('/', ({ req }) => showStart(req.raw, dependencies));
  app.post('/encrypt', (context) => handleEncrypt(context.req.raw, dependencies));
  app.post('/hook', (context) => handleHook(context.req.raw, dependencies));
  app.get('/b/:sealed', ({ req }) => handleBuildPage(req.raw, req.param('sealed'), dependencies));
  app.get('/b/:sealed/log', ({ req }) => handleBuildLog(req.raw, req.param('sealed'), dependencies));
  app.get('/b/:sealed/events', ({ req }) => handleBuildEvents(req.raw, req.param('sealed'), dependencies));
  app.post('/b/:sealed/cancel', ({ req }) => handleCancel(req.raw, req.param('sealed'), dependencies));
  app.post('/b/:sealed/rerun', ({ req }) => handleRerun(req.raw, req.param('sealed'), dependencies));
  app.post('/b/:sealed/control', ({ req }) => handleControlLink(req.raw, req.param('sealed'), dependencies));
  app.get('/healthz', () => textResponse(200, 'ok'));
  app.get('/readyz', () => {
    dependencies.builds.checkAccepting();
    return textResponse(200, 'ok');
  });
  app.get('/.well-known/jwks.json', async () => {
    const keys = toJwks(dependencies.keyring);
    return new Response(JSON.stringify(keys), { headers: responseHeaders('application/jwk-set+json') });
  });
  app.get('/schema.json', () => new Response(SCHEMA, { headers: responseHeaders('application/schema+json') }));
  app.get('/docs/:name', ({ req }) => handleDocument(req.raw, req.param('name')));
  app.notFound(({ req }) => {
    const methods = app.routes.filter(({ path }) => toPattern(path).test(req.path)).map(({ method }) => method);
    if (methods.length === 0) return errorResponse(req.raw, 404, [`There is no ${req.path} here`]);
    const allowed = [...new Set(methods)].join(', ');
    const response = errorResponse(req.raw, 405, [`${req.path} accepts ${allowed}, not ${req.method}`]);
    response.headers.set('allow', allowed);
    return response;
  });
  app.onError((error, context) => {
    // A9: no query, which may contain a hook's key, and no sealed link.
    const path = context.req.path.replace(/^\/b\/[^/]*/, '/b/…');
    const fields = { method: context.req.method, path };
    if (error instanceof C3Error) dependencies.log.info({ ...fields, code: error.code }, `refused: ${error.message}`);
    else dependencies.log.error({ ...fields, error: error.stack ?? String(error) }, 'request failed inside c3');
    return toErrorResponse(error, context.req.raw);
  });
  return app;
}

/** Makes an expression for a route such as `/b/:sealed/log`. */
function toPattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', String.raw`\.`).replaceAll(/:\w+/g, '[^/]+')}$`);
}

/** Sends a page to browsers, and a few lines to terminals. */
function showStart(request: Request, { keyring, baseUrl }: EncryptDependencies): Response {
  if (!acceptsHtml(request)) return textResponse(200, START_TEXT);
  const [{ id, publicKey }] = keyring.keys;
  return pageResponse(200, renderStartPage({ baseUrl: baseUrl(), publicKey: { kid: id, x: publicKey } }));
}

/** The JSON Schema of c3.yaml, for editors. */
const SCHEMA = formatSchema();

const START_TEXT = `c3 is a minimal, stateless CI/CD service for Kubernetes.

Seal a value for one repository and one purpose. The body is the value:
  POST /encrypt?repo=HOST/OWNER/NAME&for=hook|k8s|telegram|secret:NAME
Create a webhook in the repository, with the URL and the secret that for=hook returns:
  POST /hook?key=...&repo=...
Get the public key, to seal a value without sending it:
  GET /.well-known/jwks.json
  (A hook key is then 44 characters longer. GitHub allows 255 for the URL. With a base URL of 45 characters and a
  token of 93, OWNER/NAME may have 11.)
Get the JSON Schema of c3.yaml, for editors:
  GET /schema.json
Read the documents:
  GET /docs/README.md`;
