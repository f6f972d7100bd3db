import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const DEFAULT_PATH = '/usr/bin/chromium';

/**
 * Finds Debian's Chromium. Root on Debian installs it if it is missing. `CHROMIUM` is the path of another browser.
 */
export default function findChromium(): void {
  const path = process.env['CHROMIUM'] ?? DEFAULT_PATH;
  process.env['CHROMIUM'] = path;
  if (existsSync(path)) return;
  if (path === DEFAULT_PATH && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    process.stderr.write("test:browser: installing Debian's package chromium\n");
    runApt('update', '-q');
    runApt('install', '-qy', '--no-install-recommends', 'chromium');
  }
  if (!existsSync(path)) {
    throw new Error(`There is no browser at ${path}: install Debian's package chromium, or set CHROMIUM to its path`);
  }
}

function runApt(...args: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env });
}
