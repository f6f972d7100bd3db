import type { Browser } from 'playwright-core';
import type { BuildState } from '../../src/build/index.ts';
import { FAILED, LINKS, PASSED, RUNNING, START, createState } from '../../dev/telegram/build-states.ts';
import { createFakeClock } from '../../dev/telegram/fake-clock.ts';
import { createTelegramServer, type TelegramServer } from '../../dev/telegram/server.ts';
import { newest } from '../../dev/telegram/world.ts';
import { ChatThrottle } from '../../src/reporters/telegram/chat-throttle.ts';
import { createTelegramReporter } from '../../src/reporters/telegram/telegram-reporter.ts';

const TOKEN = '110201543:for-the-pictures';
const CHAT = -1001234567890;
const WAIT_MS = 20_000;

/** The state that each picture shows, and the time since the start of the build. */
const PICTURES: readonly { readonly name: string; readonly state: BuildState; readonly afterMs: number }[] = [
  { name: 'running', state: RUNNING, afterMs: 38_000 },
  { name: 'passed', state: PASSED, afterMs: 96_000 },
  { name: 'failed', state: FAILED, afterMs: 54_000 },
];

/** Reports builds to the fake Bot API with the real reporter, and takes pictures of its page. */
export async function* drawTelegramMessages(browser: Browser, folder: string): AsyncGenerator<string> {
  for (const { name, state, afterMs } of PICTURES) {
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
        throttle: new ChatThrottle(clock),
        clock,
        log: { warn: (message) => process.stderr.write(`${message}\n`) },
      });
      const links = LINKS;
      reporter.report({ ...createState({ kind: 'preparing', detail: 'waiting for another build' }), links });
      await server.waitFor(({ versions }) => versions.length === 1, AbortSignal.timeout(WAIT_MS));
      clock.pass(afterMs);
      reporter.report({ ...state, links });
      // For a running build, the reporter sends the newest state.
      await clock.jumpUntil(reporter.finish());
      if (newest(server.messages()[0] ?? fail('no message arrived')).text.includes('Preparing'))
        fail('no edit arrived');
      const path = `${folder}telegram-${name}.png`;
      await photograph(browser, server, path);
      yield path;
    } finally {
      await server.close();
    }
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
    // A failed build has a second message, the notification.
    const bubble = page.locator('.message').first();
    await bubble.waitFor({ timeout: WAIT_MS });
    for (const quote of await bubble.locator('.expandable').all()) await quote.click();
    // Transparent corners suit light and dark pages.
    await page.addStyleTag({ content: 'body { background: none }' });
    await bubble.screenshot({ path, omitBackground: true });
  } finally {
    await page.close();
  }
}

function fail(message: string): never {
  throw new Error(message);
}
