export type * from './build-view.ts';
export { openView, type ViewDependencies, type ViewOrder } from './open-view.ts';
