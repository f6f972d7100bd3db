import type {
  BuildRequest,
  Cluster,
  OpenWorkspaceOptions,
  WorkspaceAnswer,
  WorkspaceRequest,
} from '../../engine/index.ts';
import type { Pipeline } from '../../pipeline/index.ts';
import type { GitOptions } from './git.ts';
import { sendTree } from './send-tree.ts';

export interface TreeOptions {
  readonly pipeline: Pipeline;
  readonly git: GitOptions;
  readonly sha: string;
  /** Replaces the build's scope, so that a Pod of `c3 run` never serves builds of a server. */
  readonly scope: string;
  /** Use a new Pod and delete it after the run. */
  readonly isFresh: boolean;
}

export interface TreeCluster extends Omit<Cluster, 'findWorkspace'> {
  /** The path of the repository in the checkout's container. Known when the workspace is ready. */
  treePath(): string;
}

/** Wraps a cluster: it sends the working tree into a workspace before the workspace is ready, so that the checkout finds it. */
export function createTreeCluster(cluster: Omit<Cluster, 'findWorkspace'>, tree: TreeOptions): TreeCluster {
  let path = '';

  async function provideTree(
    answer: Extract<WorkspaceAnswer, { kind: 'ready' }>,
    options: OpenWorkspaceOptions,
  ): Promise<WorkspaceAnswer> {
    const { checkout } = tree.pipeline;
    if (checkout === false) return answer;
    options.onWaiting('sending the working tree');
    const sent = await sendTree(answer.workspace, {
      container: checkout.container,
      directories: toDirectories(checkout.path),
      git: tree.git,
      sha: tree.sha,
      depth: checkout.depth,
      signal: options.signal,
    });
    if (sent.kind === 'sent') {
      ({ path } = sent);
      return answer;
    }
    await answer.workspace.release({ isClean: false });
    return options.signal.aborted ? { kind: 'aborted' } : sent;
  }

  return {
    async openWorkspace(order, options) {
      const answer = await cluster.openWorkspace(toRequest(order, tree), options);
      return answer.kind === 'ready' ? await provideTree(answer, options) : answer;
    },
    close: () => cluster.close(),
    treePath: () => path,
  };
}

/** No process deletes the idle Pod, so its age limit must: one run plus the idle time. */
function toRequest(order: WorkspaceRequest, { scope, isFresh }: TreeOptions): WorkspaceRequest {
  return {
    ...order,
    scope,
    reuse: order.reuse && !isFresh,
    maxAgeMs: Math.min(order.maxAgeMs, order.neededMs + order.idleMs),
  };
}

/** Returns a directory beside the work tree, where a volume is, and one in the container's temporary directory. */
function toDirectories(path: string): readonly [string, string] {
  return [`${path.slice(0, path.lastIndexOf('/'))}/.c3-run.git`, '/tmp/.c3-run.git'];
}

/** Creates a repository that stands for the working tree. It has no forge. */
export function createTreeRepository(text: string, treePath: () => string): BuildRequest['repository'] {
  return {
    prove: () => Promise.resolve({ kind: 'proven', trust: 'other' }),
    readFile: () => Promise.resolve({ kind: 'found', text }),
    setStatus: () => Promise.resolve(),
    // oxlint-disable-next-line require-yield -- there are no statuses
    async *listStatuses() {},
    readCommit: () => Promise.resolve(undefined),
    // Unknown, so that every condition on paths holds.
    changedPaths: () => Promise.resolve(undefined),
    gitAccess: () => ({ url: treePath(), urlPrefix: 'https://c3.invalid/', header: '', secrets: [] }),
    lineUrl: () => '',
    urls: () => ({ repository: '', commit: '' }),
  };
}
