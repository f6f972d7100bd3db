import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { createForges, type Forges } from '../../src/forges/index.ts';
import { encrypt, serveApp, type ServedApp } from '../fakes/served-app.ts';
import { toHeaders, toPath } from './outsider.ts';

describe('A12 A repository that takes what all share', () => {
  /** Delivers pushes until one is refused; how many were taken. Where it is confirmed, the forge does so after each. */
  async function fill(
    served: ServedApp,
    repo: string,
    { token, isConfirmed }: { token: string; isConfirmed: boolean },
  ): Promise<number> {
    const [url = '', secret = ''] = (await encrypt(served.app, `repo=${repo}&for=hook`, token)).text.split('\n');
    for (let taken = 0; ; taken += 1) {
      const full_name = repo.slice(repo.indexOf('/') + 1);
      const body = JSON.stringify({ ref: 'refs/heads/main', after: '1'.repeat(40), repository: { full_name }, taken });
      const answer = await served.app.request(toPath(url), { method: 'POST', headers: toHeaders(secret, body), body });
      if (answer.status !== 202) return taken;
      const request = served.requests.at(-1);
      if (isConfirmed) await request?.repository.prove(request.push, request.signal);
    }
  }

  it('gets no more builds by any number of tokens, nor by strangers with theirs', async () => {
    const served = serveApp({ maxBuilds: 5, rateLimitNew: 1_000 });
    for (let n = 0; n < 20; n += 1)
      await fill(served, 'github.com/acme/victim', { token: `stranger-${n}`, isConfirmed: false });
    let held = 0;
    for (let n = 0; n < 20; n += 1)
      held += await fill(served, 'github.com/acme/greedy', { token: `own-${n}`, isConfirmed: true });
    expect(held).toBe(5);
    expect(await fill(served, 'github.com/acme/victim', { token: 'victim', isConfirmed: true })).toBe(5);
    served.end();
  });
});

describe('A12 Calls of the forge that take long', () => {
  const PUSH = { ref: 'refs/heads/main', refKind: 'branch', refName: 'main', subject: '', author: '' } as const;
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

  it('leave all connections but eight to hooks that are confirmed, whatever strangers ask for', async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    forges = createForges([{ kind: 'github', origin, apiBase: origin }]);
    const { host } = new URL(origin);
    const never = new AbortController().signal;
    for (let n = 0; n < 100; n += 1) {
      const scope = { host, owner: `stranger${n}`, name: 'shop' };
      const options = { isConfirmed: () => false };
      const proof = forges
        .forgeFor(scope)
        .openRepository(scope, `token${n}`, options)
        .prove({ ...PUSH, sha: SHA, commitUrl: '' }, never);
      proof.catch(() => {}); // the connections end before it does
    }
    const scope = { host, owner: 'acme', name: 'shop' };
    const repository = forges.forgeFor(scope).openRepository(scope, 'token');
    expect(await repository.readFile('c3.yaml', SHA, never)).toEqual({ kind: 'missing' });
    await expect.poll(() => held).toBe(8);
  });
});
