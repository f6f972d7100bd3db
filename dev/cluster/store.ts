import type { EventObject, KubeObject, Lease, Pod } from './objects.ts';

/** The stored types, by their names in URLs. */
export interface StoredKinds {
  pods: Pod;
  events: EventObject;
  namespaces: KubeObject;
  leases: Lease;
}

export type Resource = keyof StoredKinds;

export interface Change {
  readonly revision: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
  /** The earlier object: a watch with a selector needs it to see that the object no longer matches. */
  readonly previous: KubeObject | undefined;
}

/** Like etcd: objects, one revision for all of them, and the latest changes. Stored objects never change. */
export interface Store {
  revision(): number;
  /** A watch may start at this revision or later. */
  oldestRevision(): number;
  get<R extends Resource>(resource: R, namespace: string, name: string): StoredKinds[R] | undefined;
  list<R extends Resource>(resource: R, namespace?: string): StoredKinds[R][];
  /** Adds or replaces, with the next resourceVersion; returns what is stored now. */
  put<R extends Resource>(resource: R, object: StoredKinds[R]): StoredKinds[R];
  remove(resource: Resource, namespace: string, name: string): void;
  changesAfter(resource: Resource, revision: number): Change[];
  /** Calls back for each change, in order; returns a function that stops it. */
  subscribe(resource: Resource, listener: (change: Change) => void): () => void;
  /** Deletes all past changes: older watches get 410 Gone. */
  compact(): void;
}

/** The number of past changes for watches; the API server's watch cache keeps at least 100 of each kind. */
const MAX_CHANGES = 1000;
/** The maximum number of Events. A real cluster keeps them for an hour. */
const MAX_EVENTS = 1000;

export function createStore(): Store {
  const objects: Record<Resource, Map<string, KubeObject>> = {
    pods: new Map(),
    events: new Map(),
    namespaces: new Map(),
    leases: new Map(),
  };
  const listeners: Record<Resource, Set<(change: Change) => void>> = {
    pods: new Set(),
    events: new Set(),
    namespaces: new Set(),
    leases: new Set(),
  };
  let changes: { resource: Resource; change: Change }[] = [];
  let revision = 1;
  let oldest = 1;

  function record(resource: Resource, change: Change): void {
    changes.push({ resource, change });
    if (changes.length > MAX_CHANGES) oldest = changes.shift()?.change.revision ?? oldest;
    for (const listener of listeners[resource]) listener(change);
  }

  function remove(resource: Resource, namespace: string, name: string): void {
    const key = `${namespace}/${name}`;
    const previous = objects[resource].get(key);
    // An object with a finalizer stays, marked as deleted. Here nothing removes a finalizer.
    if (previous === undefined || (previous.metadata.finalizers ?? []).length > 0) return;
    objects[resource].delete(key);
    revision += 1;
    const object = { ...previous, metadata: { ...previous.metadata, resourceVersion: String(revision) } };
    record(resource, { revision, type: 'DELETED', object, previous });
  }

  return {
    revision: () => revision,
    oldestRevision: () => oldest,
    get: <R extends Resource>(resource: R, namespace: string, name: string) =>
      objects[resource].get(`${namespace}/${name}`) as StoredKinds[R] | undefined,
    list: <R extends Resource>(resource: R, namespace?: string) =>
      [...objects[resource].values()].filter(
        (object) => namespace === undefined || object.metadata.namespace === namespace,
      ) as StoredKinds[R][],
    put: <R extends Resource>(resource: R, given: StoredKinds[R]): StoredKinds[R] => {
      const key = `${given.metadata.namespace}/${given.metadata.name}`;
      const previous = objects[resource].get(key);
      revision += 1;
      const object = { ...given, metadata: { ...given.metadata, resourceVersion: String(revision) } };
      objects[resource].set(key, object);
      record(resource, { revision, type: previous === undefined ? 'ADDED' : 'MODIFIED', object, previous });
      if (resource === 'events' && objects.events.size > MAX_EVENTS) {
        const [first] = objects.events.values();
        if (first) remove('events', first.metadata.namespace, first.metadata.name);
      }
      return object;
    },
    remove,
    changesAfter: (resource, after) =>
      changes
        .filter((entry) => entry.resource === resource && entry.change.revision > after)
        .map((entry) => entry.change),
    subscribe: (resource, listener) => {
      listeners[resource].add(listener);
      return () => {
        listeners[resource].delete(listener);
      };
    },
    compact: () => {
      changes = [];
      revision += 1;
      oldest = revision;
    },
  };
}
