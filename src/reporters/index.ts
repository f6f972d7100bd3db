export { createCommitStatusReporter } from './commit-status-reporter.ts';
export { combineReporters, systemClock } from './reporter.ts';
export { ChatThrottle } from './telegram/chat-throttle.ts';
export { parseDestination, type TelegramDestination } from './telegram/destination.ts';
export { createTelegramReporter } from './telegram/telegram-reporter.ts';
