import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { startC3 } from '../../dev/demo/c3-process.ts';
import { describe, expect, it } from 'vitest';
import { parsePipeline, planPipeline } from '../../src/pipeline/index.ts';
import { toHeaders, toPath, toPayload, useOutsider } from './outsider.ts';

const MIB = 1024 * 1024;

describe('A12 A request or a file with a high cost', () => {
  // Has its own c3: these tests use up its limits.
  const outsider = useOutsider({});
  const { fixture } = outsider;

  async function expectAlive(): Promise<void> {
    expect(await outsider.send('/healthz', { method: 'GET' })).toMatchObject({ status: 200, text: 'ok' });
  }

  function open(bytes: string): Socket {
    const socket = connect(Number(new URL(fixture.world.c3.url).port), '127.0.0.1', () => socket.write(bytes));
    return socket.on('error', () => {}); // a reset also ends the connection
  }

  /** Resolves with all data until c3 ends the connection. */
  function readAll(socket: Socket): Promise<string> {
    let text = '';
    socket.on('data', (data) => (text += data.toString('latin1'))).resume();
    return new Promise((resolve) => void socket.once('close', () => resolve(text)));
  }

  /** Sends raw bytes; resolves with the first bytes of the response, or with '' if there is none. */
  function sendRaw(bytes: string): Promise<string> {
    return new Promise((resolve) => {
      const socket = open(bytes);
      socket.once('data', (data) => {
        socket.destroy();
        resolve(data.toString('latin1'));
      });
      socket.once('close', () => resolve(''));
    });
  }

  /** Returns the resident memory of c3's process in bytes. */
  function readMemory(): number {
    const status = readFileSync(`/proc/${fixture.world.c3.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  it('refuses a hook with a wrong key before a byte of its 25 MB arrives', async () => {
    const { user } = await fixture.setUp();
    const head = `POST /hook?key=aa.bb.cc.dd&repo=${user.scope} HTTP/1.1\r\nhost: c3\r\ncontent-type: application/json\r\ncontent-length: 26214400\r\n\r\n`;
    expect(await sendRaw(head)).toMatch(/^HTTP\/1\.1 401 /);
  });

  it('refuses a hook of a repository that it does not serve before a byte of its body arrives', async () => {
    const head = `POST /hook?key=aa.bb.cc.dd&repo=evil.example/a/b HTTP/1.1\r\nhost: c3\r\ncontent-length: 26214400\r\n\r\n`;
    expect(await sendRaw(head)).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('refuses a body with a too large content-length before a byte arrives, with a right key and a wrong one', async () => {
    const hook = await fixture.setUp();
    const head = `POST ${toPath(hook.url)} HTTP/1.1\r\nhost: c3\r\ncontent-length: 26214401\r\n\r\n`;
    expect(await sendRaw(head)).toMatch(/^HTTP\/1\.1 413 /);
    const encrypt = `POST /encrypt?repo=${hook.user.scope}&for=k8s HTTP/1.1\r\nhost: c3\r\ncontent-length: 17000\r\n\r\n`;
    expect(await sendRaw(encrypt)).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('refuses a body with a false content-length as soon as it exceeds the limit', async () => {
    const hook = await fixture.setUp();
    const { status } = await outsider.send(`/encrypt?repo=${hook.user.scope}&for=k8s`, {
      headers: { 'transfer-encoding': 'chunked' },
      body: Buffer.alloc(64 * 1024, 'x'),
    });
    expect(status).toBe(413);
    await expectAlive();
  });

  it('refuses endless headers, by size and by number', async () => {
    const one = `GET /healthz HTTP/1.1\r\nhost: c3\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`;
    expect(await sendRaw(one)).toMatch(/^HTTP\/1\.1 431 /);
    const many = `GET /healthz HTTP/1.1\r\nhost: c3\r\n${Array.from({ length: 9000 }, (_, index) => `x${index}: y\r\n`).join('')}\r\n`;
    expect(await sendRaw(many)).toMatch(/^HTTP\/1\.1 431 /);
    const long = `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nhost: c3\r\n\r\n`;
    expect(await sendRaw(long)).toMatch(/^HTTP\/1\.1 4\d\d /);
    await expectAlive();
  });

  it('refuses a request with two lengths, which a proxy could split into two requests', async () => {
    const both =
      'POST /hook HTTP/1.1\r\nhost: c3\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: c3\r\n\r\n';
    expect(await sendRaw(both)).toMatch(/^HTTP\/1\.1 400 /);
    const twice = 'POST /hook HTTP/1.1\r\nhost: c3\r\ncontent-length: 5\r\ncontent-length: 50\r\n\r\nhello';
    expect(await sendRaw(twice)).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('begins four of a thousand pipelined requests, and buffers no response for a client that does not read', async () => {
    const one = 'GET / HTTP/1.1\r\nHost: c3\r\nAccept: text/html\r\n\r\n';
    const flood = one.repeat(Math.floor((64 * 1024) / one.length));
    const before = readMemory();
    const sockets = Array.from({ length: 10 }, () => open(flood).pause());
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    await expectAlive();
    const answers = await Promise.all(sockets.map(readAll));
    // The system may deliver it in two or three pieces.
    for (const text of answers) expect(text.split('HTTP/1.1 200').length - 1).toBeLessThan(20);
    expect(readMemory() - before).toBeLessThan(200 * MIB);
    await expectAlive();
  });

  it('ends a body in chunks of one byte, with a right key and a wrong one, and keeps no chunk', async () => {
    const hook = await fixture.setUp();
    async function send(): Promise<number> {
      const sent = [toPath(hook.url), '/hook', '/nowhere'].flatMap((path) => {
        const head = `POST ${path} HTTP/1.1\r\nhost: c3\r\ntransfer-encoding: chunked\r\n\r\n`;
        return Array.from({ length: 7 }, () => sendRaw(head + '1\r\nx\r\n'.repeat(100_000)));
      });
      for (const answer of await Promise.all(sent)) expect(answer).not.toMatch(/^HTTP\/1\.1 2/);
      return readMemory();
    }
    // The first time grows the heap by what is garbage soon. Chunks that are kept take as much again each time.
    const before = await send();
    await send();
    expect((await send()) - before).toBeLessThan(200 * MIB);
    await expectAlive();
  });

  it('refuses a signed body of two million brackets, or of an endless number', async () => {
    const hook = await fixture.setUp();
    for (const body of [
      '['.repeat(2_000_000),
      `{"a":${'{"a":'.repeat(400_000)}`,
      `{"after":${'9'.repeat(1_000_000)}}`,
      '"',
      '',
      'null',
    ]) {
      const answer = await outsider.send(toPath(hook.url), { headers: toHeaders(hook.secret, body), body });
      expect(answer.status).toBe(400);
      expect(answer.text.length).toBeLessThan(1_000);
    }
    await expectAlive();
  });

  it('stops reading a signed form of millions of fields at the second one', async () => {
    const hook = await fixture.setUp();
    for (const body of [
      'a&'.repeat(2_500_000),
      `payload=1${'&'.repeat(5_000_000)}`,
      `payload=${'+'.repeat(5_000_000)}`,
    ]) {
      const headers = { ...toHeaders(hook.secret, body), 'content-type': 'application/x-www-form-urlencoded' };
      expect(await outsider.send(toPath(hook.url), { headers, body })).toMatchObject({ status: 400 });
    }
    await expectAlive();
  });

  it('parses few large bodies of new hooks at a time, and still the small ones of others', async () => {
    const c3 = await startC3(fixture.world.settings);
    try {
      const { token } = fixture.world.owner;
      const hooks = [await fixture.setUp({ c3, token }), await fixture.setUp({ c3, token })] as const;
      const [stranger, newcomer] = hooks.map(({ url, secret, user }) => {
        return { url: url.replace(fixture.world.c3.url, c3.url), secret, fullName: user.fullName };
      });
      const large = toPayload(hooks[0], '1'.repeat(40), { list: 'x'.repeat(5_000_000) });
      const statuses: number[] = [];
      while (statuses.at(-1) !== 429) {
        statuses.push((await outsider.deliver(stranger!, large, { 'x-github-event': 'issues' })).status);
        expect(statuses.length).toBeLessThan(20);
      }
      const ping = { zen: 'x', repository: { full_name: newcomer?.fullName } };
      expect(await outsider.deliver(newcomer!, ping, { 'x-github-event': 'ping' })).toMatchObject({ status: 200 });
    } finally {
      await c3.stop();
    }
  });

  it('does not unpack a compressed body', async () => {
    const hook = await fixture.setUp();
    const body = gzipSync(JSON.stringify(toPayload(hook, '1'.repeat(40))));
    const headers = { ...toHeaders(hook.secret, body), 'content-encoding': 'gzip' };
    expect(await outsider.send(toPath(hook.url), { headers, body })).toMatchObject({ status: 400 });
  });

  it('continues to serve others during a flood of forged hooks', async () => {
    const [hook, other] = [await fixture.setUp(), await fixture.setUp()];
    const body = JSON.stringify(toPayload(hook, '1'.repeat(40)));
    const flood = Array.from({ length: 300 }, () =>
      outsider.send(toPath(hook.url, { key: 'aa.bb.cc.dd' }), { headers: toHeaders('guess', body), body }),
    );
    const { sha } = await other.user.push({ file: 'x' }, 'in the middle of it');
    expect(await other.user.waitForAnswer(sha)).toMatchObject({ status: 202 });
    for (const { status } of await Promise.all(flood)) expect([401, 429]).toContain(status);
  });

  it('does not let a sender without the secret use up the deliveries of a hook URL', async () => {
    const c3 = await startC3({ ...fixture.world.settings, C3_RATE_LIMIT: '5' });
    try {
      const hook = await fixture.setUp({ c3 });
      const { sha } = await hook.user.push({ file: 'x' }, 'confirms the hook');
      await hook.user.waitForEnd(sha);
      const url = hook.url.replace(fixture.world.c3.url, c3.url);
      const flood = Array.from({ length: 40 }, () => outsider.deliver({ url, secret: 'guess' }, { any: 'thing' }));
      for (const { status } of await Promise.all(flood)) expect([401, 429]).toContain(status);
      const ping = { zen: 'x', repository: { full_name: hook.user.fullName } };
      const answer = await outsider.deliver({ url, secret: hook.secret }, ping, { 'x-github-event': 'ping' });
      expect(answer).toMatchObject({ status: 200, text: expect.stringMatching(/^pong/) });
    } finally {
      await c3.stop();
    }
  });

  it("reports few unconfirmed pushes to the operator's chat, without their text", async () => {
    const hook = await fixture.setUp();
    const end = fixture.world.forge.faults.add({
      match: new RegExp(`/repos/${hook.user.fullName}(?:/|$)`),
      kind: 'status',
      status: 503,
    });
    const count = (words: string): number => fixture.world.c3.log.filter((line) => line.includes(words)).length;
    const [kept, over] = ['is not reported to Telegram', 'build ended: infrastructure-error'].map(count);
    const evil = { message: 'Evil subject', author: { name: 'Evil author' } };
    for (let n = 0; n < 40; n += 1) {
      const sha = n.toString(16).padStart(40, '0').replace(/^0/, 'e');
      const payload = toPayload(hook, sha, { ref: 'refs/heads/evil-ref', head_commit: { id: sha, ...evil } });
      expect(await outsider.deliver(hook, payload)).toMatchObject({ status: 202 });
    }
    await expect.poll(() => count('build ended: infrastructure-error') - (over ?? 0)).toBe(40);
    expect(count('is not reported to Telegram') - (kept ?? 0)).toBeGreaterThan(20);
    const toTexts = (): string[] =>
      fixture.world.telegram
        .messages()
        .map(({ versions }) => versions.at(-1)?.text ?? '')
        .filter((text) => text.includes(hook.user.fullName));
    await expect.poll(toTexts).not.toEqual([]);
    expect(toTexts().join('\n')).not.toMatch(/evil/i);
    end();
  });

  it('survives invalid responses of the forge, with its builds', async () => {
    const hook = await fixture.setUp();
    const answers = [
      '',
      '[]',
      '{',
      'null',
      '{"permissions":null,"full_name":null}',
      '<html>',
      '['.repeat(100_000),
      'x'.repeat(2_000_000),
    ];
    for (const body of answers) {
      const end = fixture.world.forge.faults.add({
        match: new RegExp(`^GET .*/repos/${hook.user.fullName}(?:/|$)`),
        kind: 'status',
        status: 200,
        body,
      });
      const { sha } = await hook.user.push({ file: body.slice(0, 9) }, 'nonsense');
      expect(await outsider.waitForRefusal(sha)).not.toBe('');
      end();
    }
    await expectAlive();
  });
});

describe('A12 A c3.yaml that is a bomb', () => {
  const HEAD =
    'k8s: aa.aXY.Y3Q.dGFn\njob: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: a}]}}\ncheckout: false\n';
  const REFUSED = {
    pipeline: undefined,
    problems: expect.arrayContaining([expect.objectContaining({ severity: 'error' })]),
  };

  it('does not expand a billion laughs', () => {
    const lines = ['a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]'];
    for (let level = 1; level < 20; level += 1) {
      lines.push(`a${level}: &a${level} [${Array.from({ length: 9 }, () => `*a${level - 1}`).join(', ')}]`);
    }
    expect({ pipeline: undefined, ...parsePipeline(`x-a:\n  ${lines.join('\n  ')}\njob: *a19`) }).toMatchObject(
      REFUSED,
    );
  });

  it('finds duplicate keys without comparing all pairs', () => {
    expect({
      pipeline: undefined,
      ...parsePipeline(Array.from({ length: 9_000 }, (_, index) => `k${index}: `).join('\n')),
    }).toMatchObject(REFUSED);
  });

  it('stops at a depth that no Pod has', () => {
    for (const open of ['[', '{a: ', '- ', '? ', '!!seq [', '&a ['])
      expect({ pipeline: undefined, ...parsePipeline(open.repeat(Math.floor(65_000 / open.length))) }).toMatchObject(
        REFUSED,
      );
  });

  it('does not merge a map into itself or into a thousand others', () => {
    expect({ pipeline: undefined, ...parsePipeline(`a: &a {<<: *a}`) }).toMatchObject(REFUSED);
    const merges = Array.from({ length: 2_000 }, () => '*a').join(', ');
    expect({
      pipeline: undefined,
      ...parsePipeline(
        `x-a: &a {${Array.from({ length: 1_000 }, (_, index) => `k${index}: 1`).join(', ')}}\njob: {<<: [${merges}]}`,
      ),
    }).toMatchObject(REFUSED);
  });

  const slowGlob = `${'*a'.repeat(127)}b`;

  it('compares globs that two hundred steps share by an alias only once with a branch', () => {
    const one = `- {a: x, when: *w}\n`;
    const first = `- a: x\n- {a: x, when: &w {branch: ['${Array.from({ length: 4 }, () => slowGlob).join("', '")}']}}\n`;
    const { pipeline } = parsePipeline(`${HEAD}steps:\n${first}${one.repeat(98)}finally:\n${one.repeat(100)}`);
    if (pipeline === undefined) throw new Error('It is no pipeline');
    const work = { left: 1_000_000 };
    expect(planPipeline(pipeline, { event: 'push', ref: { kind: 'branch', name: 'a'.repeat(244) } }, work).kind).toBe(
      'run',
    );
    // Four globs of 255 characters, each with every position as a candidate: not two hundred times that.
    expect(1_000_000 - work.left).toBeLessThan(4 * 256 * 256);
  });

  it('refuses branch globs that take too long to compare', () => {
    const globs = Array.from({ length: 200 }, (_, index) => `'${slowGlob.slice(0, 250)}${index}'`);
    const steps = globs.map((glob) => `- {a: x, when: {branch: ${glob}}}\n`);
    expect({
      pipeline: undefined,
      ...parsePipeline(`${HEAD}steps:\n${steps.slice(0, 100).join('')}finally:\n${steps.slice(100).join('')}`),
    }).toMatchObject(REFUSED);
  });

  it('builds as if the changed paths were unknown if they take too long to compare', () => {
    const { pipeline } = parsePipeline(`${HEAD}steps: [a: x]\nwhen: {path: ['${slowGlob}']}\n`);
    if (pipeline === undefined) throw new Error('It is no pipeline');
    const event = { event: 'push', ref: { kind: 'branch', name: 'main' } } as const;
    expect(planPipeline(pipeline, { ...event, paths: ['a'.repeat(250)] }).kind).toBe('skipped');
    const paths = Array.from({ length: 3_000 }, (_, index) => `${'a'.repeat(250)}${index}`);
    expect(planPipeline(pipeline, { ...event, paths }).kind).toBe('run');
  });

  it('refuses a file larger than 64 KiB without parsing it', () => {
    expect({ pipeline: undefined, ...parsePipeline('#'.repeat(64 * 1024 + 1)) }).toMatchObject(REFUSED);
  });
});
