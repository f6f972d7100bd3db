export { runBuild } from './build.ts';
export type { BuildDependencies, BuildLimits, BuildRequest, TelegramOrder } from './build-request.ts';
export type {
  BuildLinks,
  BuildPhase,
  BuildSource,
  BuildState,
  Ending,
  FailedLog,
  Reporter,
  StepPhase,
  StepState,
} from './build-state.ts';
export type * from './build-view.ts';
export { Cancelled, Superseded } from './cancel.ts';
export type * from './cluster.ts';
export { createLinePool, type LinePool } from './line-pool.ts';
export { openView, type ViewDependencies, type ViewOrder } from './open-view.ts';
export type { LogReading } from './read-log.ts';
export { DEFAULT_STEP_LIMITS } from './step.ts';
