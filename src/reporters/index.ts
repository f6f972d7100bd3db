export { combineReporters, createCommitStatusReporter, systemClock } from './reporter.ts';
export { ChatThrottle } from './telegram/chat-throttle.ts';
export { parseDestination, type TelegramDestination } from './telegram/destination.ts';
export { createTelegramReporter } from './telegram/telegram-reporter.ts';
