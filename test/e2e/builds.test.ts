import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { FORGE_KINDS } from './fixture.ts';
import { describeBuilds } from './builds.e2e.ts';

for (const kind of FORGE_KINDS) describeBuilds(kind, 'the embedded cluster', openSharedTarget);
