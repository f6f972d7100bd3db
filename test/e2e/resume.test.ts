import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { FORGE_KINDS } from './fixture.ts';
import { describeResume } from './resume.e2e.ts';

for (const kind of FORGE_KINDS) describeResume(kind, 'the embedded cluster', openSharedTarget);
