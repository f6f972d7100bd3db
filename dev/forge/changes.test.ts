import { expect, it } from 'vitest';
import { createChanges } from './changes.ts';

it('a search that throws after a change rejects its caller, and no other', async () => {
  const changes = createChanges();
  let isBroken = false;
  const broken = changes.waitFor(() => {
    if (isBroken) throw new Error('broken');
    return undefined;
  }, new AbortController().signal);
  const other = changes.waitFor(() => (isBroken ? 'found' : undefined), new AbortController().signal);
  isBroken = true;
  changes.announce();
  await expect(broken).rejects.toThrow('broken');
  expect(await other).toBe('found');
  expect(() => changes.announce()).not.toThrow();
});
