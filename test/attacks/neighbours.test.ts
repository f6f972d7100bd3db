import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { Hono } from 'hono';
import { afterAll, describe, expect, it } from 'vitest';
import { sealLink } from '../../src/build/index.ts';
import { createLink } from '../fakes/sample-build.ts';
import type { BuildLook, StepRun } from '../../src/logs/index.ts';
import type { Forge, Repository } from '../../src/forges/forge.ts';
import { createForges, type Forges } from '../../src/forges/index.ts';
import { parseKeyring, toJwks } from '../../src/sealing/index.ts';
import { handleBuildLog } from '../../src/server/build-log.ts';
import { toErrorResponse } from '../../src/server/responses.ts';
import { listen, type Listener } from '../../src/server/listen.ts';
import { createOpenViews } from '../../src/server/open-views.ts';
import { createOfflineHook } from '../fakes/offline-hook.ts';
import { encrypt, SECRET, serveApp, type ServedApp } from '../fakes/served-app.ts';
import { toHeaders, toPath } from './outsider.ts';

describe('A12 A repository that uses up shared resources', () => {
  /**
   * Delivers pushes until one is refused; returns the number of accepted ones. `isConfirmed`: the forge confirms each
   * push. `isKnown`: c3 has sealed the key.
   */
  async function fill(
    served: ServedApp,
    repo: string,
    { token, isConfirmed, isKnown = false }: { token: string; isConfirmed: boolean; isKnown?: boolean },
  ): Promise<number> {
    const c3 = { baseUrl: 'https://c3.example', jwks: toJwks(parseKeyring(SECRET)) };
    let { url, secret } = await createOfflineHook(c3, repo, { token });
    if (isKnown) [url = '', secret = ''] = (await encrypt(served.app, `repo=${repo}&for=hook`, token)).text.split('\n');
    for (let taken = 0; ; taken += 1) {
      const full_name = repo.slice(repo.indexOf('/') + 1);
      const body = JSON.stringify({ ref: 'refs/heads/main', after: '1'.repeat(40), repository: { full_name }, taken });
      const answer = await served.app.request(toPath(url), { method: 'POST', headers: toHeaders(secret, body), body });
      if (answer.status !== 202) return taken;
      const request = served.requests.at(-1);
      if (isConfirmed) await request?.repository.prove(request.build, request.signal);
    }
  }

  it('gets no more builds with many tokens, and loses none to the tokens of strangers', async () => {
    const served = serveApp({ maxBuilds: 5, rateLimitNew: 1_000 });
    for (let n = 0; n < 20; n += 1)
      await fill(served, 'github.com/acme/victim', { token: `stranger-${n}`, isConfirmed: false });
    let held = 0;
    for (let n = 0; n < 20; n += 1)
      held += await fill(served, 'github.com/acme/greedy', { token: `own-${n}`, isConfirmed: true });
    expect(held).toBe(5);
    expect(await fill(served, 'github.com/acme/victim', { token: 'victim', isConfirmed: false, isKnown: true })).toBe(
      5,
    );
    served.end();
  });
});

