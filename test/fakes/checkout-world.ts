import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkoutScript } from '../../src/agent/shell.ts';
import { toCheckoutEnvironment } from '../../src/engine/checkout.ts';
import { toDelta } from '../../src/engine/delta.ts';
import { formatFetchRequest, readFetchResponse } from '../../src/git/index.ts';
import type { GitAccess } from '../../src/forges/forge.ts';
import type { Checkout } from '../../src/pipeline/pipeline.ts';
import { defaultCheckout } from '../../src/pipeline/read/read-checkout.ts';
import { onWorkerEnd } from '../worker.ts';
import { toTestGitEnvironment } from './git-environment.ts';

/** The home directory of git in these tests. */
export const home: string = mkdtempSync(join(tmpdir(), 'c3-checkout-'));
onWorkerEnd(() => rmSync(home, { recursive: true, force: true }));

export const gitEnv: Record<string, string | undefined> = toTestGitEnvironment(home);

export function git(directory: string, ...args: string[]): string {
  return execFileSync('git', ['-C', directory, ...args], { env: gitEnv, encoding: 'utf8', stdio: 'pipe' }).trim();
}

/** The shells of this machine, with their arguments. */
export const SHELLS: readonly string[] = ['dash', 'busybox', 'bash'].filter(
  (shell) => spawnSync('which', [shell]).status === 0,
);

function runShell(
  shell: string,
  script: string,
  { env, uid }: { env: NodeJS.ProcessEnv; uid: number | undefined },
): SpawnSyncReturns<Buffer> {
  const [program = '', ...args] = shell === 'busybox' ? ['busybox', 'sh'] : [shell];
  return spawnSync(program, [...args, '-ec', script], { env, ...(uid === undefined ? {} : { uid, gid: uid }) });
}

export interface CheckoutWorld {
  /** A directory for other files of the test. */
  readonly root: string;
  /** A repository with a way to commit to it. */
  readonly source: string;
  commit(file: string, text: string): string;
  /** Runs the script of the checkout, as the engine does. Default: the branch `main`, in `sh`. */
  checkOut(sha: string, part?: Partial<Checkout>, options?: CheckoutOptions): Result;
  /** The work tree. */
  readonly tree: string;
  /** Returns the directory of c3's own clone; empty if there is none in the private directory. */
  own(): string;
  /** Makes the variables with which c3 sends what a clone lacks. */
  askForDelta(order: { want: string; have: string; isShallow?: boolean }): Record<string, string>;
}

export interface CheckoutOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly shell?: string;
  /** Runs the script as another user, which only root can. */
  readonly uid?: number;
}

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const access: GitAccess = {
  url: '',
  urlPrefix: 'https://forge.example/',
  header: 'Authorization: Basic c2VjcmV0',
  secrets: [],
};

export function createCheckoutWorld(format = 'sha1'): CheckoutWorld {
  const root = mkdtempSync(join(home, 'world-'));
  const source = join(root, 'source');
  const place = join(root, 'volume');
  const tree = join(place, 'tree');
  const tmp = join(root, 'tmp');
  for (const directory of [source, place, tree, tmp]) mkdirSync(directory);
  git(source, 'init', '-q', '-b', 'main', `--object-format=${format}`);
  return {
    root,
    source,
    tree,
    own: () => globSync(join(tmp, '.c3-*'))[0] ?? '',
    commit(file, text): string {
      writeFileSync(join(source, file), text);
      git(source, 'add', '-A');
      git(source, 'commit', '-q', '-m', text);
      return git(source, 'rev-parse', 'HEAD');
    },
    checkOut(sha, part = {}, { env: more = {}, shell = 'sh', uid } = {}) {
      const checkout: Checkout = { ...defaultCheckout, path: tree, ...part };
      const own = toCheckoutEnvironment({ ...access, url: `file://${source}` }, checkout, { sha, shared: [place] });
      const env = { ...gitEnv, TMPDIR: tmp, ...own, C3_SHA: sha, C3_REF: 'refs/heads/main', ...more };
      const { status, stdout, stderr } = runShell(shell, checkoutScript, { env, uid });
      return { status, stdout: stdout.toString(), stderr: stderr.toString() };
    },
    askForDelta(order) {
      const { stdout } = spawnSync('git', ['upload-pack', '--stateless-rpc', source], {
        env: { ...gitEnv, GIT_PROTOCOL: 'version=2' },
        input: formatFetchRequest({ isShallow: true, ...order }),
      });
      return { ...toDelta(readFetchResponse(stdout) ?? Buffer.alloc(0), order)?.env };
    },
  };
}
