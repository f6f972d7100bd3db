import { describeBuilds } from '../e2e/builds.e2e.ts';
import { describeForge } from '../e2e/forges.e2e.ts';
import { describeLanguage } from '../e2e/language.e2e.ts';
import { describeMistakes } from '../e2e/mistakes.e2e.ts';
import { describePages } from '../e2e/pages.e2e.ts';
import { describeTelegram } from '../e2e/telegram.e2e.ts';
import { describeResume } from '../e2e/resume.e2e.ts';
import { openTarget } from './target.ts';

// Gitea has the API of GitHub but for a few endpoints; GitLab has its own.
for (const kind of ['github', 'gitlab'] as const) {
  describeBuilds(kind, 'a real Kubernetes', openTarget);
  describeMistakes(kind, 'a real Kubernetes', openTarget);
  describeLanguage(kind, 'a real Kubernetes', openTarget);
  describePages(kind, 'a real Kubernetes', openTarget);
  describeTelegram(kind, 'a real Kubernetes', openTarget);
  describeResume(kind, 'a real Kubernetes', openTarget);
  describeForge(kind, 'a real Kubernetes', openTarget);
}
