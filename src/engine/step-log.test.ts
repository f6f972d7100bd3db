import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { FailedLog } from '../build/index.ts';
import { toFile, useWorlds, type World } from '../../test/fakes/build-world.ts';
import type { TelegramOptions } from './build-request.ts';

const createWorld = useWorlds();

interface Sent {
  readonly step: string;
  readonly bytes: number;
  readonly isWhole: boolean;
  readonly text: string;
  /** Whether the workspace was given back before. */
  readonly isLate: boolean;
}

/** Runs a build whose reporter wants logs, and answers those that it was given. */
async function run(world: World, steps: string, { extra = '', maxBytes = 1_000_000 } = {}): Promise<Sent[]> {
  const sent: Sent[] = [];
  async function sendLog(log: FailedLog): Promise<void> {
    const chunks: Uint8Array[] = [];
    const isLate = world.released.length > 0;
    const isWhole = await log.copy((bytes) => void chunks.push(bytes), { maxBytes, signal: log.signal });
    sent.push({ step: log.step, bytes: log.bytes, isWhole, text: Buffer.concat(chunks).toString(), isLate });
  }
  await world.run({ file: toFile(steps, extra), sendLog });
  return sent;
}

describe('the log of the step that failed', () => {
  it('is read whole from the Pod before that is given back, which it then is', async () => {
    const world = createWorld();
    const sent = await run(world, '- main: echo fine\n- main: seq 1 3; echo broken >&2; exit 3\n  name: test');
    const text = '1\n2\n3\nbroken\n';
    expect(sent).toEqual([{ step: 'test', bytes: text.length, isWhole: true, text, isLate: false }]);
    expect(world.released).toEqual([true]);
  });

  it('is that of the first that failed and may not, and of its newest attempt', async () => {
    const steps = `- main: echo allowed; exit 1
  allow_failure: true
- main: echo "try $(cat tries)"; echo x >> tries; exit 1
  retry: 1
- main: echo after; exit 1
  when: {status: failure}`;
    const sent = await run(createWorld(), steps);
    expect(sent.map(({ text }) => text)).toEqual(['try x\n']);
  });

  it('is masked, also at the place where it is cut', async () => {
    // The world opens a value by writing "opened " before it.
    const extra = 'secrets: {KEY: aa.bb.cc.dd}\n';
    const steps = '- main: for i in $(seq 1 400); do printf "%s|" "$KEY"; done; exit 1';
    const whole = await run(createWorld(), steps, { extra });
    expect(whole.map(({ text }) => text)).toEqual(['***|'.repeat(400)]);
    for (const maxBytes of [100, 107, 1_030, 6_000]) {
      const [cut] = await run(createWorld(), steps, { extra, maxBytes });
      expect(cut?.isWhole).toBe(true);
      expect(cut?.text).toMatch(/^\*{0,3}\|?(\*\*\*\|)+$/);
      expect(cut?.text.length).toBeLessThanOrEqual(maxBytes);
    }
  });

  it('is cut at its beginning where it is larger than what is wanted', async () => {
    const [sent] = await run(createWorld(), '- main: seq 1 100000; exit 1', { maxBytes: 14 });
    expect(sent?.text).toBe('\n99999\n100000\n');
  });

  it('is not there where no step failed, where it is empty, and where nothing ran', async () => {
    expect(await run(createWorld(), '- main: echo fine')).toEqual([]);
    expect(await run(createWorld(), '- main: exit 1')).toEqual([]);
    expect(await run(createWorld(), '- mian: echo')).toEqual([]);
  });

  it('is not complete when its files are gone, or when the receiver fails', async () => {
    const world = createWorld();
    const answers: boolean[] = [];
    await world.run({
      file: toFile('- main: echo text; exit 1'),
      async sendLog({ copy, signal }) {
        answers.push(await copy(() => Promise.reject(new Error('closed')), { maxBytes: 100, signal }));
        rmSync(join(world.workspace.directory, '.c3'), { recursive: true });
        answers.push(await copy(() => {}, { maxBytes: 100, signal }));
      },
    });
    expect(answers).toEqual([false, false]);
  });

  it('is given up when the build is halted', async () => {
    const world = createWorld();
    const halt = new AbortController();
    const sendLog = (log: FailedLog): Promise<void> =>
      new Promise((resolve) => {
        log.signal.addEventListener('abort', () => resolve(), { once: true });
        halt.abort();
      });
    await world.run({ file: toFile('- main: echo text; exit 1'), halt, sendLog });
    expect(world.released).toEqual([true]);
  });
});

it('the reporter gets what c3.yaml says about Telegram, once that is read', async () => {
  const told: (TelegramOptions | undefined)[] = [];
  const onReporter = (telegram: TelegramOptions | undefined): void => void told.push(telegram);
  const file = toFile('- main: echo', 'telegram: {to: aa.bb.cc.dd, notify: change, log: true}\n');
  await createWorld().run({ file, onReporter });
  await createWorld().run({ file: toFile('- main: echo', 'telegram: {notify: never}\n'), onReporter });
  await createWorld().run({ file: toFile('- mian: echo'), onReporter });
  expect(told).toEqual([
    { destination: 'opened aa.bb.cc.dd', notify: 'change', log: true },
    { destination: undefined, notify: 'never', log: false },
    undefined,
  ]);
});
