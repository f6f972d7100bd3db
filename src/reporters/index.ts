export { systemClock, type Clock, type ReporterLog } from './clock.ts';
export { combineReporters } from './combine.ts';
export { createCommitStatusReporter, toCommitStatus, type CommitStatusReporterOptions } from './commit-status.ts';
export { formatDuration } from './duration.ts';
export { createChatThrottle, type ChatThrottle } from './telegram/chat-throttle.ts';
export { parseDestination, type TelegramDestination } from './telegram/parse-destination.ts';
export { renderMessage } from './telegram/render.ts';
export { createTelegramReporter, type TelegramReporterOptions } from './telegram/telegram-reporter.ts';
export { toPlainText } from './terminal-text.ts';
