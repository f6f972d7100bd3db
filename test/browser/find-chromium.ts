import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const DEFAULT_PATH = '/usr/bin/chromium';

/** Debian's Chromium, installed where there is none and this is root on Debian; `CHROMIUM` names another's path. */
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
