import { describeAll } from '../e2e/all.e2e.ts';
import { openTarget } from './target.ts';

// Gitea has the API of GitHub but for a few endpoints; GitLab has its own.
describeAll('gitlab', 'a real Kubernetes', openTarget);
