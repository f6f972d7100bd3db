import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createForgeServer, type ForgeKind, type ForgeServer } from '../forge/index.ts';
import { createTelegramServer, type TelegramServer } from '../telegram/server.ts';
import { startC3, type C3Process } from './c3-process.ts';
import { FORGE_USES } from './forge-use.ts';

/** Everything that c3 needs besides a cluster: a forge, a fake Telegram, and c3 itself. */
export interface World {
  readonly forge: ForgeServer;
  readonly telegram: TelegramServer;
  readonly c3: C3Process;
  /** The settings of c3. Another c3 with them opens the same sealed values. */
  readonly settings: Readonly<Record<string, string>>;
  /** The group that the operator's bot reports to. */
  readonly chat: number;
  readonly bot: string;
  /** A user who may do everything in the repositories of `acme`. */
  readonly owner: { readonly login: string; readonly token: string };
  /** A directory that `close` removes. */
  readonly directory: string;
  close(): Promise<void>;
}

export interface WorldOptions {
  /** Which forge it is. Default `github`. */
  readonly kind?: ForgeKind;
  /** Where the forge listens: an address that Pods reach. Default `127.0.0.1`. */
  readonly forgeHost?: string;
  /** Default: any free port. */
  readonly forgePort?: number;
  /** Whether the fake Telegram limits messages to a chat, as the real one does. Default: true. */
  readonly hasLimits?: boolean;
  /** {@link ForgeServerOptions.deliveryTimeoutMs} */
  readonly deliveryTimeoutMs?: number;
  /** Additional settings of c3. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The file that Node runs as c3; default: its source. */
  readonly program?: string;
}

/** c3 ends after its last message, and a chat accepts one a second. After this time c3 is killed without the rest. */
const STOP_MS = 5_000;

const GROUP = -1_002_003_004_005;
const PRIVATE_CHAT = 2_003_004_005;

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'c3-world-'));
  const { kind = 'github' } = options;
  const owner = { login: 'ann', token: FORGE_USES[kind].createToken() };
  const bot = `${String(randomBytes(4).readUInt32BE(0)).padStart(9, '1')}:${randomBytes(26).toString('base64url')}`;
  const forge = await createForgeServer({
    kind,
    root: await mkdtemp(join(directory, 'forge-')),
    host: options.forgeHost ?? '127.0.0.1',
    ...(options.forgePort === undefined ? {} : { port: options.forgePort }),
    users: [{ ...owner, permissions: { '*': 'admin' } }],
    deliveryTimeoutMs: options.deliveryTimeoutMs,
  });
  const hasLimits = options.hasLimits ?? true;
  // c3 sends at most 20 messages a minute to a group, also without limits here. A private chat has no such limit.
  const chat = hasLimits ? GROUP : PRIVATE_CHAT;
  const telegram = await createTelegramServer({
    bots: [{ token: bot }],
    chats: [{ id: chat, title: 'Acme builds' }],
    hasLimits,
  });
  const settings = {
    C3_SECRET: randomBytes(32).toString('base64url'),
    C3_ALLOW_REPOS: '**',
    C3_FORGES: `${kind}=${forge.origin}|${forge.apiBase}`,
    C3_TELEGRAM_API: telegram.url,
    C3_TELEGRAM_TOKEN: bot,
    C3_TELEGRAM_CHAT: String(chat),
    // The clusters of the development kit are on this machine, whose addresses c3 refuses by default.
    C3_ALLOW_NETS: '127.0.0.0/8,::1/128',
    ...options.settings,
  };
  const c3 = await startC3(settings, options.program).catch(async (error: unknown) => {
    await Promise.all([forge.close(), telegram.close(), rm(directory, { recursive: true, force: true })]);
    throw error;
  });
  return {
    forge,
    telegram,
    c3,
    settings,
    chat,
    bot,
    owner,
    directory,
    async close(): Promise<void> {
      const timer = setTimeout(() => c3.kill('SIGKILL'), STOP_MS);
      await c3.stop();
      clearTimeout(timer);
      await Promise.all([forge.close(), telegram.close()]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
