import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { describeMistakes } from './mistakes.e2e.ts';

describeMistakes('the embedded cluster', openSharedTarget);
