import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFakeApiServer, type FakeApiServer } from '../../test/contract/fake-api-server.ts';
import { countHeld } from '../../test/fakes/memory.ts';
import { createExecClient, type ExecClient } from './exec.ts';

let server: FakeApiServer;
let client: ExecClient;

beforeAll(async () => {
  server = await createFakeApiServer();
  client = createExecClient(server.access);
});
afterAll(async () => {
  client.close();
  await server.close();
});

test('an open exec does not keep what was written to it', async () => {
  server.onUpgrade = (request, socket, head) => void server.accept(request, socket, head);
  const answer = await client.open(
    { namespace: 'default', pod: 'p', container: 'main', argv: ['sh'] },
    { signal: new AbortController().signal, onStdout: () => undefined, onStderr: () => undefined },
  );
  if (answer.kind !== 'open') throw new Error(answer.message);
  const { session } = answer;
  const written: WeakRef<object>[] = [];
  for (let count = 0; count < 10; count += 1) {
    const bytes = new Uint8Array(100_000);
    written.push(new WeakRef(bytes));
    await session.write(bytes);
  }
  // This function still refers to the last one.
  expect(await countHeld(written)).toBeLessThanOrEqual(1);
  session.close();
});
