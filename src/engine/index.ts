export { runBuild } from './build.ts';
export type { BuildDependencies, BuildLimits, BuildRequest, TelegramOrder } from './build-request.ts';
export { toFirstState } from './build-progress.ts';
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
export { Cancelled, Superseded } from './cancel.ts';
export { planRoots } from './checkout.ts';
export type * from './cluster.ts';
export { confirmState, type ForgeWord } from './confirmed-state.ts';
export { yieldToEventLoop } from './event-loop.ts';
export { readNotedState } from './noted-state.ts';
export { checkJob, maskAll, openSecrets, PIPELINE_FILE, readPipeline } from './prepare.ts';
export { planTasks, toStepId } from './tasks.ts';
