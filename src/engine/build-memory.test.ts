import { expect, it } from 'vitest';
import { useWorlds } from '../../test/fakes/build-world.ts';
import { collectGarbage } from '../../test/fakes/memory.ts';

const createWorld = useWorlds();

/** What a search for secrets has for a table, beside its patterns. */
const TABLE_BYTES = 64 * 1024;
const BUILDS = 12;

async function readBytes(): Promise<number> {
  await collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

it('a build that waits for Telegram alone no longer holds what it searched for secrets with', async () => {
  const world = createWorld();
  const reported = Promise.withResolvers<undefined>();
  const finish = async (): Promise<undefined> => await reported.promise;
  const runs: Promise<unknown>[] = [];
  async function start(): Promise<void> {
    const over = Promise.withResolvers<void>();
    runs.push(world.run({ finish, onOver: () => over.resolve() }));
    await over.promise;
  }
  await start();
  const before = await readBytes();
  for (let build = 0; build < BUILDS; build += 1) await start();
  expect((await readBytes()) - before).toBeLessThan((BUILDS / 4) * TABLE_BYTES);
  reported.resolve(undefined);
  expect(await Promise.all(runs)).toHaveLength(1 + BUILDS);
});
