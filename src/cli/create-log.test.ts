import { execFile } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../config/index.ts';
import { createLog, describeCrash, logCrashes } from './create-log.ts';

const FIRST = 'YzMtdGVzdC1zZWNyZXQtb2YtMzItYnl0ZXMtISEhISE';
const SECOND = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8';
const BOT = '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw';

function open(): { log: ReturnType<typeof createLog>; lines: string[] } {
  const lines: string[] = [];
  const config = {
    secret: `${FIRST}, ${SECOND}`,
    telegramToken: BOT,
    logLevel: 'info',
  } as const;
  return { log: createLog(config, { write: (line) => void lines.push(line) }), lines };
}

describe("c3's own log", () => {
  it('is a JSON object a line, with the time', () => {
    const { log, lines } = open();
    log.info({ build: 'b' }, 'build started');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { level: 30, time: expect.stringMatching(/^\d{4}-.*Z$/), build: 'b', msg: 'build started' },
    ]);
  });

  it('shows no key of C3_SECRET and no token of the bot, in a sentence, in a field, or in another spelling', () => {
    const { log, lines } = open();
    const hidden = [FIRST, SECOND, BOT];
    for (const secret of hidden) {
      log.error({ error: `at ${secret}`, deep: { secret } }, `failed with ${secret}`);
      log.warn({ hex: Buffer.from(secret).toString('hex') }, Buffer.from(`x${secret}`).toString('base64'));
      log.info({}, encodeURIComponent(secret));
    }
    const text = lines.join('');
    for (const secret of hidden) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(encodeURIComponent(secret));
      expect(text).not.toContain(Buffer.from(secret).toString('hex'));
      expect(text).not.toContain(Buffer.from(`x${secret}`).toString('base64').slice(4, 40));
    }
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      error: 'at ***',
      deep: { secret: '***' },
      msg: 'failed with ***',
    });
  });
});

it('masks the token of a bot that has no chat of its own', () => {
  const lines: string[] = [];
  const config = readConfig({ C3_SECRET: FIRST, C3_ALLOW_REPOS: '**', C3_TELEGRAM_TOKEN: BOT }, {}, () => '');
  expect(config.telegram).toBeUndefined();
  createLog(config, { write: (line) => void lines.push(line) }).info({}, `failed with ${BOT}`);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ msg: 'failed with ***' });
});

class Poison extends Error {
  override get message(): string {
    throw new Error('poison');
  }
}

describe('a crash', () => {
  it.each([
    ['an error', new Error('gone'), { error: 'gone' }],
    [
      'an error with a code',
      Object.assign(new Error('reset'), { code: 'ECONNRESET' }),
      { code: 'ECONNRESET', error: 'reset' },
    ],
    ['an error that holds a key', Object.assign(new Error('tls'), { socket: { key: 'KEY' } }), { error: 'tls' }],
    ['a text', 'gone', { error: 'gone' }],
    ['nothing', undefined, { error: 'undefined' }],
    ['an object', { key: 'KEY' }, { error: '[object Object]' }],
    ['an error that cannot be read', new Poison(), { error: 'an error that cannot be described' }],
    ['what cannot become text', Object.create(null), { error: 'an error that cannot be described' }],
    ['an endless sentence', new Error('x'.repeat(1e6)), { error: 'x'.repeat(2000) }],
  ])('of %s is told by code and message', (_, thrown, expected) => {
    expect(describeCrash(thrown)).toEqual(expected);
  });

  it('is logged, whichever way it comes', () => {
    const { log, lines } = open();
    const source = new EventEmitter();
    logCrashes(source, log);
    source.emit('uncaughtException', new Error(`with ${FIRST}`));
    source.emit('unhandledRejection', new Poison());
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: 50, error: 'with ***', msg: 'uncaught error' },
      { level: 50, error: 'an error that cannot be described', msg: 'unhandled rejection' },
    ]);
  });

  it('does not end the process, however poisoned the event', async () => {
    const script = `
      import { createLog, logCrashes } from ${JSON.stringify(fileURLToPath(new URL('create-log.ts', import.meta.url)))};
      import { EventEmitter } from 'node:events';
      logCrashes(process, createLog({ secret: '${FIRST}', telegramToken: undefined, logLevel: 'info' }));
      const poison = new Proxy(new Error('${FIRST}'), { get() { throw poison; } });
      setTimeout(() => { throw new Error('${FIRST}'); });
      setTimeout(() => { throw poison; });
      setTimeout(() => { throw null; });
      setTimeout(() => new EventEmitter().emit('error', Object.assign(new Error('tls'), { key: 'PRIVATE' })));
      setTimeout(() => void Promise.reject(poison));
      setTimeout(() => console.log('alive'), 50);
    `;
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
    expect(stderr).toBe('');
    const lines = stdout.trim().split('\n');
    expect(lines.at(-1)).toBe('alive');
    expect(lines).toHaveLength(6);
    expect(stdout).not.toMatch(/PRIVATE|YzMt/);
  });
});
