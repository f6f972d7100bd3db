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
} from './page-document.ts';
export { renderParts, toIcon, toTitle, type PageOptions } from './page-parts.ts';
export { renderDocumentPage } from './document-page.ts';
export { renderErrorPage } from './error-page.ts';
export { escapeHtml, type Page } from './html.ts';
export { FIRST_LINE, renderLines, renderPartial, type LinePosition, type LogChunk } from './log-html.ts';
export { renderStartPage } from './start-page.ts';
export { toPageSteps, type PageStep } from './page-steps.ts';
