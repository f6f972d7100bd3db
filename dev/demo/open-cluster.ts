import { readFileSync } from 'node:fs';
import { isMap, isSeq, parseDocument } from 'yaml';
import { C3Error } from '../../src/errors.ts';
import { createEmbeddedCluster } from '../cluster/index.ts';

/** Where the demonstration's builds run. */
export interface DemoCluster {
  readonly description: string;
  readonly kubeconfig: string;
  close(): Promise<void>;
}

export async function openCluster(options: { kubeconfig?: string; context?: string }): Promise<DemoCluster> {
  if (options.kubeconfig !== undefined) {
    return {
      description: `the one that ${options.kubeconfig} names`,
      kubeconfig: selectContext(readFileSync(options.kubeconfig, 'utf8'), options.context),
      close: () => Promise.resolve(),
    };
  }
  const cluster = await createEmbeddedCluster();
  return {
    description: `${cluster.url}, embedded: containers are processes of this machine`,
    kubeconfig: cluster.kubeconfig,
    close: () => cluster.close(),
  };
}

/** c3 uses the current context. Another one becomes the current one in the text to seal. */
function selectContext(text: string, context: string | undefined): string {
  if (context === undefined) return text;
  const document = parseDocument(text);
  const contexts = document.get('contexts');
  const names = isSeq(contexts) ? contexts.items.map((item) => (isMap(item) ? item.get('name') : undefined)) : [];
  if (!names.includes(context)) {
    throw new C3Error('USAGE_INVALID', `The kubeconfig has no context "${context}"`, {
      hint: `it has ${names.join(', ')}`,
    });
  }
  document.set('current-context', context);
  return document.toString();
}

/** The c3.yaml of the demonstration. It runs on any cluster. */
export function formatPipeline(k8s: string): string {
  return `k8s: ${k8s}
job:
  apiVersion: v1
  kind: Pod
  metadata: {name: shop}
  spec:
    restartPolicy: Never
    volumes:
    - {name: c3, emptyDir: {}}
    containers:
    - {name: git, image: alpine/git, command: [sleep, '100000'], volumeMounts: [{name: c3, mountPath: /c3}]}
    - {name: main, image: ubuntu, command: [sleep, '100000'], volumeMounts: [{name: c3, mountPath: /c3}]}
steps:
- git: git log --oneline -1
- main: sh build.sh
  name: build
- main: |
    echo "$C3_REPO is built at $C3_SHA"
    cat hello.txt
  name: test
`;
}
