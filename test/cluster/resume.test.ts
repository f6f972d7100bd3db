import { describeResume } from '../e2e/resume.e2e.ts';
import { openTarget } from './target.ts';

describeResume('a real Kubernetes', openTarget);
