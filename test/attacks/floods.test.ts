import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startC3, type C3Process } from '../../dev/demo/c3-process.ts';
import { formatPipeline } from '../e2e/target.ts';
import type { SetUp } from '../e2e/fixture.ts';
import { createOfflineHook } from '../fakes/offline-hook.ts';
import { TEST_MS } from '../time-limits.ts';
import { toPath, toPayload, useOutsider } from './outsider.ts';

/** Requests of each kind that are sent at the same time. */
const WAVE = 25;
const MAX_SLOW = 300;
/** How c3 responds to the requests of strangers when they have used up what it gives to all of them. */
const EXHAUSTED = ['stolen URL 401', 'unsigned 429', 'signed 429', '/encrypt 429'];
/** A flood takes a minute on a quiet machine. */
const FLOOD_MS = 3 * TEST_MS;

describe('A12 A flood of strangers just after a restart', { timeout: FLOOD_MS }, () => {
  const outsider = useOutsider({});
  const { fixture } = outsider;

  /** Strangers who know c3's public key, and the URLs of some hooks without their secrets. */
  interface Strangers {
    /** Sends one wave of each kind. */
    sendWave(): Promise<void>;
    /** Sends larger and larger waves until c3 gives the strangers nothing more, however slow the machine is. */
    useUp(): Promise<void>;
    /** The number of responses of each kind, such as `signed 429`. */
    readonly counts: ReadonlyMap<string, number>;
    close(): void;
  }

  /** They seal made-up tokens for `repositories`. */
  async function gather(c3: C3Process, known: readonly SetUp[], repositories: readonly string[]): Promise<Strangers> {
    const jwks: unknown = await (await fetch(`${c3.url}/.well-known/jwks.json`)).json();
    const at = { baseUrl: c3.url, jwks };
    const made = Array.from({ length: 6 * WAVE }, async (_, n) => {
      const repo = repositories[n % repositories.length]!;
      const token = `made-up-${n}`;
      const [signed, unsigned] = await Promise.all([
        createOfflineHook(at, repo, { token }),
        createOfflineHook(at, repo, { token, signature: 'optional' }),
      ]);
      return { repo, token, signed, unsigned };
    });
    const hooks = await Promise.all(made);
    const counts = new Map<string, number>();
    const slow: Socket[] = [];
    let number = 0;

    async function send(kind: string, request: Promise<{ readonly status: number }>): Promise<void> {
      const key = `${kind} ${(await request).status}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }

    /** Sends a tenth of a large body, and then nothing. */
    function openSlow(url: string): void {
      const socket = connect(Number(new URL(c3.url).port), '127.0.0.1');
      socket.on('error', () => {}).resume();
      socket.write(`POST ${toPath(url)} HTTP/1.1\r\nhost: c3\r\ncontent-length: 4000000\r\n\r\n${'x'.repeat(400_000)}`);
      slow.push(socket);
    }

    async function sendOne(): Promise<void> {
      number += 1;
      const { repo, token, signed, unsigned } = hooks[number % hooks.length]!;
      const stolen = known[number % known.length]!;
      const user = { fullName: repo.slice(repo.indexOf('/') + 1) } as SetUp['user'];
      const payload = toPayload({ user }, 'e'.repeat(40), { number });
      const none = { 'x-hub-signature-256': [] };
      if (number % 5 === 0) for (const { url } of [stolen, signed]) openSlow(url);
      await Promise.all([
        send('stolen URL', outsider.deliver(stolen, toPayload(stolen, 'e'.repeat(40), { number }), none)),
        send('unsigned', outsider.deliver(unsigned, payload, none)),
        send('signed', outsider.deliver(signed, payload)),
        send('/encrypt', fetch(`${c3.url}/encrypt?for=hook&repo=${repo}`, { method: 'POST', body: token })),
      ]);
    }

    async function sendWave(size = WAVE): Promise<void> {
      await Promise.all(Array.from({ length: size }, sendOne));
      for (const socket of slow.splice(0, slow.length - MAX_SLOW)) socket.destroy();
    }

    return {
      sendWave,
      async useUp() {
        for (let size = WAVE; size <= 64 * WAVE && !EXHAUSTED.every((kind) => counts.has(kind)); size *= 2)
          await sendWave(size);
      },
      counts,
      close() {
        for (const socket of slow) socket.destroy();
      },
    };
  }

  /** Returns hooks of new repositories, whose deliveries go to `c3`. */
  async function setUpAll(c3: C3Process, count: number): Promise<SetUp[]> {
    const hooks: SetUp[] = [];
    for (let n = 0; n < count; n += 1) {
      const hook = await fixture.setUp({ c3 });
      hooks.push({ ...hook, url: hook.url.replace(fixture.world.c3.url, c3.url) });
    }
    return hooks;
  }

  /**
   * Pushes several times to each repository, during a wave each time. Resolves with the state of each build, or the
   * status of its refusal.
   */
  async function pushAll(hooks: readonly SetUp[], rounds: number, { sendWave }: Strangers): Promise<string[]> {
    const ends: Promise<string>[] = [];
    for (let n = 0; n < rounds; n += 1) {
      for (const { user, k8s } of hooks) {
        const source = formatPipeline(fixture.target, k8s, "- main: 'true'", 'checkout: false\n');
        const push = user.push({ 'c3.yaml': source, file: String(n) }, `Change ${n}`);
        const [{ sha }] = await Promise.all([push, sendWave()]);
        const waitForEnd = async (): Promise<string> => {
          const { status } = await user.waitForAnswer(sha);
          return status === 202 ? (await user.waitForEnd(sha)).state : String(status);
        };
        ends.push(waitForEnd());
      }
    }
    return await Promise.all(ends);
  }

  it('refuses no delivery of a hook that c3 has sealed: twenty deliveries become twenty builds', async () => {
    const c3 = await startC3(fixture.world.settings);
    const hooks = await setUpAll(c3, 4);
    const { host } = fixture.world.forge;
    const madeUp = Array.from({ length: 100 }, (_, n) => `${host}/made-up-${n}/shop`);
    const strangers = await gather(c3, hooks, [...hooks.map(({ user }) => user.scope), ...madeUp]);
    try {
      await strangers.useUp();
      expect(await pushAll(hooks, 5, strangers)).toEqual(Array.from({ length: 20 }, () => 'success'));
      expect([...strangers.counts.keys()]).toEqual(expect.arrayContaining(EXHAUSTED));
    } finally {
      strangers.close();
      await c3.stop();
    }
  });

  it('leaves a part to a new hook and to /encrypt, while thirty other repositories are flooded', async () => {
    const c3 = await startC3(fixture.world.settings);
    const { host } = fixture.world.forge;
    const repositories = Array.from({ length: 30 }, (_, n) => `${host}/made-up-${n}/shop`);
    const known = await setUpAll(c3, 1);
    const strangers = await gather(c3, known, repositories);
    try {
      await strangers.useUp();
      const newcomer = await fixture.setUp({ c3, token: fixture.world.owner.token });
      const url = `${c3.url}/encrypt?for=hook&repo=${newcomer.user.scope}`;
      const sealed = fetch(url, { method: 'POST', body: fixture.world.owner.token });
      expect(await pushAll([newcomer], 3, strangers)).toEqual(['success', 'success', 'success']);
      expect((await sealed).status).toBe(200);
    } finally {
      strangers.close();
      await c3.stop();
    }
  });
});
