export { runBuild, type BuildDependencies, type BuildLimits, type BuildRequest } from './build.ts';
export type { BuildPhase, BuildSource, BuildState, Ending, Reporter, StepPhase, StepState } from './build-state.ts';
export type * from './cluster.ts';
export { createLinePool } from './line-pool.ts';
export { DEFAULT_STEP_LIMITS } from './step.ts';
