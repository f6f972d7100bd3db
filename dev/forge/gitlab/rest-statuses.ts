import { resolveCommit, tryGit } from '../git.ts';
import type { Repository } from '../repositories.ts';
import { field, type ApiState, type Route, type RouteAnswer, type RouteCall, type Status } from '../route.ts';
import { FORBIDDEN, notFound, refuse, refuseParameters, toPage } from './answers.ts';
import { mayUpdate, toUserJson } from './users.ts';

const STATES = ['pending', 'running', 'success', 'failed', 'canceled', 'skipped'] as const;
type State = (typeof STATES)[number];

/** GitLab's maximum for each text of a status. */
const MAX_LENGTH = 255;

/** A status in a pipeline. A running one changes; one that has ended does not. */
interface Job {
  readonly id: number;
  readonly repository: Repository;
  readonly pipeline: number;
  readonly sha: string;
  readonly ref: string;
  readonly name: string;
  readonly creator: string;
  status: State | 'created';
  description: string | null;
  targetUrl: string | null;
  readonly createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  /** A newer one of the same name has replaced it. */
  isRetried: boolean;
}

interface Pipeline {
  readonly id: number;
  readonly repository: Repository;
  readonly sha: string;
  readonly ref: string;
}

/**
 * The routes of commit statuses. A status is a job of an external pipeline, of which each ref of a commit has one. A
 * running status of the same name, ref and user changes; otherwise there is a new one. The changes that GitLab's state
 * machine refuses are refused.
 *
 * @see https://docs.gitlab.com/api/commits/#commit-status
 */
export function createStatusRoutes(state: Pick<ApiState, 'origin' | 'statuses' | 'onChange'>): Route[] {
  const jobs: Job[] = [];
  const pipelines: Pipeline[] = [];
  return [
    {
      method: 'POST',
      pattern: /^\/statuses\/([^/]+)$/,
      permission: 'write',
      async handle(call) {
        const pipeline = await choosePipeline(pipelines, call);
        if ('status' in pipeline) return pipeline;
        if (!mayUpdate(call.user, call.repository, pipeline.ref)) return FORBIDDEN;
        if (!pipelines.includes(pipeline)) pipelines.push(pipeline);
        const answer = change(jobs, pipeline, call);
        if (!('id' in answer)) return answer;
        state.statuses.push(toStatus(answer, state.statuses.length + 1));
        state.onChange();
        return { status: 201, body: toJson(state.origin, answer) };
      },
    },
    {
      method: 'GET',
      pattern: /^\/repository\/commits\/([^/]+)\/statuses$/,
      permission: 'read',
      async handle({ repository, captures: [sha = ''], query }) {
        if ((await resolveCommit(repository.path, sha)) === undefined) return notFound('Commit');
        const [all, name, ref] = ['all', 'name', 'ref'].map((parameter) => query.get(parameter));
        const found = jobs.filter(
          (job) =>
            job.repository === repository &&
            job.sha === sha &&
            (all === 'true' || !job.isRetried) &&
            (!name || job.name === name) &&
            (!ref || job.ref === ref),
        );
        // The oldest first, unless the client asks for another order.
        const sorted = query.get('sort') === 'desc' ? found.toReversed() : found;
        return toPage(
          sorted.map((job) => toJson(state.origin, job)),
          query,
        );
      },
    },
  ];
}

/** Finds the newest pipeline of the commit and its ref, or makes one. Checks the parameters first. */
async function choosePipeline(
  pipelines: readonly Pipeline[],
  { repository, captures: [sha = ''], body }: RouteCall,
): Promise<Pipeline | RouteAnswer> {
  const state = field(body, 'state');
  if (state === undefined) return refuseParameters('state is missing');
  if (!(STATES as readonly unknown[]).includes(state)) return refuseParameters('state does not have a valid value');
  if (!/^[0-9a-f]{40}$/.test(sha) || (await resolveCommit(repository.path, sha)) === undefined) {
    return notFound('Commit');
  }
  const wanted = field(body, 'ref');
  const isMatch = (one: Pipeline): boolean =>
    one.repository === repository && one.sha === sha && (typeof wanted !== 'string' || one.ref === wanted);
  const found = pipelines.findLast(isMatch);
  if (found) return found;
  const ref = typeof wanted === 'string' ? wanted : await findBranch(repository, sha);
  return ref === undefined ? notFound('References for commit') : { id: pipelines.length + 1, repository, sha, ref };
}

