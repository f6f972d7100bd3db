import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

import { type Lease, toTimestamp } from '../objects.ts';
import type { Store } from '../store.ts';
import type { DeleteOptions } from './pods.ts';
import { alreadyExists, badRequest, conflict, notFound, refusal } from './status.ts';

/** Leases as the API server stores them: with versions, without a meaning of holders and times. */
export interface LeaseApi {
  /** @throws {ApiRefusal} 404 */
  get(namespace: string, name: string): Lease;
  /** @throws {ApiRefusal} 409 AlreadyExists */
  create(namespace: string, body: unknown): Lease;
  /** Replaces the Lease of the version in the body, or creates it. @throws {ApiRefusal} 409, 422 */
  update(namespace: string, name: string, body: unknown): Lease;
  /** @throws {ApiRefusal} 404; 409 when a precondition does not hold */
  delete(namespace: string, name: string, options: DeleteOptions): Lease;
}

const RESOURCE = 'leases.coordination.k8s.io';

export function createLeaseApi(store: Store): LeaseApi {
  function get(namespace: string, name: string): Lease {
    const lease = store.get('leases', namespace, name);
    if (!lease) throw notFound(RESOURCE, name);
    return lease;
  }
  function add(namespace: string, lease: Lease): Lease {
    if (!store.get('namespaces', '', namespace)) throw notFound('namespaces', namespace);
    const metadata = { ...lease.metadata, namespace, uid: randomUUID(), creationTimestamp: toTimestamp() };
    return store.put('leases', { ...lease, metadata });
  }

  return {
    get,
    create: (namespace, body) => {
      const lease = parseLease(body);
      const { name, resourceVersion } = lease.metadata;
      if (!name) throw badRequest('the embedded cluster wants a name for a Lease');
      if (resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
      if (store.get('leases', namespace, name)) throw alreadyExists(RESOURCE, name);
      return add(namespace, lease);
    },
    update: (namespace, name, body) => {
      const lease = parseLease(body);
      if (lease.metadata.name !== name) {
        throw badRequest('the name of the object does not match the name on the URL');
      }
      const before = store.get('leases', namespace, name);
      // https://github.com/kubernetes/kubernetes/blob/master/pkg/registry/coordination/lease/strategy.go:
      // AllowCreateOnUpdate
      if (!before) return add(namespace, lease);
      const { resourceVersion } = lease.metadata;
      if (!resourceVersion) {
        throw refusal(422, 'Invalid', {
          message: `${RESOURCE} "${name}" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update`,
        });
      }
      if (resourceVersion !== before.metadata.resourceVersion) {
        const why = 'the object has been modified; please apply your changes to the latest version and try again';
        throw conflict(RESOURCE, name, why);
      }
      const { uid, creationTimestamp } = before.metadata;
      const next = { ...lease, metadata: { ...lease.metadata, namespace, uid, creationTimestamp } };
      return isDeepStrictEqual(next, before) ? before : store.put('leases', next);
    },
    delete: (namespace, name, { preconditions = {} }) => {
      const lease = get(namespace, name);
      const { uid, resourceVersion } = lease.metadata;
      if (
        (preconditions.uid ?? uid) !== uid ||
        (preconditions.resourceVersion ?? resourceVersion) !== resourceVersion
      ) {
        throw conflict(RESOURCE, name, 'a precondition of the deletion does not hold');
      }
      store.remove('leases', namespace, name);
      return lease;
    },
  };
}

/** Whole seconds are not enough for `renewTime` and `acquireTime`: they are MicroTime. */
const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

function parseLease(body: unknown): Lease {
  const lease = body as Lease | null;
  if (typeof lease !== 'object' || lease === null || lease.kind !== 'Lease') {
    throw badRequest('the object provided is no Lease');
  }
  const { acquireTime, renewTime, leaseDurationSeconds, leaseTransitions } = lease.spec ?? {};
  for (const time of [acquireTime, renewTime]) {
    if (time !== undefined && !MICRO_TIME.test(time)) throw badRequest(`parsing time "${time}" as a MicroTime`);
  }
  for (const [field, number] of Object.entries({ leaseDurationSeconds, leaseTransitions })) {
    if (number === undefined) continue;
    if (!Number.isInteger(number) || Math.abs(number) > 2 ** 31 - 1) {
      throw badRequest(
        `json: cannot unmarshal number ${number} into Go struct field LeaseSpec.spec.${field} of type int32`,
      );
    }
    const isTooSmall = field === 'leaseDurationSeconds' ? number <= 0 : number < 0;
    if (isTooSmall) {
      throw refusal(422, 'Invalid', {
        message: `Lease.coordination.k8s.io "${lease.metadata.name}" is invalid: spec.${field}: Invalid value: ${number}`,
      });
    }
  }
  return lease;
}
