export { createForgeServer } from './forge-server.ts';
export type { ForgeKind, ForgeServer, ForgeServerOptions, NewHook } from './forge-server.ts';
export type { Comment, NewPull, Pull } from './pulls.ts';
export type { Permission, User } from './accounts.ts';
export type { Fault } from './faults.ts';
export type { NewRepository, Repository } from './repositories.ts';
export type { LoggedRequest } from './request-handler.ts';
export type { Status } from './route.ts';
export type { Delivery, Hook } from './webhooks.ts';
