export { createApp, type AppDependencies } from './app.ts';
export { createBuilds } from './builds.ts';
export { HookLimits } from './limits.ts';
export { listen } from './listen.ts';
export { createOpenViews } from './open-views.ts';
export { createBodyReader } from './read-body.ts';
export { FairTokenBucket } from './fair-token-bucket.ts';
