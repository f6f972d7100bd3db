export { matchGlob } from './parse-values.ts';
export { readConfig, readForges, readSealingConfig, type Config, type Flags } from './read-config.ts';
export { SETTINGS } from './settings.ts';
