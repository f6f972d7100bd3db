import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { FAILED, PASSED, RUNNING, START, createState } from '../../dev/telegram/build-states.ts';
import { createFakeClock } from '../../dev/telegram/fake-clock.ts';
import { createTelegramServer, type TelegramServer } from '../../dev/telegram/server.ts';
import { newest } from '../../dev/telegram/world.ts';
import type { BuildState } from '../../src/engine/build-state.ts';
import { createChatThrottle } from '../../src/reporters/telegram/chat-throttle.ts';
import { createTelegramReporter } from '../../src/reporters/telegram/telegram-reporter.ts';
import { openBrowser } from '../browser/browser.ts';

/**
 * Draws the README's pictures of the Telegram message: the real reporter sends builds to the stand-in, and a browser shows them.
 * Needs Debian's packages chromium, fonts-noto-color-emoji and fonts-dejavu-core; CHROMIUM names another browser's path.
 */
const TOKEN = '110201543:for-the-pictures';
const CHAT = -1001234567890;
const FOLDER = fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
const WAIT_MS = 20_000;
/** What each picture shows, and how many seconds into the build. */
const PICTURES: readonly { readonly name: string; readonly state: BuildState; readonly afterMs: number }[] = [
  { name: 'running', state: RUNNING, afterMs: 38_000 },
  { name: 'passed', state: PASSED, afterMs: 96_000 },
  { name: 'failed', state: FAILED, afterMs: 54_000 },
];

await mkdir(FOLDER, { recursive: true });
const browser = await openBrowser();
try {
  for (const picture of PICTURES) await draw(browser, picture);
} finally {
  await browser.close();
}

async function draw(browser: Browser, { name, state, afterMs }: (typeof PICTURES)[number]): Promise<void> {
  const clock = createFakeClock(START);
  const server = await createTelegramServer({
    bots: [{ token: TOKEN }],
    chats: [{ id: CHAT, title: 'shop builds' }],
    now: clock.now,
  });
  try {
    const reporter = createTelegramReporter({
      destination: { token: TOKEN, chat: CHAT },
      apiBase: server.url,
      throttle: createChatThrottle(clock),
      clock,
      log: { warn: (message) => process.stderr.write(`${message}\n`) },
    });
    reporter.report(createState({ kind: 'preparing', detail: 'waiting for another build of this repository' }));
    await server.waitFor(({ versions }) => versions.length === 1, AbortSignal.timeout(WAIT_MS));
    clock.pass(afterMs);
    reporter.report(state);
    // Of a build that still runs it sends what is known.
    await reporter.finish();
    if (newest(server.messages()[0] ?? fail('no message arrived')).text.includes('Preparing')) fail('no edit arrived');
    const path = `${FOLDER}telegram-${name}.png`;
    await photograph(browser, server, path);
    process.stdout.write(`${path}\n`);
  } finally {
    await server.close();
  }
}

async function photograph(browser: Browser, server: TelegramServer, path: string): Promise<void> {
  const page = await browser.newPage({
    deviceScaleFactor: 2,
    viewport: { width: 520, height: 700 },
    colorScheme: 'light',
  });
  try {
    await page.goto(`${server.url}/`);
    const bubble = page.locator('.message');
    await bubble.waitFor({ timeout: WAIT_MS });
    for (const quote of await page.locator('.expandable').all()) await quote.click();
    // Transparent around the bubble's corners, for light and dark pages.
    await page.addStyleTag({ content: 'body { background: none }' });
    await bubble.screenshot({ path, omitBackground: true });
  } finally {
    await page.close();
  }
}

function fail(message: string): never {
  throw new Error(message);
}
