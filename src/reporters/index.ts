export { createCommitStatusReporter } from './commit-status.ts';
export { combineReporters, systemClock } from './reporter.ts';
export { createChatThrottle } from './telegram/chat-throttle.ts';
export { parseDestination, type TelegramDestination } from './telegram/destination.ts';
export { createTelegramReporter } from './telegram/telegram-reporter.ts';
