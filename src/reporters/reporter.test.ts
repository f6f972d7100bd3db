import { expect, test } from 'vitest';
import type { FailedLog, Reporter } from '../build/index.ts';
import { PASSED } from '../../dev/telegram/build-states.ts';
import { combineReporters } from './reporter.ts';

test('a reporter that throws or rejects is logged and does not stop the others', async () => {
  const seen: string[] = [];
  const warnings: string[] = [];
  const broken = {
    report(): void {
      throw new Error('report');
    },
    finish: () => Promise.reject(new Error('finish')),
  };
  const sound = {
    report: () => void seen.push('report'),
    finish: async () => void seen.push('finish'),
  };
  const reporter = combineReporters([broken, sound], { warn: (message) => warnings.push(message) });
  reporter.report(PASSED);
  await reporter.finish();
  expect(seen).toEqual(['report', 'finish']);
  expect(warnings).toEqual(['A reporter failed: report', 'A reporter failed: finish']);
});

test('the log of a failed step goes only to the reporters that want it', async () => {
  const told: string[] = [];
  const warnings: string[] = [];
  const silent: Reporter = { report: () => {}, finish: () => Promise.resolve() };
  const log: FailedLog = {
    step: 'test',
    bytes: 1,
    copy: () => Promise.resolve(true),
    signal: new AbortController().signal,
  };
  expect(combineReporters([silent]).sendLog).toBeUndefined();
  const wanting: Reporter = { ...silent, sendLog: ({ step }) => Promise.resolve(void told.push(step)) };
  const broken: Reporter = { ...silent, sendLog: () => Promise.reject(new Error('no')) };
  const reporter = combineReporters([silent, broken, wanting], { warn: (message) => warnings.push(message) });
  await reporter.sendLog?.(log);
  expect(told).toEqual(['test']);
  expect(warnings).toEqual(['A reporter failed: no']);
});
