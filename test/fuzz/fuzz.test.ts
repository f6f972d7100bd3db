import { afterAll, describe, expect, it } from 'vitest';
import { askShell } from './engine-targets.ts';
import { createFuzzer } from './fuzzer.ts';
import { targets } from './targets.ts';
import { isLong, SEED } from '../random.ts';

const RUNS = isLong ? 2_000 : 100;
const fuzzer = createFuzzer();

describe('what others wrote', () => {
  afterAll(async () => await fuzzer.close());

  it.each(targets.map(({ name }) => name))('breaks nothing that reads it: %s', async (target) => {
    expect(await fuzzer.run({ target, runs: RUNS, seed: SEED })).toBeUndefined();
  });

  it('has at least twenty readers, none of them under two names', () => {
    expect(targets.length).toBeGreaterThanOrEqual(20);
    expect(new Set(targets.map(({ name }) => name)).size).toBe(targets.length);
  });

  it('is quoted for a shell as the shell reads it', () => {
    const text = `it's "so" \\ $(touch x) \`id\` \n\t; & | é`;
    expect(askShell(text)).toBe(text);
  });
});
