import { describe, expect, test } from 'vitest';
import { createLink } from '../../test/fakes/sample-build.ts';
import { createEnded, createState, createStep, FAILED, RUNNING, START } from '../../dev/telegram/build-states.ts';
import { createFakeBuild, type FakeBuild } from '../../test/browser/fake-view.ts';
import type { BuildLook } from '../logs/index.ts';
import { handleBuildEvents } from './build-events.ts';

const link = createLink({
  right: 'control',
  scope: { host: 'github.com', owner: 'acme', name: 'shop' },
  id: '1f2e3d4c5b6a',
  sha: FAILED.build.sha,
  trust: 'protected',
  token: 'ghp_abcdefgh12345678',
});

interface Event {
  readonly name: string;
  readonly id: string;
  readonly data: Record<string, unknown> & { readonly pieces?: readonly { html?: string; note?: string }[] };
}

interface Listening {
  readonly answer: Response;
  /** Resolves with all events until one fits. */
  until(fits: (event: Event) => boolean): Promise<Event[]>;
  /** All to the end of the stream. */
  rest(): Promise<Event[]>;
  leave(): Promise<void>;
  readonly released: Promise<void>;
}

interface ListenOptions {
  readonly lastEventId?: string;
  readonly from?: string;
  readonly accept?: string;
  readonly closing?: AbortSignal;
}

async function listen(look: BuildLook, options: ListenOptions = {}): Promise<Listening> {
  const released = Promise.withResolvers<void>();
  const headers = new Headers({ accept: options.accept ?? 'text/event-stream' });
  if (options.lastEventId !== undefined) headers.set('last-event-id', options.lastEventId);
  const query = options.from === undefined ? '' : `?from=${encodeURIComponent(options.from)}`;
  const answer = await handleBuildEvents(
    new Request(`https://c3.example/b/SEALED/events${query}`, { headers }),
    'SEALED',
    {
      openView: () => Promise.resolve({ link, found: look, release: released.resolve }),
      baseUrl: () => 'https://c3.example',
      now: () => START + 38_000,
      closing: options.closing ?? new AbortController().signal,
    },
  );
  const reader = (answer.clone().body ?? fail()).pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  async function next(): Promise<Event | undefined> {
    while (!text.includes('\n\n')) {
      const { done, value } = await reader.read();
      if (done) return undefined;
      text += value;
    }
    const end = text.indexOf('\n\n');
    const block = text.slice(0, end);
    text = text.slice(end + 2);
    if (block.startsWith(':')) return next();
    const read = (field: string): string => new RegExp(`^${field}: (.*)$`, 'm').exec(block)?.[1] ?? '';
    return { name: read('event'), id: read('id'), data: JSON.parse(read('data')) as Event['data'] };
  }
  async function until(fits: (event: Event) => boolean): Promise<Event[]> {
    const events: Event[] = [];
    for (let event = await next(); event; event = await next()) {
      events.push(event);
      if (fits(event)) break;
    }
    return events;
  }
  return {
    answer,
    until,
    rest: () => until(() => false),
    async leave(): Promise<void> {
      await Promise.all([reader.cancel(), answer.body?.cancel()]);
    },
    released: released.promise,
  };
}

function seen(build: FakeBuild): BuildLook {
  return { kind: 'seen', view: build.view };
}

/** Lines as a browser has them once it has all events: an id each, then its text. */
function toLines(events: readonly Event[]): string[] {
  const html = events.flatMap(({ data }) => data.pieces ?? []).map((piece) => piece.html ?? '');
  return html.join('').split('<li id=').slice(1);
}

function createRunning(): FakeBuild {
  const build = createFakeBuild(RUNNING);
  build.endLog(0);
  build.endLog(1);
  return build;
}

function hasLine(line: string): (event: Event) => boolean {
  return (event) => toLines([event]).includes(line);
}

