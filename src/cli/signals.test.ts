import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { listenForSignals } from './run.ts';

/** What has come of the signals, each `NAME@MILLISECONDS`. */
async function send(...signals: string[]): Promise<{ first: boolean; second: boolean; listeners: number }> {
  const source = new EventEmitter();
  let now = 0;
  const interruption = listenForSignals(source, () => now);
  let second = false;
  void interruption.second.then(() => {
    second = true;
  });
  for (const signal of signals) {
    const [name = '', at] = signal.split('@');
    now = Number(at);
    source.emit(name, name);
  }
  await Promise.resolve();
  interruption.close();
  return { first: interruption.signal.aborted, second, listeners: source.eventNames().length };
}

it.each([
  [[], false, false],
  [['SIGINT@0'], true, false],
  [['SIGHUP@0'], true, false],
  [['SIGINT@0', 'SIGINT@3000'], true, true],
  [['SIGINT@0', 'SIGTERM@1'], true, true],
])('of %j the first is told: %s, the second: %s', async (signals, first, second) => {
  expect(await send(...signals)).toEqual({ first, second, listeners: 0 });
});

it('takes one Ctrl-C that npm hands on as well for one', async () => {
  expect(await send('SIGINT@0', 'SIGINT@20')).toEqual({ first: true, second: false, listeners: 0 });
  expect(await send('SIGINT@0', 'SIGINT@20', 'SIGINT@600')).toEqual({ first: true, second: true, listeners: 0 });
});
