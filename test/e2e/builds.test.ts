import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { describeBuilds } from './builds.e2e.ts';

describeBuilds('the embedded cluster', openSharedTarget);
