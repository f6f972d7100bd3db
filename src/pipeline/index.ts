export { formatDuration, parseDuration } from './duration.ts';
export { MAX_PIPELINE_BYTES, parsePipeline } from './parse-pipeline.ts';
export type {
  Checkout,
  Job,
  JsonObject,
  JsonValue,
  ParsedPipeline,
  Pipeline,
  PodLife,
  Problem,
  Step,
} from './pipeline.ts';
export { formatProblem, summarizeProblem } from './problem.ts';
