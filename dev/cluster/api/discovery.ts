import type { Store } from '../store.ts';

/** Returns the discovery documents that kubectl requests first; undefined for other paths. */
export function answerDiscovery(
  path: string,
  store: Store,
): { readonly type: string; readonly body: string } | undefined {
  const json = (value: unknown) => ({ type: 'application/json', body: JSON.stringify(value) });
  const namespace = /^\/api\/v1\/namespaces\/([^/]+)$/.exec(path)?.[1];
  if (namespace !== undefined) {
    const found = store.get('namespaces', '', namespace);
    return found && json(found);
  }
  switch (path) {
    case '/healthz':
    case '/livez':
    case '/readyz':
      return { type: 'text/plain', body: 'ok' };
    case '/version':
      return json(VERSION);
    case '/api':
      return json({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] });
    case '/apis':
      return json({ kind: 'APIGroupList', apiVersion: 'v1', groups: [LEASE_GROUP] });
    case '/apis/coordination.k8s.io/v1':
      return json({ kind: 'APIResourceList', groupVersion: 'coordination.k8s.io/v1', resources: [LEASES] });
    case '/api/v1':
      return json({ kind: 'APIResourceList', groupVersion: 'v1', resources: RESOURCES });
    case '/api/v1/namespaces':
      return json({
        kind: 'NamespaceList',
        apiVersion: 'v1',
        metadata: { resourceVersion: String(store.revision()) },
        items: store.list('namespaces'),
      });
    default:
      return undefined;
  }
}

/** The imitated release; `gitVersion` says that it is an imitation. */
const VERSION = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0+c3-embedded',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
};

const LEASE_VERSION = { groupVersion: 'coordination.k8s.io/v1', version: 'v1' };
const LEASE_GROUP = { name: 'coordination.k8s.io', versions: [LEASE_VERSION], preferredVersion: LEASE_VERSION };
const LEASES = {
  name: 'leases',
  singularName: 'lease',
  namespaced: true,
  kind: 'Lease',
  verbs: ['create', 'delete', 'get', 'list', 'update'],
};

const RESOURCES = [
  {
    name: 'namespaces',
    singularName: 'namespace',
    namespaced: false,
    kind: 'Namespace',
    verbs: ['get', 'list'],
    shortNames: ['ns'],
  },
  {
    name: 'pods',
    singularName: 'pod',
    namespaced: true,
    kind: 'Pod',
    verbs: ['create', 'delete', 'get', 'list', 'patch', 'watch'],
    shortNames: ['po'],
    categories: ['all'],
  },
  { name: 'pods/exec', singularName: '', namespaced: true, kind: 'PodExecOptions', verbs: ['create', 'get'] },
  { name: 'pods/eviction', singularName: '', namespaced: true, kind: 'Eviction', verbs: ['create'] },
  { name: 'pods/log', singularName: '', namespaced: true, kind: 'Pod', verbs: ['get'] },
  {
    name: 'events',
    singularName: 'event',
    namespaced: true,
    kind: 'Event',
    verbs: ['get', 'list', 'watch'],
    shortNames: ['ev'],
  },
];
