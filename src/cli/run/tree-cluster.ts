import type { Cluster, OpenWorkspaceOptions, WorkspaceAnswer, WorkspaceRequest } from '../../engine/index.ts';
import type { Pipeline } from '../../pipeline/index.ts';
import type { GitOptions } from './git.ts';
import { sendTree } from './send-tree.ts';

export interface TreeOrder {
  readonly pipeline: Pipeline;
  readonly git: GitOptions;
  readonly sha: string;
  /** In place of the build's own: a Pod of `c3 run` never serves a server's builds. */
  readonly scope: string;
  /** A Pod of its own, deleted after the run. */
  readonly isFresh: boolean;
}

export interface TreeCluster extends Omit<Cluster, 'findWorkspace'> {
  /** Where the container that checks out has the commit: known once the workspace is ready. */
  treePath(): string;
}

/** A cluster whose workspaces have the working tree: it is sent before the workspace counts as ready, so that the checkout finds it. */
export function createTreeCluster(cluster: Omit<Cluster, 'findWorkspace'>, tree: TreeOrder): TreeCluster {
  let path = '';

  async function bringTree(
    answer: Extract<WorkspaceAnswer, { kind: 'ready' }>,
    options: OpenWorkspaceOptions,
  ): Promise<WorkspaceAnswer> {
    const { checkout } = tree.pipeline;
    if (checkout === false) return answer;
    options.onWaiting('sending the working tree');
    const sent = await sendTree(answer.workspace, {
      container: checkout.container,
      places: toPlaces(checkout.path),
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
      const answer = await cluster.openWorkspace(toOrder(order, tree), options);
      return answer.kind === 'ready' ? await bringTree(answer, options) : answer;
    },
    close: () => cluster.close(),
    treePath: () => path,
  };
}

/** Nobody is there to delete a Pod once it is idle, so its age limit must: it lives no longer than one run and the idle time. */
function toOrder(order: WorkspaceRequest, { scope, isFresh }: TreeOrder): WorkspaceRequest {
  return {
    ...order,
    scope,
    reuse: order.reuse && !isFresh,
    maxAgeMs: Math.min(order.maxAgeMs, order.neededMs + order.idleMs),
  };
}

/** Beside the work tree, where a volume is; else in the container's own temporary directory. */
function toPlaces(path: string): readonly [string, string] {
  return [`${path.slice(0, path.lastIndexOf('/'))}/.c3-run.git`, '/tmp/.c3-run.git'];
}
