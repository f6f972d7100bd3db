import { describe, expect, it } from 'vitest';
import { openLink, sealLink } from '../build/index.ts';
import { createLink } from '../../test/fakes/sample-build.ts';
import { SECRET, serveApp, TOKEN, type ServedApp } from '../../test/fakes/served-app.ts';
import { C3Error } from '../errors.ts';
import { parseKeyring, parseScope } from '../sealing/index.ts';

const keyring = parseKeyring(SECRET);
const LINK = createLink({ right: 'view', scope: parseScope('github.com/acme/shop'), token: TOKEN });
const WRITER = 'ghp_a-writer';

/** A forge that knows one token that may push. */
function serve(): ServedApp & { readonly checked: string[] } {
  const checked: string[] = [];
  const served = serveApp({
    checkAccess(token) {
      checked.push(token);
      if (token === WRITER) return Promise.resolve(undefined);
      if (token === 'ghp_nobody') return Promise.reject(new C3Error('FORGE_UNAUTHORIZED', 'Bad credentials'));
      if (token === 'ghp_late') return Promise.reject(new C3Error('FORGE_UNREACHABLE', 'GitHub does not answer'));
      return Promise.resolve('the token sealed in the hook key may not push');
    },
  });
  return { ...served, checked };
}

async function ask(
  { app }: ServedApp,
  headers: Record<string, string>,
  link = LINK,
): Promise<{ readonly status: number; readonly text: string }> {
  const path = `https://c3.example/b/${await sealLink(keyring, link)}/control`;
  const answer = await app.request(path, { method: 'POST', headers });
  return { status: answer.status, text: await answer.text() };
}

describe('POST /b/SEALED/control', () => {
  it('responds with the control link of the same build to a token that may push', async () => {
    const served = serve();
    const { status, text } = await ask(served, { authorization: `Bearer ${WRITER}` });
    expect([status, served.checked]).toEqual([200, [WRITER]]);
    const [, sealed = ''] = /^https:\/\/c3\.example\/b\/(\S+)\n$/.exec(text) ?? [];
    expect(await openLink(keyring, sealed)).toEqual({ ...LINK, right: 'control', isGiven: true });
    expect(served.log.join('\n')).toContain('control link given for a token that may push');
    expect(served.log.join('\n')).not.toMatch(/ghp_|kS\./);
  });

  it.each([
    ['may not push', 'Bearer ghp_reader', 403, /^The forge does not say that this token may push to github\.com\/acme/],
    ['the forge does not know', 'Bearer ghp_nobody', 403, /^The forge does not say that this token may push to/],
    ['the forge does not check', 'Bearer ghp_late', 502, /^GitHub does not answer/],
    ['is missing', '', 400, /^The request has no access token of the forge\n/],
    ['has spaces', 'Bearer a b', 400, /^The request has no access token/],
    ['is a password', `Basic ${WRITER}`, 400, /^The request has no access token/],
  ])('refuses a token that %s', async (_, authorization, status, text) => {
    const served = serve();
    const answer = await ask(served, { authorization });
    expect(answer).toEqual({ status, text: expect.stringMatching(text) });
    expect(served.log.join('\n') + answer.text).not.toMatch(/ghp_|hook key|Bad credentials/);
  });

  it('refuses an older commit, which anyone who may push could run again', async () => {
    const answer = await ask(serveApp({ isHead: false }), { authorization: `Bearer ${WRITER}` });
    expect(answer).toEqual({
      status: 403,
      text: expect.stringMatching(/is the head of its ref\n.* use the control link/),
    });
  });

  it('checks a few tokens a minute for a repository, and others for another', async () => {
    const served = serve();
    const headers = { authorization: 'Bearer ghp_reader' };
    const statuses = [];
    for (let n = 0; n < 4; n += 1) statuses.push((await ask(served, headers)).status);
    expect(statuses).toEqual([403, 403, 403, 429]);
    const other = createLink({ right: 'view', scope: parseScope('github.com/acme/other'), token: TOKEN });
    expect((await ask(served, { authorization: `Bearer ${WRITER}` }, other)).status).toBe(200);
  });

  it('asks the forge nothing for another site, a link that does not open or a repository that is not served', async () => {
    const served = serve();
    const headers = { authorization: `Bearer ${WRITER}` };
    expect((await ask(served, { ...headers, 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    const stranger = createLink({ right: 'view', scope: parseScope('github.com/stranger/shop'), token: TOKEN });
    expect((await ask(served, headers, stranger)).status).toBe(403);
    const path = `https://c3.example/b/${await sealLink(keyring, LINK)}x/control`;
    expect((await served.app.request(path, { method: 'POST', headers })).status).toBe(401);
    expect(served.checked).toEqual([]);
  });
});
