import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Collects garbage. It runs more than once, because the current turn of the event loop still holds some objects. */
export async function collectGarbage(): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
}

/** Returns the number of objects that are still reachable. */
export async function countHeld(references: readonly WeakRef<object>[]): Promise<number> {
  await collectGarbage();
  return references.filter((reference) => reference.deref() !== undefined).length;
}
