import type { Page } from 'playwright-core';
import type { BuildState } from '../../src/build/index.ts';
import { FAILED, RUNNING } from '../../dev/telegram/build-states.ts';
import { createFakeBuild, type FakeBuild } from './fake-view.ts';

/** Creates a build in which `git` and `lint` have passed and `test` runs. */
export function createRunning(state: BuildState = RUNNING): FakeBuild {
  const build = createFakeBuild(state);
  for (const [index, step] of state.steps.entries()) {
    if (step.phase.kind !== 'passed') continue;
    build.write(index, `output of ${step.name}\n`);
    build.endLog(index);
  }
  return build;
}

/** Creates a build in which `test` wrote this log and failed. */
export function createFailed(log: string): FakeBuild {
  const build = createRunning(FAILED);
  build.write(2, log);
  build.endLog(2);
  return build;
}

/** Returns whether any part of an element is on the screen. */
export function isInView(page: Page, selector: string): Promise<boolean> {
  return page.evaluate<boolean>(`(() => {
    const { top, bottom } = document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  })()`);
}
