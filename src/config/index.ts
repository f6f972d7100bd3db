export { matchRepo } from './match-repo.ts';
export { readConfig, type Config, type Flags } from './read-config.ts';
export { SETTINGS } from './settings.ts';
