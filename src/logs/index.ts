export type * from './build-view.ts';
export { openView, type ViewDependencies, type ViewRequest } from './open-view.ts';
