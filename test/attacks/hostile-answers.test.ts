import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { generate } from 'selfsigned';
import type { lookup } from 'node:dns';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { toPod, toPodEvent } from '../../src/kube/api-types.ts';
import { toRecord } from '../../src/kube/leases/lease-record.ts';
import { createClient } from '../../src/kube/client.ts';
import { createNameLookups, type LookUpName } from '../../src/kube/address-policy.ts';
import { readLines } from '../../src/kube/response-reader.ts';
import { classifyStart } from '../../src/kube/pod-health.ts';
import { collectGarbage } from '../fakes/memory.ts';

const MIB = 1024 * 1024;

/** Returns how many bytes of the created values stay in memory. */
async function countOnce(make: () => unknown): Promise<number> {
  await collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const kept = make();
  await collectGarbage();
  const after = process.memoryUsage().heapUsed;
  return kept === undefined ? 0 : after - before;
}

/** Returns the least of three counts: other work in this process only adds to one. */
async function countKept(make: () => unknown): Promise<number> {
  return Math.min(await countOnce(make), await countOnce(make), await countOnce(make));
}

describe('A12 A cluster with hostile answers', () => {
  it('cannot make c3 search more than the start of a message about a Pod', () => {
    const message = `denied ${'status '.repeat((4 * MIB) / 7)}`;
    const containerStatuses = [{ name: 'a', image: 'x', state: { waiting: { reason: 'ErrImagePull', message } } }];
    const pod = toPod({ metadata: { name: 'x' }, status: { phase: 'Pending', containerStatuses } });
    expect(JSON.stringify(pod).length).toBeLessThan(6_000);
    const verdict = classifyStart(pod, { events: [], pullMessages: new Map() });
    expect(verdict).toMatchObject({ kind: 'failed' });
    expect(JSON.stringify(verdict).length).toBeLessThan(1_000);
  });

  it('cannot make c3 keep more than the start of a text of megabytes', async () => {
    const words = JSON.stringify(`\u0416${'a'.repeat(4 * MIB)}`);
    const kept = await countKept(() =>
      Array.from({ length: 20 }, () => toPodEvent({ reason: 'x', message: JSON.parse(words) as string })),
    );
    expect(kept).toBeLessThan(MIB);
  });

  it('cannot make c3 keep more than the start of endless lists', async () => {
    const empty = `[${'{},'.repeat(300_000)}{}]`;
    const pod = `{"status":{"conditions":${empty},"containerStatuses":${empty},"initContainerStatuses":${empty}}}`;
    const queue = `[${'"",'.repeat(300_000)}""]`;
    const lease = JSON.stringify({ metadata: { annotations: { 'c3.build/queue': queue, 'c3.build/builds': queue } } });
    const kept = await countKept(() =>
      Array.from({ length: 5 }, () => [toPod(JSON.parse(pod)), toRecord(JSON.parse(lease))]),
    );
    expect(kept).toBeLessThan(8 * MIB);
  });

  it('cannot make c3 parse a line of a million values', async () => {
    async function* pour(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from(`[${'0,'.repeat(999_999)}0]\n`));
    }
    const lines = readLines(pour(), { budget: { receive: () => {}, delay: () => 0, buffer: () => false } });
    await expect(lines.next()).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' });
  });

  it('cannot make c3 use a prime of its choice for the key exchange', async () => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'x' }], { keySize: 2048 });
    const speaks = { maxVersion: 'TLSv1.2', ciphers: 'DHE-RSA-AES128-GCM-SHA256', dhparam: 'auto' } as const;
    let agreed = 0;
    const server = createServer({ key, cert, ...speaks }, () => (agreed += 1));
    server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = createClient({ origin, basePath: '', namespace: 'default', ca: cert, token: 'a-token' });
    await expect(client.request({ method: 'GET', path: '/api' })).rejects.toThrow('handshake failure');
    expect(agreed).toBe(0);
    await client.close();
    server.close();
  });
});

describe('A12 Names of clusters whose servers never answer', () => {
  const ADDRESS = { address: '93.184.216.34', family: 4 };
  let find: LookUpName;
  let isDown = false;

  beforeEach(() => {
    vi.useFakeTimers();
    isDown = false;
    const fake = (name: string, _: object, callback: (error: Error | null, found?: object[]) => void): void => {
      if (!isDown && !name.endsWith('.evil.test')) callback(null, [ADDRESS]);
    };
    find = createNameLookups(fake as unknown as typeof lookup);
  });
  afterEach(() => vi.useRealTimers());

  /** Looks up a name and ignores the result, like a client that retries. */
  function ask(name: string): void {
    find(name, {}).catch(() => undefined);
  }

  it('do not delay another name for more than two seconds, even if one owner has a thousand names', async () => {
    for (let count = 0; count < 1_000; count += 1) ask(`a${count}.evil.test`);
    const found = find('api.victim.test', {});
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await found).toEqual([ADDRESS]);
    for (let count = 0; count < 1_000; count += 1) ask(`b${count}.evil.test`);
    expect(await find('api.newcomer.test', {})).toEqual([ADDRESS]);
  });

  it('do not delay a name that was resolved before for more than a second, however many owners there are', async () => {
    await find('api.victim.test', {});
    isDown = true;
    for (let count = 0; count < 1_000; count += 1) ask(`api.evil${count}.test`);
    const found = find('api.victim.test', {});
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await found).toEqual([ADDRESS]);
  });
});
