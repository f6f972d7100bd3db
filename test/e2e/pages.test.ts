import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { describePages } from './pages.e2e.ts';

describePages('the embedded cluster', openSharedTarget);
