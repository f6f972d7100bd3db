import { describeLanguage } from '../e2e/language.e2e.ts';
import { openTarget } from './target.ts';

describeLanguage('a real Kubernetes', openTarget);
