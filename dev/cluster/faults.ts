import type { KubeStatus } from './objects.ts';

/** What a request asks for; also how requests are counted. */
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
  /** A Pod's or a Lease's name in the path; for `create`, which has none there, the name in the body is not looked at. */
  readonly name?: string;
  /** How many requests it meets before it ends by itself; default: until `remove`. */
  readonly times?: number;
}

/** What happens to a request that a rule meets. */
export type RequestFault =
  /** Answered with this Status, nothing done. */
  | { readonly kind: 'refuse'; readonly code: number; readonly reason: string; readonly message: string }
  /** The connection is cut before anything is done. */
  | { readonly kind: 'cut' }
  /** It is done, and the connection is cut instead of the answer: the client cannot know. */
  | { readonly kind: 'lose-answer' }
  /** It waits until the fault is removed, then goes on. */
  | { readonly kind: 'hold' };

export interface ExecRule {
  readonly pod?: string;
  readonly container?: string;
  readonly times?: number;
}

/** When an exec breaks. Bytes are those of stdout and stderr sent to the client. */
export type ExecMoment = 'before-101' | 'after-101' | 'after-status' | { readonly afterBytes: number };

/**
 * - `loud`: the connection is reset;
 * - `silent`: nothing more is sent or read, and the connection stays open, as when a middle box forgets it;
 * - `false-success`: a well-formed Success and a normal close, while the program runs on: what an API server does that loses its kubelet.
 */
export type ExecBreak = 'loud' | 'silent' | 'false-success';

/** A fault that was ordered. */
export interface Fault {
  /** Resolves at the first request or exec it meets. */
  readonly met: Promise<void>;
  hits(): number;
  /** Ends it; held requests go on. */
  remove(): void;
}

/** The faults of the API itself; those of Pods and of the server are in `EmbeddedCluster.faults` too. */
export interface FaultPlan {
  /** The first rule that fits is applied. */
  onRequest(rule: RequestRule, fault: RequestFault): Fault;
  onExec(rule: ExecRule, fault: { readonly when: ExecMoment; readonly how: ExecBreak }): Fault;
  /** Ends all faults. */
  clear(): void;
}

export interface PlannedExecBreak {
  readonly when: ExecMoment;
  readonly how: ExecBreak;
}

/** The server's side: what to do with this request, counted as a hit. */
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

/** The refusals a real cluster gives most often, in its words. */
export const REFUSALS: Readonly<
  Record<'quota' | 'admission' | 'forbidden' | 'unavailable', RequestFault & { kind: 'refuse' }>
> = {
  quota: {
    kind: 'refuse',
    code: 403,
    reason: 'Forbidden',
    message: 'pods "c3" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=10, limited: pods=10',
  },
  admission: {
    kind: 'refuse',
    code: 403,
    reason: 'Forbidden',
    message:
      'pods "c3" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes (volume "docker-sock"), runAsNonRoot != true',
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
