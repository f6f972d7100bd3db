export {
  formatRef,
  parseRef,
  toComparedCommit,
  toEventKind,
  toLogFields,
  toPullRef,
  toPullRequest,
  UNKNOWN_COMMIT,
  type Build,
  type BuildTarget,
  type CommitFacts,
  type EventKind,
  type Ref,
  type ReportedBuild,
  type PullRequest,
  type Trust,
} from './build.ts';
export type * from './build-state.ts';
export {
  findBuildStatus,
  findOutcome,
  formatCommitStatus,
  hasBegun,
  hasPassed,
  readCommitStatus,
  toShortName,
  toStatusContext,
  type CommitStatus,
  type ReadStatus,
} from './commit-status.ts';
export { isIn, replaceStatus } from './replace-status.ts';
export { confirmState, type ForgeReport } from './confirmed-state.ts';
export {
  capitalize,
  describeBuild,
  describeRef,
  describeStep,
  ENDING_WORDS,
  formatCount,
  formatDuration,
  toBuildSentence,
  type Tone,
  type Words,
} from './words.ts';
export { openLink, sealLink, type BuildLink } from './sealed-link.ts';
