export { systemClock } from './clock.ts';
export { combineReporters } from './combine.ts';
export { createCommitStatusReporter } from './commit-status.ts';
export { formatDuration } from './duration.ts';
export { createChatThrottle } from './telegram/chat-throttle.ts';
export { parseDestination, type TelegramDestination } from './telegram/parse-destination.ts';
export { createTelegramReporter } from './telegram/telegram-reporter.ts';
