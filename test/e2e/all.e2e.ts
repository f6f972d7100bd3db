import type { ForgeKind } from '../../dev/forge/index.ts';
import { describeBuilds } from './builds.e2e.ts';
import { describeForge } from './forges.e2e.ts';
import { describeLanguage } from './language.e2e.ts';
import { describeMistakes } from './mistakes.e2e.ts';
import { describePages } from './pages.e2e.ts';
import { describeResume } from './resume.e2e.ts';
import type { Target } from './target.ts';
import { describeTelegram } from './telegram.e2e.ts';

/** All suites of this folder, with repositories on one kind of forge. */
export function describeAll(kind: ForgeKind, name: string, getTarget: () => Promise<Target>): void {
  for (const describeSuite of [
    describeBuilds,
    describeMistakes,
    describeLanguage,
    describePages,
    describeTelegram,
    describeResume,
    describeForge,
  ]) {
    describeSuite(kind, name, getTarget);
  }
}
