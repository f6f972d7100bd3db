export { createApp } from './app.ts';
export { createBuilds } from './builds.ts';
export { createBucket, createHookLimits } from './limits.ts';
export { listen } from './listen.ts';
export { createBodyReader } from './read-body.ts';
export { createViews } from './views.ts';
