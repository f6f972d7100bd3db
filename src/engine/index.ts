export { runBuild } from './build.ts';
export type { BuildDependencies, BuildLimits, BuildRequest } from './build-request.ts';
export type { BuildPhase, BuildSource, BuildState, Ending, Reporter, StepPhase, StepState } from './build-state.ts';
export { Superseded } from './cancel.ts';
export type * from './cluster.ts';
export { createLinePool, type LinePool } from './line-pool.ts';
export { DEFAULT_STEP_LIMITS } from './step.ts';