describe('A12 Readers that do not read the responses', () => {
  const keyring = parseKeyring(SECRET);
  const step = { name: 's', phase: { kind: 'passed' }, attempt: 1, isAllowed: false, startedAt: 1, endedAt: 2 };
  const state = { source: {}, phase: { kind: 'ended', ending: { kind: 'passed' } }, steps: [step], warnings: [] };
  const view = {
    state,
    close: () => {},
    async copyLog(_: StepRun, { signal, onBytes }: { signal: AbortSignal; onBytes(bytes: Uint8Array): Promise<void> }) {
      while (!signal.aborted) await onBytes(Buffer.alloc(256 * 1024, 'x'));
      return { kind: 'whole', to: 0 };
    },
  };
  const forge = { webUrl: () => '', commitUrl: () => '', openRepository: () => ({ close: () => Promise.resolve() }) };
  const views = createOpenViews({
    keyring,
    forgeFor: () => forge as unknown as Forge,
    checkScope: () => {},
    findRunning: () => undefined,
    open: () => Promise.resolve({ kind: 'seen', view } as unknown as BuildLook),
  });
  const app = new Hono();
  app.get('/b/:sealed/log', ({ req }) =>
    handleBuildLog(req.raw, req.param('sealed'), {
      openView: views.open,
      baseUrl: () => '',
      now: Date.now,
      closing: new AbortController().signal,
    }),
  );
  app.onError((error) => toErrorResponse(error));
  const sockets: Socket[] = [];
  let listener: Listener | undefined;
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await listener?.close();
    await views.close();
  });

  it('hold at most a third of the connections, and only for seconds', async () => {
    listener = await listen(app, { host: '127.0.0.1', port: 0, onFault: () => {}, limits: { stallMs: 10_000 } });
    const { origin, port } = new URL(listener.origin);
    async function toUrl(owner: string, buildId: string): Promise<string> {
      const scope = { host: 'github.com', owner, name: 'shop' };
      const link = createLink({ scope, id: buildId, trust: 'other', token: owner });
      return `${origin}/b/${await sealLink(keyring, link)}/log`;
    }
    /** Returns the status of a raw log, without reading its body. */
    async function ask(url: string): Promise<number> {
      const gone = new AbortController();
      const { status } = await fetch(url, { signal: gone.signal });
      gone.abort();
      return status;
    }
    // All at once: a slow machine must not end the first one before it opens the last one.
    const urls = await Promise.all(Array.from({ length: 80 }, (_, n) => toUrl('mallory', `${n % 10}`.repeat(12))));
    for (const url of urls) {
      const socket = connect(Number(port), '127.0.0.1').pause();
      socket.on('error', () => {}).write(`GET ${new URL(url).pathname} HTTP/1.1\r\nHost: c3\r\n\r\n`);
      sockets.push(socket);
    }
    await expect.poll(async () => ask(await toUrl('mallory', 'a'.repeat(12)))).toBe(429);
    expect(await ask(await toUrl('ann', 'b'.repeat(12)))).toBe(200);
    await expect.poll(async () => ask(await toUrl('mallory', 'a'.repeat(12)))).toBe(200);
  });
});

describe('A12 Slow calls of the forge', () => {
  const REF = { kind: 'branch', name: 'main' } as const;
  const SHA = '1'.repeat(40);
  let held = 0;
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/repos/stranger') === true) held += 1;
    else response.writeHead(404).end();
  });
  let forges: Forges | undefined;
  afterAll(async () => {
    await forges?.close();
    server.closeAllConnections();
    server.close();
  });

  it('leave all connections but eight to known hooks, and some of these to each repository, during requests of strangers', async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    forges = createForges([{ kind: 'github', origin, apiBase: origin }]);
    const { host } = new URL(origin);
    const never = new AbortController().signal;
    const open = (owner: string, token: string, isConfirmed: boolean): Repository => {
      const scope = { host, owner, name: 'shop' };
      return forges!.forgeFor(scope).openRepository(scope, token, { isConfirmed: () => isConfirmed });
    };
    async function flood(owner: (n: number) => string): Promise<void> {
      for (let n = 0; n < 100; n += 1) {
        const proof = open(owner(n), `token${n}`, false).prove({ ref: REF, sha: SHA }, never);
        proof.catch(() => {}); // the connections end first
      }
      expect(await open('acme', 'token', true).readFile('c3.yaml', SHA, never)).toEqual({ kind: 'missing' });
    }
    await flood(() => 'stranger');
    await expect.poll(() => held).toBe(2);
    expect(await open('newcomer', 'token', false).checkAccess(never)).toMatch('the forge answers 404');
    await flood((n) => `stranger${n}`);
    await expect.poll(() => held).toBe(8);
  });
});
