import { afterAll, describe, expect, it } from 'vitest';
import { askShell } from './engine-targets.ts';
import { createFuzzer } from './fuzzer.ts';
import { targets } from './targets.ts';
import { isLong, SEED } from '../random.ts';

const RUNS = isLong ? 2_000 : 100;
const fuzzer = createFuzzer();

describe('untrusted input', () => {
  afterAll(async () => await fuzzer.close());

  it.each(targets.map(({ name }) => name))('does not break the parsers of %s', async (target) => {
    expect(await fuzzer.run({ target, runs: RUNS, seed: SEED })).toBeUndefined();
  });

  it('has at least twenty targets with unique names', () => {
    expect(targets.length).toBeGreaterThanOrEqual(20);
    expect(new Set(targets.map(({ name }) => name)).size).toBe(targets.length);
  });

  it('is quoted for a shell as the shell reads it', () => {
    const text = `it's "so" \\ $(touch x) \`id\` \n\t; & | é`;
    expect(askShell(text)).toBe(text);
  });
});
