import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { describeLanguage } from './language.e2e.ts';

describeLanguage('the embedded cluster', openSharedTarget);
