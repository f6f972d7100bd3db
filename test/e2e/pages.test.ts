import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { FORGE_KINDS } from './fixture.ts';
import { describePages } from './pages.e2e.ts';

for (const kind of FORGE_KINDS) describePages(kind, 'the embedded cluster', openSharedTarget);
