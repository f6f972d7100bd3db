import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createForgeServer, type ForgeServer, type Repository } from '../../dev/forge/index.ts';
import { createWorkTree, type WorkTree } from '../../dev/forge/work-tree.ts';
import { deadline } from '../../test/time-limits.ts';
import { runCli } from './commands.ts';
import type { Terminal } from './terminal.ts';

const TOKEN = 'owner-token';
let root: string;
let tree: WorkTree;
let forge: ForgeServer;
let repository: Repository;
/** The c3 that the webhook calls. */
let receiver: Server;
let origin: string;
/** What it answers, in turn; the last one again and again. 0: it cuts the connection. */
let answers: number[];
let received: string[];
let count = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'c3-catch-up-'));
  tree = await createWorkTree({ path: join(root, 'tree') });
  await tree.commit({ file: '' }, 'first');
});

afterAll(async () => {
  await rm(root, { recursive: true });
});

beforeEach(async () => {
  const users = [
    { login: 'ann', token: TOKEN, permissions: { '*': 'admin' } },
    { login: 'bob', token: 'writer-token', permissions: { '*': 'write' } },
  ] as const;
  forge = await createForgeServer({ root: await mkdtemp(join(root, 'forge-')), users });
  repository = await forge.createRepository({ owner: 'acme', name: 'shop' });
  [answers, received] = [[202], []];
  receiver = createServer((request, response) => {
    const status = (answers.length > 1 ? answers.shift() : answers[0]) ?? 0;
    received.push(String(request.headers['x-github-delivery']));
    if (status === 0) request.socket.destroy();
    else request.resume().on('end', () => response.writeHead(status).end());
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
});

afterEach(async () => {
  vi.useRealTimers();
  await forge.close();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

interface Transcript {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

async function run(
  args: readonly string[] = [],
  part: { env?: object; input?: string; isInputTerminal?: boolean } = {},
): Promise<Transcript> {
  const [out, err]: [string[], string[]] = [[], []];
  const terminal: Terminal = {
    env: { C3_FORGES: `github=${forge.origin}`, ...part.env },
    isInputTerminal: part.isInputTerminal ?? false,
    readInput: () => Promise.resolve(part.input ?? `${TOKEN}\n`),
    readFile: () => '',
    writeFile: () => {},
    print: (text) => void out.push(text),
    tell: (text) => void err.push(text),
  };
  const exitCode = await runCli(['catch-up', '--repo', `${forge.host}/acme/shop`, ...args], terminal);
  return { exitCode, out: out.join('\n'), err: err.join('\n') };
}

/** Waits until no delivery is open. */
async function settle(length: number): Promise<void> {
  const isSettled = (): true | undefined =>
    forge.deliveries.length >= length && forge.deliveries.every(({ answer }) => answer) ? true : undefined;
  await forge.waitFor(isSettled, deadline());
}

/** Creates a webhook and waits for the answer to its ping. */
async function createHook(url: string = `${origin}/hook?key=a.b.c.d&repo=acme/shop`): Promise<void> {
  const before = forge.deliveries.length;
  forge.createHook(repository, { url });
  await settle(before + 1);
}

/** Pushes once for each answer, and returns the ids of the events. */
async function push(...statuses: number[]): Promise<string[]> {
  const guids: string[] = [];
  for (const status of statuses) {
    answers = [status];
    const before = forge.deliveries.length;
    count += 1;
    await tree.git('push', '--quiet', repository.path, `main:refs/heads/b${count}`);
    await settle(before + 1);
    guids.push(forge.deliveries[before]?.guid ?? '');
  }
  [answers, received] = [[202], []];
  return guids;
}

const TIME = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;

describe('c3 catch-up', () => {
  it('lets the forge send each event again that c3 did not take, the oldest first', async () => {
    await createHook();
    const [, none = '', refused = '', away = ''] = await push(202, 0, 401, 503);
    const { exitCode, out, err } = await run();
    expect(err).toBe(`c3: sending the token to ${forge.apiBase}`);
    expect(out.split('\n')).toEqual([
      expect.stringMatching(`^${TIME}  push  ${none.slice(0, 8)}  sent again: no answer \\(.+\\)$`),
      expect.stringMatching(
        `^${TIME}  push  ${refused.slice(0, 8)}  not sent again: c3 refused it: the answer was 401$`,
      ),
      expect.stringMatching(`^${TIME}  push  ${away.slice(0, 8)}  sent again: the answer was 503$`),
      'c3 missed 3 events in the last 72 hours: 2 sent again, 1 refused by c3 before',
    ]);
    expect(exitCode).toBe(0);
    await settle(7);
    expect(received.toSorted()).toEqual([none, away].toSorted());
    expect(forge.deliveries.slice(5).map(({ guid }) => guid)).toEqual([none, away]);
  });

  it('sends nothing again that was taken since', async () => {
    await createHook();
    await push(503);
    expect((await run()).out).toContain('1 sent again');
    await settle(3);
    expect(await run()).toMatchObject({ exitCode: 0, out: 'c3 missed no event in the last 72 hours' });
    expect(received).toHaveLength(1);
  });

  it('sends an event again whose newest attempt failed, in the order of the first attempts', async () => {
    await createHook();
    const [first = '', second = '', third = ''] = await push(202, 503, 503);
    answers = [500];
    for (const id of [3, 2]) await forge.redeliver(id);
    answers = [202];
    await run();
    await settle(9);
    expect(forge.deliveries.slice(6).map(({ guid }) => guid)).toEqual([first, second, third]);
  });

  it('does not send a ping again', async () => {
    answers = [503];
    await createHook();
    expect(await run()).toMatchObject({ exitCode: 0, out: 'c3 missed no event in the last 72 hours' });
  });

  it.each([
    [408, true],
    [429, true],
    [500, true],
    [504, true],
    [302, false],
    [400, false],
    [404, false],
    [413, false],
    [422, false],
  ])('after %i it sends again: %s', async (status, isSent) => {
    await createHook();
    await push(status);
    expect((await run(['--dry-run'])).out).toContain(isSent ? '1 would be sent again' : '1 refused by c3 before');
  });

  it('sends nothing with --dry-run', async () => {
    await createHook();
    await push(503);
    const { exitCode, out } = await run(['--dry-run', '--hours', '1']);
    expect({ exitCode, out: out.split('\n') }).toEqual({
      exitCode: 0,
      out: [
        expect.stringContaining('  would be sent again: the answer was 503'),
        'c3 missed 1 event in the last 1 hour: 1 would be sent again',
      ],
    });
    expect(forge.requests.filter(({ method, path }) => method === 'POST' && path.includes('attempts'))).toEqual([]);
  });

  it('looks no further back than --hours', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 5 * 3_600_000 });
    await createHook();
    await push(503);
    vi.useRealTimers();
    const [, recent = ''] = ['', ...(await push(503))];
    expect((await run(['--hours', '4', '--dry-run'])).out).toMatch(
      new RegExp(`^\\S+  push  ${recent.slice(0, 8)}  .*\n.*: 1 would`),
    );
    expect((await run(['--hours', '6', '--dry-run'])).out).toContain('2 would be sent again');
  });

  it('reads more than one page of deliveries', async () => {
    await createHook();
    await push(503, 202);
    const attempts = 230;
    for (let index = 0; index < attempts; index += 1) await forge.redeliver(3);
    expect((await run()).out).toContain('c3 missed 1 event in the last 72 hours: 1 sent again');
    const pages = forge.requests.filter(({ path }) => path.includes('/deliveries?'));
    expect(pages.map(({ path }) => /cursor=[^&]*/.exec(path)?.[0])).toEqual([
      undefined,
      `cursor=v1_${attempts + 3 - 100}`,
      `cursor=v1_${attempts + 3 - 200}`,
    ]);
  });

  it('prints one JSON object for each event, then a summary', async () => {
    await createHook();
    const [away, refused] = await push(503, 401);
    const { out } = await run(['--json']);
    const [first, second, ...rest] = out.split('\n').map((line) => JSON.parse(line) as object);
    const common = { kind: 'event', hook: '1', event: 'push', time: expect.stringMatching(/Z$/) };
    const sent = { delivery: '2', guid: away, statusCode: 503, outcome: 'sent', reason: 'the answer was 503' };
    expect(first).toEqual({ ...common, ...sent });
    expect(second).toMatchObject({ delivery: '3', guid: refused, statusCode: 401, outcome: 'refused-by-c3' });
    const summary = { kind: 'summary', hours: 72, sent: 1, wouldBeSent: 0, refusedByC3: 1, refusedByForge: 0 };
    expect(rest).toEqual([summary]);
  });

  it('exits with 1 if the forge refuses one, after it has tried the others', async () => {
    await createHook();
    await push(503, 503);
    forge.faults.add({ match: /attempts$/, times: 1, kind: 'status', status: 422, body: '{"message":"Too old"}' });
    const { exitCode, out } = await run();
    expect(exitCode).toBe(1);
    expect(out).toContain('not sent again: the forge refused: the forge answers 422 "Too old"');
    expect(out).toContain('c3 missed 2 events in the last 72 hours: 1 sent again, 1 refused by the forge');
  });
});

describe('the webhooks of c3 catch-up', () => {
  it('are those that call a c3, with --url only that one', async () => {
    await createHook('http://127.0.0.1:9/below/hook?key=a.b.c.d&repo=acme/shop');
    await createHook(`${origin}/other?key=a.b.c.d`);
    await createHook();
    await push(503);
    expect((await run(['--dry-run'])).out).toContain('2 would be sent again');
    expect((await run(['--dry-run', '--url', `${origin}/`])).out).toContain('1 would be sent again');
    expect((await run(['--dry-run', '--url', 'http://127.0.0.1:9/below'])).out).toContain('1 would be sent again');
    const { exitCode, err } = await run(['--dry-run', '--url', 'http://127.0.0.1:9']);
    expect(exitCode).toBe(2);
    expect(err).toContain(`No active webhook of ${forge.host}/acme/shop calls http://127.0.0.1:9`);
    expect(err).toContain(`c3: hint: the webhooks of c3 call http://127.0.0.1:9/below, ${origin}`);
    expect(err).not.toContain('a.b.c.d');
  });

  it('must exist', async () => {
    forge.createHook(repository, { url: `${origin}/hook?key=x`, isActive: false });
    const { exitCode, err } = await run();
    expect(exitCode).toBe(2);
    expect(err).toContain('calls a c3\nc3: hint: its URL has the form https://c3.example.com/hook?key=…');
  });
});

describe('the token of c3 catch-up', () => {
  const RIGHTS = 'needs the permission "Webhooks: read and write", a classic token the scope admin:repo_hook';

  it('may list webhooks, or the error says which right it needs', async () => {
    await createHook();
    const { exitCode, out, err } = await run([], { input: 'writer-token' });
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
    expect(err).toContain(`Cannot list the webhooks of ${forge.host}/acme/shop: the forge answers 403`);
    expect(err).toContain(RIGHTS);
    expect(err).not.toContain('writer-token');
  });

  it('may send again, or the error says which right it needs', async () => {
    await createHook();
    await push(503);
    forge.faults.add({ match: /attempts$/, kind: 'status', status: 403 });
    const { exitCode, err } = await run();
    expect(exitCode).toBe(1);
    expect(err).toContain(`Cannot send a webhook of ${forge.host}/acme/shop again: the forge answers 403`);
    expect(err).toContain(RIGHTS);
  });

  it('is asked for in a terminal', async () => {
    const { err } = await run([], { isInputTerminal: true });
    expect(err).toContain('c3: paste an access token that may administer the webhooks of the repository, then Ctrl-D');
  });

  it('is accepted by the forge, or the error says so', async () => {
    const { exitCode, err } = await run([], { input: 'unknown-token' });
    expect(exitCode).toBe(1);
    expect(err).toContain('The forge does not accept the token\nc3: hint: it may have expired or been revoked');
    expect(err).not.toContain('unknown-token');
  });

  it.each(['', 'not a token'])('is not "%s"', async (input) => {
    const { exitCode, err } = await run([], { input });
    expect(exitCode).toBe(2);
    expect(err).toContain('c3: error: Standard input is not an access token');
    expect(forge.requests).toEqual([]);
  });
});

describe('c3 catch-up sends no request', () => {
  it.each([
    ['gitea', 'on HOST, press the replay button of the delivery in the settings of the webhook'],
    ['gitlab', 'on HOST, press "Resend Request" of the event in the settings of the webhook'],
  ])('to %s, and says where its deliveries can be sent again', async (kind, message) => {
    const { exitCode, err } = await run([], { env: { C3_FORGES: `${kind}=${forge.origin}` } });
    expect(exitCode).toBe(2);
    expect(err).toBe(`c3: error: c3 catch-up is for GitHub only; ${message.replace('HOST', forge.host)}`);
    expect(forge.requests).toEqual([]);
  });

  it.each([
    [['--hours', '0'], 'c3: error: --hours is "0", not a whole number from 1 to 999'],
    [['--hours', '1.5'], 'c3: error: --hours is "1.5", not a whole number from 1 to 999'],
    [['--url', 'c3.example.com'], 'c3: error: --url is not the base URL of a c3'],
    [['--repo', 'shop'], 'c3: error: Repository "shop" is not of the form HOST/OWNER/NAME'],
    [['--repo', 'ghe.example.com/acme/shop'], 'c3: error: c3 does not know the forge of ghe.example.com/acme/shop'],
    [['--forges', 'x'], 'c3: error: C3_FORGES has the entry "x", which is not of the form'],
  ])('with the wrong usage %j', async (args, message) => {
    const { exitCode, err } = await run(args);
    expect(exitCode).toBe(2);
    expect(err).toContain(message);
    expect(forge.requests).toEqual([]);
  });
});
