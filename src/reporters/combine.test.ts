import { expect, test } from 'vitest';
import { PASSED } from '../../dev/telegram/build-states.ts';
import { combineReporters } from './combine.ts';

test('a reporter that throws or rejects is logged and stops no other', async () => {
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
  expect(warnings).toEqual(['A reporter broke its contract: report', 'A reporter broke its contract: finish']);
});
