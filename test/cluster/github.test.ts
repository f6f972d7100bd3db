import { describeAll } from '../e2e/all.e2e.ts';
import { openTarget } from './target.ts';

describeAll('github', 'a real Kubernetes', openTarget);
