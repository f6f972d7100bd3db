import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { describeTelegram } from './telegram.e2e.ts';

describeTelegram('the embedded cluster', openSharedTarget);
