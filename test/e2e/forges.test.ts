import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { describeForge } from './forges.e2e.ts';

// The other suites use GitHub.
describeForge('gitea', 'the embedded cluster', openSharedTarget);
describeForge('gitlab', 'the embedded cluster', openSharedTarget);