async function findBranch({ path }: Repository, sha: string): Promise<string | undefined> {
  const list = await tryGit(path, ['for-each-ref', '--format=%(refname:lstrip=2)', `--contains=${sha}`, 'refs/heads']);
  return list?.split('\n', 1)[0] || undefined;
}

/** Changes the running status, or adds one. Nothing changes if it is refused. */
function change(jobs: Job[], pipeline: Pipeline, { user, body }: RouteCall): Job | RouteAnswer {
  const text = (name: string): string | undefined => {
    const value = field(body, name);
    return typeof value === 'string' ? value : undefined;
  };
  const name = text('name') ?? text('context') ?? 'default';
  const texts = { name, description: text('description'), target_url: text('target_url') };
  const problem = findProblem(texts);
  if (problem) return problem;
  const isSame = (job: Job): boolean => job.pipeline === pipeline.id && job.name === name;
  const isOpen = ({ status, creator }: Job): boolean =>
    (status === 'pending' || status === 'running') && creator === user.login;
  const found = jobs.find((job) => isSame(job) && isOpen(job));
  const job = found ?? createJob(pipeline, { id: jobs.length + 1, name, creator: user.login });
  const next = field(body, 'state') as State;
  const event = findRefusedEvent(job.status, next);
  if (event !== undefined) {
    const reason = `(Reason(s): Status cannot transition via "${event}")`;
    return refuse(400, `Cannot transition status via :${event} from :${job.status} ${reason}`);
  }
  job.description = texts.description ?? job.description;
  job.targetUrl = texts.target_url ?? job.targetUrl;
  job.status = next;
  if (next === 'running') job.startedAt ??= now();
  if (!['pending', 'running'].includes(next)) job.finishedAt = now();
  if (!found) {
    for (const older of jobs.filter(isSame)) older.isRetried = true;
    jobs.push(job);
  }
  return job;
}

function createJob({ id: pipeline, repository, sha, ref }: Pipeline, own: Pick<Job, 'id' | 'name' | 'creator'>): Job {
  return {
    ...own,
    repository,
    pipeline,
    sha,
    ref,
    status: 'created',
    description: null,
    targetUrl: null,
    createdAt: now(),
    startedAt: null,
    finishedAt: null,
    isRetried: false,
  };
}

/** Returns the event of the state machine that a change needs and that the status refuses. */
function findRefusedEvent(status: Job['status'], next: State): string | undefined {
  if (status === 'created') return undefined;
  if (next === 'pending') return 'enqueue';
  return next === 'running' && status === 'running' ? 'run' : undefined;
}

function findProblem(texts: Readonly<Record<string, string | undefined>>): RouteAnswer | undefined {
  for (const [name, value = ''] of Object.entries(texts)) {
    if (value.length > MAX_LENGTH) {
      return refuse(400, { [name]: [`is too long (maximum is ${MAX_LENGTH} characters)`] });
    }
  }
  const url = texts['target_url'];
  const isUrl = url === undefined || /^https?:\/\/[^/]/.test(url);
  return isUrl ? undefined : refuse(400, { target_url: ['is blocked: Only allowed schemes are http, https'] });
}

function now(): string {
  return new Date().toISOString();
}

/** The state in the words that all kinds of forges share. */
const SHARED: Readonly<Record<Job['status'], Status['state']>> = {
  created: 'pending',
  pending: 'pending',
  running: 'pending',
  success: 'success',
  skipped: 'success',
  failed: 'failure',
  canceled: 'error',
};

function toStatus(job: Job, id: number): Status {
  const { sha, name: context, status, description, targetUrl, creator } = job;
  const repository = job.repository.fullName;
  return { id, repository, sha, context, state: SHARED[status], description, targetUrl, creator, createdAt: now() };
}

function toJson(origin: string, job: Job): Record<string, unknown> {
  return {
    id: job.id,
    sha: job.sha,
    ref: job.ref,
    status: job.status,
    name: job.name,
    target_url: job.targetUrl,
    description: job.description,
    created_at: job.createdAt,
    started_at: job.startedAt,
    finished_at: job.finishedAt,
    allow_failure: false,
    coverage: null,
    pipeline_id: job.pipeline,
    author: toUserJson(origin, job.creator),
  };
}
