import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { FORGE_KINDS } from './fixture.ts';
import { describeMistakes } from './mistakes.e2e.ts';

for (const kind of FORGE_KINDS) describeMistakes(kind, 'the embedded cluster', openSharedTarget);
