import { Command, InvalidArgumentError } from 'commander';
import { describeListenFault } from '../../src/cli/terminal.ts';
import { createTelegramServer } from './server.ts';

const DEFAULT_TOKEN = '110201543:development-only';

interface Options {
  readonly port: number;
  readonly host: string;
  readonly bot: readonly string[];
  readonly chat: readonly number[];
  readonly limits: boolean;
}

let hasNamedChat = false;

await new Command('telegram')
  .description('A strict Telegram Bot API on this machine, with a page that shows its messages.')
  .option('--port <port>', 'port to listen on, 0 for any', toPort, 8081)
  .option('--host <address>', 'address to listen on', '127.0.0.1')
  .option('--bot <token...>', 'token of a bot, <digits>:<key>', [DEFAULT_TOKEN])
  .option('--chat <id...>', 'id of a chat, negative for a group: --chat=-100', collectNumbers, [1, -1001])
  .option('--no-limits', 'take any number of messages')
  .action(serve)
  .parseAsync()
  .catch(reportFault);

async function serve(options: Options): Promise<void> {
  const server = await createTelegramServer({
    port: options.port,
    host: options.host,
    bots: options.bot.map((token) => ({ token })),
    chats: options.chat.map((id) => ({ id, title: id > 0 ? 'Private chat' : `Group ${id}` })),
    hasLimits: options.limits,
  });
  process.stdout.write(
    `API and messages: ${server.url}\nBots: ${options.bot.join(' ')}\nChats: ${options.chat.join(' ')}\n`,
  );
  const stop = (): void => void server.close();
  process.once('SIGINT', stop).once('SIGTERM', stop);
}

function reportFault(error: unknown): void {
  const text = describeListenFault(error) ?? (error instanceof Error ? error.message : String(error));
  process.stderr.write(`telegram: error: ${text}\n`);
  process.exitCode = 1;
}

function toPort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError('a port is a number from 0 to 65535.');
  return Number(text);
}

function toWholeNumber(text: string): number {
  if (!/^-?[0-9]{1,15}$/.test(text)) throw new InvalidArgumentError('not a whole number');
  return Number(text);
}

/** Replaces the defaults with the first value, and appends later ones. */
function collectNumbers(text: string, previous: readonly number[]): readonly number[] {
  const before = hasNamedChat ? previous : [];
  hasNamedChat = true;
  return [...before, toWholeNumber(text)];
}
