export { matchGlob } from './parse-values.ts';
export { readConfig, readSealingConfig, type Config, type Flags } from './read-config.ts';
export { SETTINGS } from './settings.ts';
