export {
  buildPagePolicy,
  renderChunks,
  renderClosing,
  renderCut,
  renderEmptySteps,
  renderLogNote,
  renderOpening,
  renderShortPage,
  renderStepOpening,
  STEP_CLOSING,
  toCutSentence,
  toFailureSentence,
} from './build-page.ts';
export { renderParts, toIcon, toPageSteps, toTitle, type PageOrder, type PageStep } from './build-parts.ts';
export type { Page } from './html.ts';
export { FIRST_LINE, renderLines, renderPartial, type LinePlace, type LogChunk } from './log-lines.ts';
export { renderStartPage } from './start-page.ts';
export { readLine } from '../terminal/index.ts';
export { toBuildSentence, toBuildWords, toStepWords, toWarningSentences } from './words.ts';
