import { createEmbeddedCluster, type EmbeddedCluster } from '../../dev/cluster/index.ts';
import { afterAll } from 'vitest';
import { describeBuilds } from './builds.e2e.ts';
import { describeLanguage } from './language.e2e.ts';
import { describeMistakes } from './mistakes.e2e.ts';
import { describePages } from './pages.e2e.ts';
import { describeResume } from './resume.e2e.ts';
import type { Target } from './target.ts';
import { describeTelegram } from './telegram.e2e.ts';

let cluster: EmbeddedCluster | undefined;

async function openTarget(): Promise<Target> {
  cluster ??= await createEmbeddedCluster();
  // Its containers have the machine's own programs, git among them, whatever the image.
  return { kubeconfig: cluster.kubeconfig, forgeHost: '127.0.0.1', images: { git: 'alpine/git', main: 'ubuntu' } };
}

describeBuilds('the embedded cluster', openTarget);
describeMistakes('the embedded cluster', openTarget);
describeLanguage('the embedded cluster', openTarget);
describePages('the embedded cluster', openTarget);
describeResume('the embedded cluster', openTarget);
describeTelegram('the embedded cluster', openTarget);

afterAll(async () => await cluster?.close());
