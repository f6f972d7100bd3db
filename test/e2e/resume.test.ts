import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { describeResume } from './resume.e2e.ts';

describeResume('the embedded cluster', openSharedTarget);
