import { configureGlobal } from 'fast-check';
import { isLong, SEED } from './random.ts';

// Properties have the same inputs in each run of `npm test`: what fails once fails again.
configureGlobal(isLong ? {} : { seed: SEED });
