import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { FORGE_KINDS } from './fixture.ts';
import { describeLanguage } from './language.e2e.ts';

for (const kind of FORGE_KINDS) describeLanguage(kind, 'the embedded cluster', openSharedTarget);
