export { formatProblem, summarizeProblem, toVisible } from './format-problem.ts';
export { fixPipeline, MAX_PIPELINE_BYTES, parsePipeline } from './parse-pipeline.ts';
export type { ParsedPipeline, Pipeline, Problem, Stage, Step } from './pipeline.ts';
export { needsPaths, planPipeline, stepsOf } from './plan.ts';
export type { PipelineEvent, Plan, PlannedStage, PlannedStep } from './plan.ts';
export { formatSchema } from './schema.ts';
export { suggest } from './suggest.ts';
