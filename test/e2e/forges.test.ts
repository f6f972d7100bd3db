import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { FORGE_KINDS } from './fixture.ts';
import { describeForge } from './forges.e2e.ts';

for (const kind of FORGE_KINDS) describeForge(kind, 'the embedded cluster', openSharedTarget);
