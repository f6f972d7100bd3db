import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { FORGE_KINDS } from './fixture.ts';
import { describeTelegram } from './telegram.e2e.ts';

for (const kind of FORGE_KINDS) describeTelegram(kind, 'the embedded cluster', openSharedTarget);
