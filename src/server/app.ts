import { Hono } from 'hono';
import { C3Error } from '../errors.ts';
import type { Log } from '../log.ts';
import { renderStartPage } from '../show/index.ts';
import { formatSchema } from '../pipeline/index.ts';
import { toJwks } from '../sealing/index.ts';
import { handleCancel, handleRerun } from './build-control.ts';
import { handleBuildEvents } from './build-events.ts';
import { handleBuildLog, handleBuildPage, type BuildPageDependencies } from './build-page.ts';
import { handleEncrypt, type EncryptDependencies } from './encrypt.ts';
import { answerHeaders, answerText, toErrorAnswer } from './error-answer.ts';
import { handleHook, type HookDependencies } from './hook.ts';

export interface AppDependencies extends EncryptDependencies, HookDependencies, BuildPageDependencies {
  readonly log: Log;
}

/** All routes, without a socket: `app.fetch(new Request(…))`. */
export function createApp(dependencies: AppDependencies): Hono {
  const app = new Hono();
  app.get('/', (context) => answerStart(context.req.header('accept') ?? '', dependencies));
  app.post('/encrypt', (context) => handleEncrypt(context.req.raw, dependencies));
  app.post('/hook', (context) => handleHook(context.req.raw, dependencies));
  const { look, now, closing } = dependencies;
  const page: BuildPageDependencies = { look, now, closing };
  app.get('/b/:sealed', ({ req }) => handleBuildPage(req.raw, req.param('sealed'), page));
  app.get('/b/:sealed/log', ({ req }) => handleBuildLog(req.raw, req.param('sealed'), page));
  app.get('/b/:sealed/events', ({ req }) => handleBuildEvents(req.raw, req.param('sealed'), page));
  app.post('/b/:sealed/cancel', ({ req }) => handleCancel(req.raw, req.param('sealed'), dependencies));
  app.post('/b/:sealed/rerun', ({ req }) => handleRerun(req.raw, req.param('sealed'), dependencies));
  app.get('/healthz', () => answerText(200, 'ok'));
  app.get('/readyz', () => {
    dependencies.builds.checkOpen();
    return answerText(200, 'ok');
  });
  app.get('/.well-known/jwks.json', async () => {
    const keys = await toJwks(dependencies.keyring);
    return new Response(JSON.stringify(keys), { headers: answerHeaders('application/jwk-set+json') });
  });
  app.get('/schema.json', () => new Response(SCHEMA, { headers: answerHeaders('application/schema+json') }));
  app.notFound((context) => answerText(404, `There is no ${context.req.method} ${context.req.path} here`));
  app.onError((error, context) => {
    // The path only: the query of a hook holds its key. That of a build page is one itself.
    const path = context.req.path.replace(/^\/b\/[^/]*/, '/b/…');
    const fields = { method: context.req.method, path };
    if (error instanceof C3Error) dependencies.log.info({ ...fields, code: error.code }, `refused: ${error.message}`);
    else dependencies.log.error({ ...fields, error: error.stack ?? String(error) }, 'request failed inside c3');
    return toErrorAnswer(error);
  });
  return app;
}

/** A page for browsers, the same in a few lines for a terminal. */
function answerStart(accept: string, { keyring, baseUrl }: EncryptDependencies): Response {
  if (!accept.includes('text/html')) return answerText(200, START_TEXT);
  const [{ id, publicKey }] = keyring.keys;
  const { html, contentSecurityPolicy } = renderStartPage({ baseUrl: baseUrl(), publicKey: { kid: id, x: publicKey } });
  const headers = answerHeaders('text/html; charset=utf-8');
  return new Response(html, { headers: { ...headers, 'content-security-policy': contentSecurityPolicy } });
}

/** Of c3.yaml, for editors. */
const SCHEMA = formatSchema();

const START_TEXT = `c3 is a minimal, stateless CI/CD service for Kubernetes.

Seal a value for one repository and one purpose:
  POST /encrypt?repo=HOST/OWNER/NAME&for=hook|k8s|telegram|secret:NAME   (the body is the value)
Point the repository's webhook at the URL that for=hook answers, with the secret that it answers:
  POST /hook?key=...&repo=...
The public key, to seal without sending anything:
  GET /.well-known/jwks.json   (with it a key for the hook is 44 characters longer: of a 45-character base URL and a 93-character
  token, GitHub's 255 characters leave 11 for OWNER/NAME)
The JSON Schema of c3.yaml, for editors:
  GET /schema.json`;
