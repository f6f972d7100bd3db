import type { Page } from 'playwright-core';
import type { BuildState } from '../../src/build/index.ts';
import { FAILED, RUNNING } from '../../dev/telegram/build-states.ts';
import { createFakeBuild, type FakeBuild } from './fake-view.ts';

/** `git` and `lint` have passed, `test` runs. */
export function createRunning(state: BuildState = RUNNING): FakeBuild {
  const build = createFakeBuild(state);
  for (const [index, step] of state.steps.entries()) {
    if (step.phase.kind !== 'passed') continue;
    build.write(index, `output of ${step.name}\n`);
    build.endLog(index);
  }
  return build;
}

/** `test` has failed, and wrote this. */
export function createFailed(log: string): FakeBuild {
  const build = createRunning(FAILED);
  build.write(2, log);
  build.endLog(2);
  return build;
}

/** Whether any of an element is on the screen. */
export function isInView(page: Page, selector: string): Promise<boolean> {
  return page.evaluate<boolean>(`(() => {
    const { top, bottom } = document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  })()`);
}
