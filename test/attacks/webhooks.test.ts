import { createHmac, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { SetUp } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { toHeaders, toPath, toPayload, toSignature, useOutsider, type Answer, type Message } from './outsider.ts';

describe('A4 A webhook that the forge did not send, or sent before', () => {
  // Has its own forge: these tests count all requests that c3 sends to it.
  const outsider = useOutsider({});
  const { fixture } = outsider;
  const SHA = '1'.repeat(40);

  const UNAUTHORIZED = { status: 401, text: expect.stringMatching(/signature|signed/i) };

  /** Returns c3's response, and expects that c3 sent no request and started nothing. */
  async function answerTo(hook: SetUp, message: Message): Promise<Answer> {
    const requests = fixture.world.forge.requests.length;
    const answers: Answer[] = [];
    await outsider.spare(async () => void answers.push(await outsider.send(toPath(hook.url), message)));
    expect(fixture.world.forge.requests).toHaveLength(requests);
    return answers[0] as Answer;
  }

  it('refuses a delivery without a signature', async () => {
    const hook = await fixture.setUp();
    const body = JSON.stringify(toPayload(hook, SHA));
    expect(await answerTo(hook, { headers: { 'x-github-event': 'push' }, body })).toMatchObject(UNAUTHORIZED);
  });

  it('refuses an empty signature', async () => {
    const hook = await fixture.setUp();
    const body = JSON.stringify(toPayload(hook, SHA));
    expect(
      await answerTo(hook, { headers: { 'x-github-event': 'push', 'x-hub-signature-256': '' }, body }),
    ).toMatchObject(UNAUTHORIZED);
  });

  it('refuses the older SHA-1 signature alone', async () => {
    const hook = await fixture.setUp();
    const body = JSON.stringify(toPayload(hook, SHA));
    const signature = `sha1=${createHmac('sha1', hook.secret).update(body).digest('hex')}`;
    expect(
      await answerTo(hook, { headers: { 'x-github-event': 'push', 'x-hub-signature': signature }, body }),
    ).toMatchObject(UNAUTHORIZED);
  });

  it('refuses a signature that is cut, in upper case, unprefixed or of another algorithm', async () => {
    const hook = await fixture.setUp();
    const body = JSON.stringify(toPayload(hook, SHA));
    const right = toSignature(hook.secret, body);
    const sha512 = `sha512=${createHmac('sha512', hook.secret).update(body).digest('hex')}`;
    for (const signature of [
      right.slice(0, -1),
      right.toUpperCase(),
      right.slice(7),
      `${right}00`,
      sha512,
      'sha256=',
    ]) {
      expect(
        await answerTo(hook, { headers: { ...toHeaders('', body), 'x-hub-signature-256': signature }, body }),
      ).toMatchObject(UNAUTHORIZED);
    }
  });

  it('refuses a wrong signature beside the right one', async () => {
    const hook = await fixture.setUp();
    const body = JSON.stringify(toPayload(hook, SHA));
    const both = [toSignature('guess', body), toSignature(hook.secret, body)];
    expect(
      await answerTo(hook, { headers: { ...toHeaders('', body), 'x-hub-signature-256': both }, body }),
    ).toMatchObject(UNAUTHORIZED);
  });

  it("refuses a delivery signed with the key of the hook URL, with an empty secret, or with another hook's secret", async () => {
    const [hook, other] = [await fixture.setUp(), await fixture.setUp()];
    const body = JSON.stringify(toPayload(hook, SHA));
    const key = new URL(hook.url).searchParams.get('key') ?? '';
    for (const secret of [key, hook.url, '', 'undefined', 'null', other.secret, hook.user.scope]) {
      expect(await answerTo(hook, { headers: toHeaders(secret, body), body })).toMatchObject(UNAUTHORIZED);
    }
  });

  it('refuses a body with one byte more, less or changed', async () => {
    const hook = await fixture.setUp();
    const body = JSON.stringify(toPayload(hook, SHA));
    for (const changed of [`${body} `, body.slice(0, -1), body.replace(SHA, `2${SHA.slice(1)}`)]) {
      expect(await answerTo(hook, { headers: toHeaders(hook.secret, body), body: changed })).toMatchObject(
        UNAUTHORIZED,
      );
    }
  });

  it('reports a wrong signature like a missing one, and never the right one', async () => {
    const hook = await fixture.setUp();
    const body = JSON.stringify(toPayload(hook, SHA));
    const { text } = await answerTo(hook, { headers: toHeaders('guess', body), body });
    expect(text).not.toContain(hook.secret);
    expect(text).not.toContain(toSignature(hook.secret, body).slice(7));
  });

  it('requires the signature regardless of the URL parameters', async () => {
    const hook = await fixture.setUp();
    const body = JSON.stringify(toPayload(hook, SHA));
    await outsider.spare(async () => {
      for (const parameters of [{ signature: 'optional' }, { signature: 'none' }, { secret: 'guess' }]) {
        const path = toPath(hook.url, parameters);
        const answer = await outsider.send(path, { headers: { 'x-github-event': 'push' }, body });
        expect(answer.status).toBe(401);
      }
    });
  });

  it('accepts an unsigned delivery only for a key that was sealed for it, and never a wrong signature', async () => {
    const hook = await fixture.setUp();
    const query = `/encrypt?repo=${hook.user.scope}&for=hook`;
    const { text } = await outsider.send(`${query}&signature=optional`, { body: fixture.world.owner.token });
    const [unsigned = ''] = text.split('\n');
    const body = JSON.stringify({ zen: 'x', repository: { full_name: hook.user.fullName } });
    const headers = { 'x-github-event': 'ping', 'content-type': 'application/json' };
    const wrong = { ...headers, 'x-hub-signature-256': toSignature('guess', body) };
    await outsider.spare(async () => {
      expect(await outsider.send(toPath(unsigned), { headers, body })).toMatchObject({ status: 200 });
      expect(await outsider.send(toPath(unsigned), { headers: wrong, body })).toMatchObject({ status: 401 });
      const ordinary = toPath(hook.url, { signature: 'optional' });
      expect(await outsider.send(ordinary, { headers, body })).toMatchObject({ status: 401 });
      const required = toPath(unsigned).replace('&signature=optional', '');
      expect(await outsider.send(required, { headers, body })).toMatchObject({ status: 401 });
    });
  });

  it('accepts a webhook only as POST', async () => {
    const hook = await fixture.setUp();
    const path = toPath(hook.url);
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      expect(await outsider.send(path, { method })).toMatchObject({ status: 405 });
    }
  });

  it('starts nothing for a signed body under another event or content type', async () => {
    const hook = await fixture.setUp();
    const body = JSON.stringify(toPayload(hook, SHA));
    const headers = toHeaders(hook.secret, body);
    await outsider.spare(async () => {
      // Neither header is signed, so a replay may change both.
      const asForm = { ...headers, 'content-type': 'application/x-www-form-urlencoded' };
      expect(await outsider.send(toPath(hook.url), { headers: asForm, body })).toMatchObject({ status: 400 });
      const asText = { ...headers, 'content-type': 'text/plain' };
      expect(await outsider.send(toPath(hook.url), { headers: asText, body })).toMatchObject({ status: 400 });
      const asPing = { ...headers, 'x-github-event': 'ping' };
      expect(await outsider.send(toPath(hook.url), { headers: asPing, body })).toMatchObject({ status: 200 });
      const ping = JSON.stringify({ zen: 'x', repository: { full_name: hook.user.fullName } });
      const asPush = { headers: toHeaders(hook.secret, ping), body: ping };
      expect(await outsider.send(toPath(hook.url), asPush)).toMatchObject({ status: 400 });
    });
  });

  /** Starts a build that waits; returns its repository, the delivery and the function that continues it. */
  async function startHeld(): Promise<{ hook: SetUp; sha: string; body: string; release(): void }> {
    const hook = await fixture.setUp();
    const held = fixture.world.forge.faults.add({ match: /\/contents\/c3\.yaml/, kind: 'delay', ms: 1_500 });
    const source = formatPipeline(fixture.target, hook.k8s, '- main: echo ran >> /c3/ran; cat /c3/ran');
    const { sha } = await hook.user.push({ 'c3.yaml': source }, 'once');
    await hook.user.waitForAnswer(sha);
    const body = fixture.world.forge.deliveries.find(({ request }) => request.body.includes(sha))?.request.body ?? '';
    return { hook, sha, body, release: held };
  }

  it('starts no second build for a delivery that is replayed under a new id while the first build runs', async () => {
    const { hook, sha, body, release } = await startHeld();
    const again = await Promise.all(
      Array.from({ length: 4 }, () => outsider.send(toPath(hook.url), { headers: toHeaders(hook.secret, body), body })),
    );
    release();
    for (const { status, text } of again) {
      expect({ status, text }).toEqual({ status: 202, text: expect.stringMatching(/already running/) });
    }
    expect(await hook.user.waitForEnd(sha)).toMatchObject({ state: 'success' });
    expect(fixture.world.forge.statuses.filter((one) => one.sha === sha && one.state === 'pending')).toHaveLength(1);
  });

  it('starts one build for two simultaneous equal deliveries', async () => {
    const hook = await fixture.setUp();
    await hook.user.tree.git('remote', 'add', 'origin', hook.user.cloneUrl);
    const sha = await hook.user.tree.commit({ file: 'x' }, 'no webhook for this branch');
    await hook.user.tree.git('push', '--quiet', hook.repository.path, `${sha}:refs/heads/main`);
    await hook.user.waitForEnd(sha);
    const body = JSON.stringify(toPayload(hook, sha, { compare: randomUUID() }));
    const answers = await Promise.all(
      [1, 2].map(() => outsider.send(toPath(hook.url), { headers: toHeaders(hook.secret, body), body })),
    );
    const ids = answers.map(({ text }) => /^build ([0-9a-f]+)/.exec(text)?.[1]);
    expect(ids[0]).toBeDefined();
    expect(ids[0]).toBe(ids[1]);
    expect(answers.filter(({ text }) => /already running/.test(text))).toHaveLength(1);
  });

  it('builds nothing again when the delivery of an ended build is replayed under a new id', async () => {
    const { hook, sha, body, release } = await startHeld();
    release();
    await hook.user.waitForEnd(sha);
    const findEnds = (): string[] =>
      fixture.world.c3.log.filter((line) => line.includes('build ended') && line.includes(sha));
    await expect.poll(findEnds).toHaveLength(1);
    // The build counts as running until its last report has arrived.
    const isReported = (): boolean =>
      fixture.world.c3.log.some((line) => line.includes('build reported') && line.includes(sha));
    await expect.poll(isReported).toBe(true);
    const statuses = fixture.world.forge.statuses.length;
    await outsider.spare(async () => {
      const headers = { ...toHeaders(hook.secret, body), 'x-github-hook-id': '99', 'user-agent': 'curl' };
      const answer = await outsider.send(toPath(hook.url), { headers, body });
      expect(answer).toMatchObject({
        status: 200,
        text: expect.stringMatching(/^ignored: build [0-9a-f]+ has ended already; to build it again, use Re-run/),
      });
    });
    expect(findEnds()).toHaveLength(1);
    expect(fixture.world.forge.statuses).toHaveLength(statuses);
  });

  it('does not build hook URLs from the address of a request', async () => {
    const hook = await fixture.setUp();
    const { text } = await outsider.send(`/encrypt?repo=${hook.user.scope}&for=hook`, {
      headers: {
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'http',
        forwarded: 'host=evil.example',
        host: 'evil.example',
      },
      body: fixture.world.owner.token,
    });
    expect(text).not.toContain('evil.example');
    expect(text).toContain(`${fixture.world.c3.url}/hook?key=`);
  });
});
