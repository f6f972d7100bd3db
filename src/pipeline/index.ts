export { parsePipeline } from './parse-pipeline.ts';
export type { Pipeline, Problem, Step } from './pipeline.ts';
export { formatProblem, summarizeProblem } from './problem.ts';
