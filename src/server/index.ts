export { createApp } from './app.ts';
export { createBuildLinks } from './build-links.ts';
export { createBuilds } from './builds.ts';
export { createBucket, createHookLimits } from './limits.ts';
export { listen } from './listen.ts';
export { createBodyReader } from './read-body.ts';
export { createViews } from './views.ts';
