export type { LogReading } from '../agent/index.ts';
export type * from './build-view.ts';
export { openView, type ViewDependencies, type ViewRequest } from './open-view.ts';
