import { describeBuilds } from '../e2e/builds.e2e.ts';
import { describeForge } from '../e2e/forges.e2e.ts';
import { describeLanguage } from '../e2e/language.e2e.ts';
import { describeMistakes } from '../e2e/mistakes.e2e.ts';
import { describePages } from '../e2e/pages.e2e.ts';
import { describeTelegram } from '../e2e/telegram.e2e.ts';
import { describeResume } from '../e2e/resume.e2e.ts';
import { openTarget } from './target.ts';

describeBuilds('a real Kubernetes', openTarget);
describeMistakes('a real Kubernetes', openTarget);
describeLanguage('a real Kubernetes', openTarget);
describePages('a real Kubernetes', openTarget);
describeTelegram('a real Kubernetes', openTarget);
describeResume('a real Kubernetes', openTarget);
describeForge('gitlab', 'a real Kubernetes', openTarget);
