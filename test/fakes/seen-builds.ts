import { afterEach, beforeEach } from 'vitest';
import type { BuildView } from '../../src/logs/build-view.ts';
import { createWorld, toFile, type LookAnswers, type World } from './build-world.ts';
import { toLocalBuildId } from './local-workspace.ts';

type Part = Partial<LookAnswers>;

/** Builds in a world of the test, and their views. */
export interface SeenBuilds {
  readonly world: World;
  /** Runs a build of these steps to its end. */
  build(steps: string, part?: Part, extra?: string): Promise<Part & { id: string }>;
  /** Opens a view of the build, which is closed after the test. */
  see(order: Part & { id: string }): Promise<BuildView>;
}

/** Registers the hooks that make and close them. */
export function useSeenBuilds(): SeenBuilds {
  let world: World | undefined;
  let open: BuildView[] = [];
  beforeEach(() => {
    world = createWorld();
  });
  afterEach(() => {
    for (const view of open) view.close();
    open = [];
    world?.close();
  });
  function get(): World {
    if (!world) throw new Error('the world does not exist before the tests run');
    return world;
  }
  return {
    get world() {
      return get();
    },
    async build(steps, part = {}, extra = '') {
      const order = { id: toLocalBuildId(), file: toFile(steps, extra), ...part };
      await get().run(order);
      return order;
    },
    async see(order) {
      const look = await get().look(order);
      if (look.kind !== 'seen') throw new Error(JSON.stringify(look));
      open.push(look.view);
      return look.view;
    },
  };
}

export async function list<T>(all: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of all) items.push(item);
  return items;
}
