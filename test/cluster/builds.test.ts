import { describeBuilds } from '../e2e/builds.e2e.ts';
import { describeMistakes } from '../e2e/mistakes.e2e.ts';
import { openTarget } from './target.ts';

describeBuilds('a real Kubernetes', openTarget);
describeMistakes('a real Kubernetes', openTarget);
