import { engineTargets } from './engine-targets.ts';
import { forgeTargets } from './forge-targets.ts';
import { gitlabTargets } from './gitlab-targets.ts';
import { gitTargets } from './git-targets.ts';
import { kubeTargets } from './kube-targets.ts';
import { pageTargets } from './page-targets.ts';
import { pipelineTargets } from './pipeline-targets.ts';
import { policyTargets } from './policy-targets.ts';
import { reportTargets } from './report-targets.ts';
import { sealingTargets } from './sealing-targets.ts';
import type { Target } from './target.ts';
import { viewTargets } from './view-targets.ts';

/** All parsers of untrusted input. `npm test` runs each with few inputs, `npm run fuzz` with a given number. */
export const targets: readonly Target[] = [
  ...sealingTargets,
  ...forgeTargets,
  ...gitlabTargets,
  ...gitTargets,
  ...pipelineTargets,
  ...policyTargets,
  ...kubeTargets,
  ...engineTargets,
  ...viewTargets,
  ...reportTargets,
  ...pageTargets,
];
