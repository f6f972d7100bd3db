export { formatFetchRequest, type FetchOrder } from './fetch-request.ts';
export { readFetchResponse } from './read-fetch-response.ts';
export { hasAttributes, hasSubmodule, parentsOf, readPack, toLooseFile, type GitObject } from './read-pack.ts';
