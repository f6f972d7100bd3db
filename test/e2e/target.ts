/** A cluster for the end-to-end suites, and the environment of its Pods. */
export interface Target {
  /** The text of an administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** The address of this machine as Pods see it. */
  readonly forgeHost: string;
  /** Names of images: one with git 2.31, one with a POSIX shell. */
  readonly images: { readonly git: string; readonly main: string };
}

/** A c3.yaml with the usual two containers. */
export function formatPipeline(target: Target, k8s: string, steps: string, extra = ''): string {
  const container = (name: string, image: string): string =>
    `    - {name: ${name}, image: ${image}, command: [sleep, '100000'], volumeMounts: [{name: c3, mountPath: /c3}]}\n`;
  return `k8s: ${k8s}
${extra}job:
  apiVersion: v1
  kind: Pod
  metadata: {name: shop}
  spec:
    restartPolicy: Never
    volumes: [{name: c3, emptyDir: {}}]
    containers:
${container('git', target.images.git)}${container('main', target.images.main)}steps:
${steps}
`;
}
