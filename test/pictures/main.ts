import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { openBrowser } from '../browser/browser.ts';
import { drawBuildPages } from './build-pages.ts';
import { drawTelegramMessages } from './telegram-messages.ts';

/**
 * Takes the README's pictures of Telegram messages and build pages. Needs Debian's packages chromium,
 * fonts-noto-color-emoji and fonts-dejavu-core. CHROMIUM is the path of another browser.
 */
const FOLDER = fileURLToPath(new URL('../../docs/pictures/', import.meta.url));

await mkdir(FOLDER, { recursive: true });
const browser = await openBrowser();
try {
  for await (const path of drawTelegramMessages(browser, FOLDER)) process.stdout.write(`${path}\n`);
  for await (const path of drawBuildPages(browser, FOLDER)) process.stdout.write(`${path}\n`);
} finally {
  await browser.close();
}