describe('the events of a build', () => {
  test('begin with its state and the logs so far, and continue with new lines', async () => {
    const build = createRunning();
    build.write(2, 'one\n');
    const listening = await listen(seen(build));
    const first = await listening.until(hasLine('test-L1>one'));
    build.write(2, 'two\nthr');
    const then = await listening.until(({ data }) => data['partial'] === 'thr');
    expect(first[0]).toMatchObject({
      name: 'state',
      data: { title: '🔄 Running · acme/shop · main', word: 'Running' },
    });
    expect(first[0]?.data['parts']).toHaveProperty('sum-test');
    expect(toLines(then)).toStrictEqual(['test-L2>two']);
    await listening.leave();
    await listening.released;
    expect(build.readers).toBe(0);
  });

  test('send of the state what has changed, and no more', async () => {
    const build = createRunning();
    const listening = await listen(seen(build));
    await listening.until(({ name }) => name === 'state');
    const steps = RUNNING.steps.map((step) =>
      step.name === 'image' ? createStep('image', { kind: 'running' }, { from: 20 }) : step,
    );
    build.show({ ...RUNNING, steps });
    const event = (await listening.until(({ name }) => name === 'state')).at(-1);
    expect(Object.keys(event?.data['parts'] as object)).toStrictEqual(['sum-image']);
    expect(event?.data).toMatchObject({ steps: [], phases: { image: { kind: 'running', fold: 'open' } } });
    await listening.leave();
  });

  test('bring steps once they are known', async () => {
    const build = createFakeBuild(createState({ kind: 'preparing', detail: 'pulling image' }));
    const listening = await listen(seen(build));
    await listening.until(({ name }) => name === 'state');
    build.show(RUNNING);
    const event = (await listening.until(({ name }) => name === 'state')).at(-1);
    expect(event?.data['steps']).toHaveLength(5);
    await listening.leave();
  });

  test('end when the build has ended and every log was read', async () => {
    const build = createRunning();
    const listening = await listen(seen(build));
    build.write(2, 'last words');
    build.endLog(2);
    build.show(FAILED);
    const events = await listening.rest();
    expect(toLines(events)).toStrictEqual(['test-L1>last words']);
    expect(events.at(-1)).toMatchObject({ name: 'end', data: {} });
    await listening.released;
  });

  test('begin a new log for another attempt', async () => {
    const build = createRunning();
    const listening = await listen(seen(build));
    build.write(2, 'first try\n');
    await listening.until(hasLine('test-L1>first try'));
    build.endLog(2);
    const steps = RUNNING.steps.map((step) => (step.name === 'test' ? { ...step, attempt: 2 } : step));
    build.write(2, 'second try\n', { attempt: 2 });
    build.show({ ...RUNNING, steps });
    const events = await listening.until(hasLine('test-L1>second try'));
    expect(events.at(-1)?.data).toMatchObject({ attempt: 2, isFirst: true });
    await listening.leave();
  });

  test('report what is omitted, and where a log cannot be read', async () => {
    const build = createFakeBuild(createEnded({ kind: 'passed', allowed: [] }, { steps: FAILED.steps.slice(0, 1) }));
    build.write(0, 'a\nend');
    build.endLog(0, { cut: 2_500_000, failure: 'the Pod is gone' });
    const events = await (await listen(seen(build))).rest();
    expect(events.flatMap(({ data }) => data.pieces ?? [])).toStrictEqual([
      { first: 1, html: '<li id=git-L1>a' },
      { note: '2.5 MB are omitted here. The raw log contains them.' },
      { first: 2, html: '<li id=git-L2>end' },
      { note: 'c3 could not read the log to its end: the Pod is gone' },
    ]);
    expect(events.at(-1)).toMatchObject({ name: 'trouble' });
  });

  test('end when c3 shuts down, and another c3 can continue them', async () => {
    const closing = new AbortController();
    const build = createRunning();
    const listening = await listen(seen(build), { closing: closing.signal });
    build.write(2, '\u001B[31mone\n');
    const before = await listening.until(hasLine('test-L1><span class=f1>one</span>'));
    closing.abort();
    const rest = await listening.rest();
    expect([toLines(rest), rest.filter(({ name }) => name !== 'log')]).toStrictEqual([[], []]);
    await listening.released;
    build.write(2, 'two\n');
    const again = await listen(seen(build), { lastEventId: before.at(-1)?.id ?? '' });
    const after = await again.until(hasLine('test-L2><span class=f1>two</span>'));
    expect(toLines(after)).toStrictEqual(['test-L2><span class=f1>two</span>']);
    await again.leave();
  });
});

