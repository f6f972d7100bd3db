import type { KubeStatus } from './objects.ts';

/** The kind of a request, for faults and for the counts of requests. */
export type RequestKind =
  | 'get'
  | 'list'
  | 'watch'
  | 'create'
  | 'delete'
  | 'patch'
  | 'evict'
  | 'exec'
  | 'log'
  | LeaseRequestKind
  | 'event-list'
  | 'event-watch'
  | 'discovery'
  | 'other';

export type LeaseRequestKind = 'lease-get' | 'lease-list' | 'lease-create' | 'lease-update' | 'lease-delete';

export interface RequestRule {
  /** Default: every kind. */
  readonly kind?: RequestKind;
  /**
   * The name of a Pod or a Lease in the path. A `create` has no name there, and the name in its body does not count.
   */
  readonly name?: string;
  /** The number of requests that it applies to. Default: all until `remove`. */
  readonly times?: number;
}

/** The effect of a fault on a matching request. */
export type RequestFault =
  /** Responds with this Status and does nothing else. */
  | { readonly kind: 'refuse'; readonly code: number; readonly reason: string; readonly message: string }
  /** Cuts the connection before the request has an effect. */
  | { readonly kind: 'cut' }
  /** Applies the request and cuts the connection before the response: the client does not know the outcome. */
  | { readonly kind: 'lose-answer' }
  /** Holds the request until the fault is removed, then handles it. */
  | { readonly kind: 'hold' };

export interface ExecRule {
  readonly pod?: string;
  readonly container?: string;
  readonly times?: number;
}

/** When an exec breaks. Bytes are those of stdout and stderr sent to the client. */
export type ExecMoment = 'before-101' | 'after-101' | 'after-status' | { readonly afterBytes: number };

/**
 * - `loud`: resets the connection;
 * - `silent`: sends and reads nothing more on an open connection, as when a middle box forgets it;
 * - `false-success`: sends a well-formed Success and a normal close while the program continues, like an API server
 *   that loses its kubelet.
 */
export type ExecBreak = 'loud' | 'silent' | 'false-success';

/** An active fault. */
export interface Fault {
  /** Resolves at the first request or exec that it applies to. */
  readonly met: Promise<void>;
  hits(): number;
  /** Ends the fault; held requests continue. */
  remove(): void;
}

/** The faults of the API. `EmbeddedCluster.faults` adds those of Pods and of the server. */
export interface FaultPlan {
  /** Adds a fault. The first rule that matches a request applies. */
  onRequest(rule: RequestRule, fault: RequestFault): Fault;
  onExec(rule: ExecRule, fault: { readonly when: ExecMoment; readonly how: ExecBreak }): Fault;
  /** Ends all faults. */
  clear(): void;
}

export interface PlannedExecBreak {
  readonly when: ExecMoment;
  readonly how: ExecBreak;
}

/** The server's side: returns the fault of this request and counts a hit. */
export interface FaultGate extends FaultPlan {
  takeRequest(
    kind: RequestKind,
    name: string,
  ): { readonly fault: RequestFault; readonly removed: Promise<void> } | undefined;
  takeExec(pod: string, container: string): PlannedExecBreak | undefined;
}

interface Entry<Rule, Action> extends Fault {
  readonly rule: Rule;
  readonly action: Action;
  readonly removed: Promise<void>;
  hit(): void;
}

export function createFaultGate(): FaultGate {
  const requests = new Set<Entry<RequestRule, RequestFault>>();
  const execs = new Set<Entry<ExecRule, PlannedExecBreak>>();
  return {
    onRequest: (rule, fault) => addEntry(requests, { rule, action: fault }),
    onExec: (rule, fault) => addEntry(execs, { rule, action: fault }),
    clear: () => {
      for (const entry of [...requests, ...execs]) entry.remove();
    },
    takeRequest: (kind, name) => {
      for (const entry of requests) {
        const { rule } = entry;
        if ((rule.kind ?? kind) !== kind || (rule.name ?? name) !== name) continue;
        entry.hit();
        return { fault: entry.action, removed: entry.removed };
      }
      return undefined;
    },
    takeExec: (pod, container) => {
      for (const entry of execs) {
        const { rule } = entry;
        if ((rule.pod ?? pod) !== pod || (rule.container ?? container) !== container) continue;
        entry.hit();
        return entry.action;
      }
      return undefined;
    },
  };
}

function addEntry<Rule extends { readonly times?: number }, Action>(
  entries: Set<Entry<Rule, Action>>,
  { rule, action }: { rule: Rule; action: Action },
): Fault {
  const met = Promise.withResolvers<void>();
  const removed = Promise.withResolvers<void>();
  let hits = 0;
  const entry: Entry<Rule, Action> = {
    rule,
    action,
    met: met.promise,
    removed: removed.promise,
    hits: () => hits,
    hit: () => {
      hits += 1;
      met.resolve();
      if (hits >= (rule.times ?? Infinity)) entries.delete(entry);
    },
    remove: () => {
      entries.delete(entry);
      removed.resolve();
    },
  };
  entries.add(entry);
  return entry;
}

/** The most frequent refusals of a real cluster, with its texts. */
export const REFUSALS: Readonly<
  Record<
    'quota' | 'quotaRace' | 'admission' | 'webhookAway' | 'webhookDenial' | 'forbidden' | 'unavailable',
    RequestFault & { kind: 'refuse' }
  >
> = {
  quota: {
    kind: 'refuse',
    code: 403,
    reason: 'Forbidden',
    message: 'pods "c3" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=10, limited: pods=10',
  },
  quotaRace: {
    kind: 'refuse',
    code: 409,
    reason: 'Conflict',
    message:
      'Operation cannot be fulfilled on resourcequotas "compute": the object has been modified; please apply your changes to the latest version and try again',
  },
  admission: {
    kind: 'refuse',
    code: 403,
    reason: 'Forbidden',
    message:
      'pods "c3" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes (volume "docker-sock"), runAsNonRoot != true',
  },
  webhookAway: {
    kind: 'refuse',
    code: 500,
    reason: 'InternalError',
    message:
      'Internal error occurred: failed calling webhook "mutate.example.com": failed to call webhook: Post "https://hook.hooks.svc:443/mutate?timeout=10s": no endpoints available for service "hook"',
  },
  webhookDenial: {
    kind: 'refuse',
    code: 403,
    reason: 'Forbidden',
    message: 'admission webhook "validate.example.com" denied the request: image "busybox:1" is not signed',
  },
  forbidden: {
    kind: 'refuse',
    code: 403,
    reason: 'Forbidden',
    message: 'pods is forbidden: User "user" cannot create resource "pods" in API group "" in the namespace "default"',
  },
  unavailable: {
    kind: 'refuse',
    code: 503,
    reason: 'ServiceUnavailable',
    message: 'apiserver is shutting down',
  } satisfies {
    kind: 'refuse';
  } & Pick<KubeStatus, 'code' | 'reason' | 'message'>,
};
