/**
 * The time limits of all tests. A limit ends a test that hangs, and measures nothing: each is many times what a quiet machine
 * needs, so that the tests also pass on a busy one.
 */
export const TEST_MS = 300_000;

/** A test on a real cluster waits for Pods and nodes to be replaced. */
export const CLUSTER_TEST_MS = 900_000;

/**
 * How long a test waits for one condition. vitest's configurations pass it to `expect.poll`.
 *
 * On a real cluster it is the time in which a Pod goes and another one of its name starts: a kubelet that missed the end of a
 * container removes it with its next garbage collection, once a minute (`ContainerGCPeriod` in Kubernetes' pkg/kubelet/kubelet.go).
 * On a quiet machine 66 s were seen.
 */
export const WAIT_MS = 150_000;

/** Returns a signal that aborts after {@link WAIT_MS}. */
export function deadline(): AbortSignal {
  return AbortSignal.timeout(WAIT_MS);
}