describe('a browser that reconnects', () => {
  test('continues after any event, without lost or repeated lines', async () => {
    const build = createRunning();
    const listening = await listen(seen(build));
    const events: Event[] = [];
    for (let line = 1; line <= 8; line++) {
      build.write(2, `line ${line}\n`);
      events.push(...(await listening.until(hasLine(`test-L${line}>line ${line}`))));
    }
    build.endLog(2);
    build.show(FAILED);
    events.push(...(await listening.rest()));
    const all = toLines(events);
    expect(all).toHaveLength(8);
    for (const [index, { id }] of events.entries()) {
      if (id === '') continue;
      const rest = await (await listen(seen(build), { from: id })).rest();
      expect([...toLines(events.slice(0, index + 1)), ...toLines(rest)]).toStrictEqual(all);
    }
  });

  test('gets everything for an invalid position', async () => {
    const build = createRunning();
    build.write(2, 'secret: abc\n');
    build.endLog(2);
    build.show(FAILED);
    const events = await (await listen(seen(build), { from: 'AAAAAAAAAAAAAAAA.2.1.8.0.1.0' })).rest();
    expect(toLines(events)).toStrictEqual(['test-L1>secret: abc']);
    expect(events.find(({ name }) => name === 'log')?.data).toMatchObject({ isFirst: true });
  });
});

test('a browser that does not read stops the reading of a log of any length', async () => {
  const build = createRunning();
  const line = `${'x'.repeat(199)}\n`;
  build.write(2, line.repeat(100_000));
  const answer = await handleBuildEvents(new Request('https://c3.example/b/SEALED/events'), 'SEALED', {
    openView: () => Promise.resolve({ link, found: seen(build), release: () => {} }),
    baseUrl: () => 'https://c3.example',
    now: () => START,
    closing: new AbortController().signal,
  });
  const reader = (answer.body ?? fail()).getReader();
  async function settle(): Promise<void> {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  await reader.read();
  await settle();
  const before = build.linesRead;
  await settle();
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(5_000);
  expect(build.linesRead).toBe(before);
  await reader.cancel();
});

test.each([
  [{ kind: 'failed', message: 'GitHub does not answer' } as const, 'trouble', 'GitHub does not answer'],
  [
    {
      kind: 'outcome',
      outcome: {
        build: FAILED.build,
        urls: FAILED.urls,
        status: undefined,
        message: 'its Pod is gone',
        problems: [],
      },
    } as const,
    'end',
    'its Pod is gone',
  ],
])('one event explains what cannot be followed: %o', async (look, name, message) => {
  expect(await (await listen(look)).rest()).toStrictEqual([{ name, id: '', data: { message } }]);
});

describe('for a terminal', () => {
  test('the events are lines after the names of their steps, and what happens', async () => {
    const build = createRunning();
    build.write(2, '\u001B[31mred\u001B[0m\rR\n');
    build.endLog(2);
    build.show(FAILED);
    const { answer } = await listen(seen(build), { accept: 'text/plain' });
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    const text = await answer.text();
    expect(text).toContain('== Failed: test failed: exit code 1 ==\n');
    expect(text).toContain('== git: passed ==\n');
    expect(text).toContain('== test: failed, exit code 1 ==\n');
    expect(text).toContain('[test] Red\n');
  });

  test('the events report each warning once, and what is not confirmed', async () => {
    const warnings = ['the forge does not know of this end', 'c3.yaml:1:2 warning: odd\n  odd\n  ^'];
    const ended = createEnded({ kind: 'passed', allowed: [] }, { warnings, isUnconfirmed: true });
    const { answer } = await listen(seen(createFakeBuild(ended)), { accept: 'text/plain' });
    expect(await answer.text()).toBe(
      '== Passed, not confirmed ==\n== Warning: the forge does not know of this end ==\n== Warning: c3.yaml:1:2 warning: odd odd ^ ==\n',
    );
  });
});

function fail(): never {
  throw new Error('There is no body');
}
