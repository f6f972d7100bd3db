export { createApp } from './app.ts';
export { createBuilds } from './builds.ts';
export { listen } from './listen.ts';
