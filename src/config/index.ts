export { matchRepo } from './match-repo.ts';
export { readConfig, readSealingConfig, type Config, type Flags } from './read-config.ts';
export { SETTINGS } from './settings.ts';
