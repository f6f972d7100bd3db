import { Command, Option } from 'commander';
import type { ForgeKind } from '../forge/index.ts';
import { FORGE_USES } from './forge-use.ts';
import { formatPipeline, openCluster, type DemoCluster } from './open-cluster.ts';
import { createScript } from './script.ts';
import { createUser, type User } from './user.ts';
import { createWorld, type World } from './world.ts';

interface Options {
  readonly once: boolean;
  readonly forge: ForgeKind;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly forgeHost?: string;
}

const script = createScript();

/** Long enough to see the message change: edits in a group are five seconds apart. */
const SLOW_BUILD = 'for part in 1 2 3 4 5 6; do echo "part $part"; sleep 1; done\n';

await new Command('demo')
  .description(
    'Performs the eight steps of c3 over HTTP, as a user would, on this machine alone; then stays up to be tried.',
  )
  .option('--once', 'end after the eight steps: exit code 0, or what broke', false)
  .addOption(new Option('--forge <kind>', 'the kind of forge').choices(Object.keys(FORGE_USES)).default('github'))
  .option('--kubeconfig <file>', 'run the builds on this cluster instead of the embedded one')
  .option('--context <name>', 'the context of the kubeconfig; default its current one')
  .option('--forge-host <address>', "this machine's address as the cluster's Pods see it; default 127.0.0.1")
  .action(run)
  .parseAsync();

async function run(options: Options): Promise<void> {
  let cluster: DemoCluster | undefined;
  let world: World | undefined;
  try {
    script.say('c3, from a push to a Telegram message. Everything runs on this machine.');
    cluster = await openCluster(options);
    script.tell('cluster', cluster.description);
    const { forge: kind, forgeHost } = options;
    world = await createWorld({ kind, ...(forgeHost === undefined ? {} : { forgeHost }) });
    script.tell(
      'forge',
      `${world.forge.origin}, with the API of ${FORGE_USES[kind].name}, on real bare git repositories`,
    );
    script.tell('telegram', `${world.telegram.url} shows the messages`);
    script.tell('c3', `${world.c3.url}, with only C3_SECRET, C3_ALLOW_REPOS and these addresses`);
    const user = await perform(world, cluster);
    if (!options.once) await stayUp(world, user);
  } catch (error) {
    script.fail(error);
    for (const line of world?.c3.log.slice(-10) ?? []) script.tell('c3 said', line);
    process.exitCode = 1;
  } finally {
    await world?.close();
    await cluster?.close();
  }
}

/** Runs the eight steps of a new user, who has an account, git and curl. */
async function perform(world: World, cluster: DemoCluster): Promise<User> {
  await world.forge.createRepository({ owner: 'acme', name: 'shop', isPrivate: true });
  const user = await createUser(world, { owner: 'acme', name: 'shop' });

  script.step(1, 'The user has an access token for the private repository acme/shop');
  script.step(2, 'encrypts it: POST /encrypt?for=hook answers the webhook URL and its secret');
  const [url = '', secret = ''] = (await user.seal('hook', world.owner.token)).split('\n');
  script.tell(
    'url',
    `${url.slice(0, 60)}… ${url.length} characters; without the forge's signature it is worth nothing`,
  );
  const { hasPing, name } = FORGE_USES[world.forge.kind];
  script.step(3, `and sets up the webhook with them; ${hasPing ? 'the forge pings c3' : `${name} sends no ping`}`);
  await user.createHook(url, secret);
  if (hasPing) await tellPing(world);

  script.step(4, 'The repository gets a c3.yaml; c3 will read it through the API at each pushed revision');
  script.step(5, 'its k8s: is the kubeconfig, encrypted for this repository alone');
  const k8s = await user.seal('k8s', cluster.kubeconfig);
  const source = formatPipeline(k8s);
  script.step(6, 'its job: is a plain Pod, its steps: are commands for the containers');
  script.quote(formatPipeline(`${k8s.slice(0, 16)}…`));

  script.step(7, 'A push. c3 makes the Pod, checks the revision out and runs the steps');
  script.step(8, 'and reports to Telegram, in one message that changes');
  const cold = await push(
    world,
    user,
    { 'c3.yaml': source, 'hello.txt': 'hello\n', 'build.sh': SLOW_BUILD },
    'Say hello',
  );
  script.say('A second push finds the Pod warm:');
  const warm = await push(world, user, { 'hello.txt': 'hello again\n', 'build.sh': 'echo done\n' }, 'Build faster');
  script.say(
    `From the end of the push to the commit status: ${cold} ms with a new Pod and six seconds of work, ${warm} ms warm.`,
  );
  return user;
}

async function tellPing({ forge }: World): Promise<void> {
  const ping = await forge.waitFor(
    () => forge.deliveries.find(({ event }) => event === 'ping')?.answer,
    AbortSignal.timeout(10_000),
  );
  script.tell('answer', ping.kind === 'answered' ? ping.body.trim() : ping.kind);
}

/** Pushes, prints the progress and returns the duration in milliseconds. @throws when the build does not pass */
async function push(world: World, user: User, files: Record<string, string>, subject: string): Promise<number> {
  const { sha, at } = await user.push(files, subject);
  script.tell('pushed', `${sha.slice(0, 7)} "${subject}"`);
  const answer = await user.waitForAnswer(sha);
  script.tell('hook', `${answer.status} ${answer.body}`);
  const shown = script.follow(world.telegram, sha, at);
  const status = await user.waitForEnd(sha);
  const took = Date.parse(status.createdAt) - at;
  const { text } = await user.waitForMessage(sha);
  shown.stop();
  script.quote(text);
  script.tell('status', `${status.state}: ${status.description ?? ''}`);
  script.tell('page', status.targetUrl ?? 'none');
  if (status.state !== 'success') throw new Error(`The build did not pass: ${status.description ?? ''}`);
  return took;
}

async function stayUp(world: World, user: User): Promise<void> {
  script.say('It stays up. Push to this repository, and look at the messages:');
  script.tell(
    'clone',
    `git clone http://${FORGE_USES[world.forge.kind].gitUser}:${world.owner.token}@${user.cloneUrl.slice('http://'.length)}`,
  );
  script.tell('messages', world.telegram.url);
  script.tell('c3', world.c3.url);
  script.say('Ctrl-C ends everything.');
  await new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  script.say('Ending.');
}
