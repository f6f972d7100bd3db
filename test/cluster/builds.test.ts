import { describeBuilds } from '../e2e/builds.e2e.ts';
import { openTarget } from './target.ts';

describeBuilds('a real Kubernetes', openTarget);
